//! Everything that can be wrong between a person and his cluster is told in a sentence, with what to do.

use std::{fs, sync::Arc};

use serde_json::json;

use crate::{
    cluster::{Cluster, NAMESPACE, minted, status},
    program::Program,
};

#[tokio::test]
async fn a_missing_kubeconfig_is_named() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    fs::remove_file(program.kubeconfig()).unwrap();
    let path = program.kubeconfig().display().to_string();
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        "error: there is no kubeconfig at ",
        &path,
        "next: ",
        "--kubeconfig",
    ]);
}

#[tokio::test]
async fn a_broken_kubeconfig_says_what_is_wrong_with_it() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    fs::write(program.kubeconfig(), "clusters: 5").unwrap();
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        "error: the kubeconfig /",
        "/config can't be used",
        "because: ",
        "line 1",
    ]);
}

#[tokio::test]
async fn an_unknown_context_is_named() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let ran = program
        .run(&["jobs", "list", "--context", "elsewhere"])
        .await
        .exits(1);
    ran.says(&[
        "error: the kubeconfig has no context elsewhere",
        "/config has the contexts here",
        "get-contexts",
    ]);
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_named() {
    // The port of a listener that is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let program = Program::new(&server, NAMESPACE);
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        "error: can't reach the API server at ",
        &server,
        "nothing listens there",
        "next: ",
    ]);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let program = Program::new("", NAMESPACE);
    let port = serve_tls().await;
    let other = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let file = program.home().join("ca.crt");
    fs::write(&file, other.cert.pem()).unwrap();
    let server = format!("https://localhost:{port}");
    program.write_kubeconfig(
        &json!({"server": server, "certificate-authority": file}),
        NAMESPACE,
    );
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        "error: the certificate of the API server at https://localhost:",
        "was not issued by the authority that the kubeconfig names",
        "next: fetch the kubeconfig of this cluster again",
    ]);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_connected_to_is_no_namespace() {
    let program = Program::new("", NAMESPACE);
    let cluster = json!({"server": "https://localhost:1", "proxy-url": "gopher://localhost"});
    program.write_kubeconfig(&cluster, NAMESPACE);
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains("namespaces"), "{ran:#?}");
    ran.says(&[
        "error: proxy-url of the cluster here in /",
        "because: it must begin with http://, https:// or socks5://",
    ]);
}

/// A TLS server with a certificate of its own making.
async fn serve_tls() -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key)
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client refuses; that is the test.
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

#[tokio::test]
async fn an_unknown_user_is_told_to_log_in() {
    let cluster = Cluster::start();
    cluster.fail(
        "/jobs",
        9,
        401,
        status(401, "Unauthorized", "Unauthorized", json!({})),
    );
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        "error: the API server does not know you: the user dev in /",
        "/config has no credentials",
        "next: log in",
    ]);
}

#[tokio::test]
async fn a_missing_right_is_named_with_who_can_give_it() {
    let cluster = Cluster::start();
    let words = "jobs.herdctl.dev is forbidden: User \"jane\" cannot create resource \"jobs\" in API group \
                 \"herdctl.dev\" in the namespace \"team-a\"";
    cluster.agent("reviewer");
    cluster.fail(
        "POST /apis/herdctl.dev",
        1,
        403,
        status(
            403,
            "Forbidden",
            words,
            json!({"kind": "jobs", "group": "herdctl.dev"}),
        ),
    );
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(1);
    ran.says(&[
        "error: you may not create jobs.herdctl.dev job-",
        "in namespace team-a",
        "because: jobs.herdctl.dev is forbidden: User \"jane\"",
        "next: ask an administrator of team-a for the role edit: kubectl create rolebinding herd-edit-jane --namespace team-a --clusterrole=edit --user=jane",
    ]);
}

#[tokio::test]
async fn a_right_that_is_missing_everywhere_is_another_binding() {
    let cluster = Cluster::start();
    let words = "User \"jane\" cannot list resource \"jobs\" in API group \"herdctl.dev\" at the cluster scope";
    cluster.fail(
        "/jobs",
        1,
        403,
        status(403, "Forbidden", words, json!({"kind": "jobs"})),
    );
    let ran = cluster.program.run(&["jobs", "list", "-A"]).await.exits(1);
    ran.says(&[
        "you may not list jobs.herdctl.dev in all namespaces",
        "clusterrolebinding herd-view-jane --clusterrole=view",
    ]);
}

#[tokio::test]
async fn what_is_proposed_can_be_typed_whatever_the_user_is_called() {
    for (user, name, typed) in [
        ("Jane@Example.com", "jane-example-com", "Jane@Example.com"),
        (
            "system:serviceaccount:team-a:bot",
            "system-serviceaccount-team-a-bot",
            "system:serviceaccount:team-a:bot",
        ),
        (
            "https://sso/#o'neil $(id)",
            "https-sso-o-neil-id",
            r"'https://sso/#o'\''neil $(id)'",
        ),
    ] {
        let cluster = Cluster::start();
        let words = format!("User \"{user}\" cannot list resource \"jobs\"");
        let refusal = status(403, "Forbidden", &words, json!({"kind": "jobs"}));
        cluster.fail("/jobs", 1, 403, refusal);
        let ran = cluster.program.run(&["jobs", "list"]).await.exits(1);
        ran.says(&[&format!(
            "kubectl create rolebinding herd-view-{name} --namespace team-a --clusterrole=view --user={typed}\n"
        )]);
    }
}

#[tokio::test]
async fn the_right_to_read_output_is_told_apart() {
    let cluster = Cluster::start();
    let name = minted("7f3c0a1b");
    cluster.job(&name, 60, json!({"phase": "running"}));
    let words = "joboutputs.herdctl.dev \"x\" is forbidden: User \"jane\" cannot get resource \"joboutputs/log\"";
    cluster.fail(
        "/log",
        1,
        403,
        status(403, "Forbidden", words, json!({"kind": "joboutputs"})),
    );
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c"])
        .await
        .exits(1);
    ran.says(&[
        "you may not get joboutputs/log job-7f3c0a1b",
        "next: the role view does not read output, unless the chart is installed with rbac.viewOutput=true",
        "next: or ask an administrator of team-a for the role edit: kubectl create rolebinding",
        "--clusterrole=edit --user=jane",
    ]);
}

/// Who asks, what the API server says, and what must and must not be told.
#[tokio::test]
async fn advice_on_rights_names_the_true_cause() {
    let anonymous = "jobs.herdctl.dev is forbidden: User \"system:anonymous\" cannot list resource \"jobs\" in API group \"herdctl.dev\" in the namespace \"team-a\"";
    let acting = "users \"jane\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope";
    let group = "groups \"admins\" is forbidden: User \"bob\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope";
    for (arguments, words, told, not_told) in [
        (
            &[][..],
            anonymous,
            "error: the API server does not know you: the user dev in /",
            "rolebinding",
        ),
        (
            &["--as", "jane"],
            acting,
            "error: you may not act as jane\n",
            "clusterrole=view",
        ),
        (
            &["--as", "jane"],
            acting,
            "next: do it as bob: leave out --as",
            "rolebinding",
        ),
        (
            &["--as", "jane", "--as-group", "admins"],
            group,
            "error: you may not act as jane with these groups\n",
            "rolebinding",
        ),
        // Whoever acts as the anonymous user has credentials.
        (
            &["--as", "system:anonymous"],
            anonymous,
            "--clusterrole=view --user=system:anonymous",
            "no credentials",
        ),
    ] {
        let cluster = Cluster::start();
        let refusal = status(403, "Forbidden", words, json!({"kind": "jobs"}));
        cluster.fail("/jobs", 9, 403, refusal);
        let arguments = [arguments, &["jobs", "list"]].concat();
        let ran = cluster.program.run(&arguments).await.exits(1);
        assert!(
            !ran.stderr.contains(not_told),
            "{not_told:?} is in {ran:#?}"
        );
        ran.says(&[told]);
    }
}

/// In the words of Kubernetes 1.36, where the right to act as somebody has parts.
#[tokio::test]
async fn a_right_to_act_as_somebody_is_told_by_each_verb() {
    let acting = "users.authentication.k8s.io \"jane\" is forbidden: User \"dev\" cannot impersonate:user-info resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope";
    let listing = "jobs.herdctl.dev is forbidden: User \"dev\" cannot impersonate-on:user-info:list resource \"jobs\" in API group \"herdctl.dev\" in the namespace \"team-a\"";
    let creating = "jobs.herdctl.dev is forbidden: User \"dev\" cannot impersonate-on:user-info:create resource \"jobs\" in API group \"herdctl.dev\" in the namespace \"team-a\"";
    let looking = "forbidden: User \"dev\" cannot impersonate-on:user-info:get path \"/version\"";
    let account = "serviceaccounts \"bot\" is forbidden: User \"dev\" cannot impersonate:serviceaccount resource \"serviceaccounts\" in API group \"authentication.k8s.io\" in the namespace \"team-a\"";
    let list = &["jobs", "list"][..];
    for (verb, words, told, right) in [
        (list, acting, "jane\n", "to impersonate users for dev"),
        (
            list,
            account,
            "jane\n",
            "to impersonate serviceaccounts for dev",
        ),
        (
            list,
            listing,
            "jane to list jobs.herdctl.dev in namespace team-a\n",
            "to impersonate-on:user-info:list jobs, or to impersonate users for dev",
        ),
        (
            &["run", "reviewer"],
            creating,
            "jane to create jobs.herdctl.dev job-",
            "to impersonate-on:user-info:create jobs",
        ),
        (
            &["doctor"],
            looking,
            "jane to get /version\n",
            "to impersonate-on:user-info:get /version",
        ),
        (
            &["doctor"],
            acting,
            "jane\n",
            "to impersonate users for dev",
        ),
    ] {
        let cluster = Cluster::start();
        cluster.agent("reviewer");
        for to in ["/jobs", "/agents", "/version"] {
            cluster.fail(to, 9, 403, status(403, "Forbidden", words, json!({})));
        }
        let arguments = [&["--as", "jane"], verb].concat();
        let ran = cluster.program.run(&arguments).await.exits(1);
        assert!(
            !ran.stderr.contains("rolebinding") && !ran.stderr.contains("may not get version"),
            "{ran:#?}"
        );
        ran.says(&[
            &format!("error: you may not act as {told}"),
            "next: do it as dev: leave out --as",
            &format!("ask an administrator of the cluster for the right {right}"),
        ]);
    }
}

#[tokio::test]
async fn what_belongs_to_no_namespace_is_not_told_with_one() {
    let cluster = Cluster::start();
    let words = "forbidden: User \"jane\" cannot get path \"/version\"";
    cluster.fail(
        "/version",
        9,
        403,
        status(403, "Forbidden", words, json!({})),
    );
    let ran = cluster.program.run(&["doctor"]).await.exits(1);
    ran.says(&[
        "error: you may not get /version\n",
        "next: ask an administrator of the cluster for the role system:discovery: kubectl create clusterrolebinding herd-system-discovery-jane --clusterrole=system:discovery --user=jane\n",
    ]);
}

#[tokio::test]
async fn a_quota_is_not_taken_for_a_missing_right() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let words = "jobs.herdctl.dev \"x\" is forbidden: exceeded quota: jobs, requested: 1, used: 5, limited: 5";
    cluster.fail(
        "POST /apis/herdctl.dev",
        1,
        403,
        status(403, "Forbidden", words, json!({"kind": "jobs"})),
    );
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(1);
    assert!(!ran.stderr.contains("may not"), "{ran:#?}");
    ran.says(&["error: failed to create jobs.herdctl.dev", "exceeded quota"]);
}

#[tokio::test]
async fn a_cluster_without_herdctl_says_how_to_install_it() {
    let cluster = Cluster::start();
    cluster.fail("herdctl.dev", 99, 404, "404 page not found\n");
    for arguments in [
        &["jobs", "list"][..],
        &["jobs", "show", "x"],
        &["run", "reviewer"],
    ] {
        let ran = cluster.program.run(arguments).await.exits(1);
        ran.says(&[
            "error: herdctl is not installed on the cluster at http://127.0.0.1:",
            "helm install herd",
        ]);
    }
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_named() {
    let cluster = Cluster::start();
    for arguments in [
        &["-n", "team-b", "jobs", "list"][..],
        &["-n", "team-b", "jobs", "show", "x"],
        &["-n", "team-b", "jobs", "show", "@last"],
        &["-n", "team-b", "run", "reviewer"],
        &["-n", "team-b", "jobs", "cancel", "--agent", "reviewer"],
    ] {
        let ran = cluster.program.run(arguments).await.exits(1);
        ran.says(&[
            "error: there is no namespace team-b",
            "next: name another: -n NAME",
        ]);
    }
}

#[tokio::test]
async fn what_the_schema_refuses_is_told_field_by_field() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let details = json!({"kind": "Job", "name": "x", "causes": [
        {"field": "spec.model", "message": "should match a pattern", "reason": "FieldValueInvalid"}]});
    cluster.fail(
        "POST /apis/herdctl.dev",
        1,
        422,
        status(422, "Invalid", "Job is invalid", details),
    );
    let ran = cluster
        .program
        .run(&["run", "reviewer", "--model", "-"])
        .await
        .exits(1);
    ran.says(&[
        "error: the API server refused to create jobs.herdctl.dev",
        "because: spec.model: should match a pattern",
    ]);
}

#[tokio::test]
async fn a_name_that_is_taken_is_told() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    cluster.job("nightly", 60, json!({"phase": "completed"}));
    let ran = cluster
        .program
        .run(&["run", "reviewer", "--name", "nightly"])
        .await
        .exits(1);
    ran.says(&[
        "error: there is a Job nightly already in namespace team-a",
        "choose another --name",
    ]);
}

/// Each part of the way to the output, by what is answered when it is away.
#[tokio::test]
async fn the_part_that_does_not_answer_is_named_and_the_job_goes_on() {
    let from_gateway = status(
        503,
        "ServiceUnavailable",
        "the output store is not there",
        json!({"kind": "joboutputs", "name": "x"}),
    );
    let from_api_server = status(
        500,
        "InternalError",
        "etcdserver: leader changed",
        json!({}),
    );
    for (code, body, part) in [
        (
            503,
            "service unavailable\n".to_owned(),
            "the output gateway does not answer",
        ),
        (
            503,
            "error trying to reach service: dial tcp 10.0.0.1:10250: connect: connection refused"
                .to_owned(),
            "the output gateway does not answer",
        ),
        (503, from_gateway, "the output store does not answer"),
        (500, from_api_server, "the API server does not answer"),
    ] {
        let cluster = Cluster::start();
        let name = minted("7f3c0a1b");
        cluster.job(&name, 60, json!({"phase": "running"}));
        cluster.fail("/log", 9, code, body);
        let ran = cluster
            .program
            .run(&["jobs", "logs", "7f3c"])
            .await
            .exits(1);
        ran.says(&[
            "error: can't read the output of job-7f3c",
            part,
            "the Job continues, and its output is kept",
            "jobs logs -f 7f3c0a1b\n",
        ]);
    }
}

#[tokio::test]
async fn a_cluster_without_the_output_api_is_told_so() {
    let cluster = Cluster::start();
    let name = minted("7f3c0a1b");
    cluster.job(&name, 60, json!({"phase": "running"}));
    cluster.fail("output-v1", 9, 404, "404 page not found\n");
    let ran = cluster
        .program
        .run(&["jobs", "logs", "7f3c"])
        .await
        .exits(1);
    ran.says(&[
        "has no output API",
        "kubectl get apiservice output-v1.herdctl.dev",
    ]);
}

#[tokio::test]
async fn a_page_of_a_proxy_becomes_one_clean_line() {
    let cluster = Cluster::start();
    cluster.fail(
        "/jobs",
        9,
        502,
        "<html>\n\x1b[2J<b>Bad Gateway</b>\n</html>",
    );
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains('\x1b'), "{ran:#?}");
    ran.says(&["because: <html> [2J<b>Bad Gateway</b> </html>"]);
}

#[tokio::test]
async fn a_request_that_is_put_off_goes_out_again_when_the_api_server_says() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let busy = status(429, "TooManyRequests", "too many requests", json!({}));
    cluster.adds_header("/jobs", "retry-after", "1");
    cluster.fail(
        "POST /apis/herdctl.dev/v1alpha1/namespaces/team-a/jobs?",
        2,
        429,
        busy,
    );
    let ran = cluster
        .program
        .run(&["run", "reviewer", "--name", "put-off"])
        .await;
    ran.exits(0);
    assert_eq!(
        cluster.count("POST /apis/herdctl.dev/v1alpha1/namespaces/team-a/jobs"),
        3
    );
    assert_eq!(cluster.look().jobs.len(), 1);
}

#[tokio::test]
async fn an_api_server_that_stays_overloaded_is_told_with_that_cause() {
    let cluster = Cluster::start();
    let busy = status(429, "TooManyRequests", "too many requests", json!({}));
    cluster.adds_header("/jobs", "retry-after", "60");
    cluster.fail("/jobs?", usize::MAX, 429, busy);
    let ran = cluster.program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&["the API server is overloaded", "next: try again"]);
    assert_eq!(cluster.count("/jobs?"), 1);
}

#[tokio::test]
async fn what_the_api_server_warns_of_is_printed_once_and_not_as_data() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    cluster.adds_header(
        "/jobs",
        "warning",
        r#"299 - "a prompt is \"required\" from June on""#,
    );
    let listed = cluster
        .program
        .run(&["jobs", "list", "-o", "json"])
        .await
        .exits(0);
    assert_eq!(listed.stderr, "⚠ a prompt is \"required\" from June on\n");
    let ran = cluster.program.run(&["run", "reviewer"]).await.exits(0);
    assert_eq!(ran.stderr.matches("required").count(), 1, "{}", ran.stderr);
}
