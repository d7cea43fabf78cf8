//! Promise: a record is read by whoever may, in its own namespace, as long as they may; and who that is
//! the API server says, nobody else.

use std::{path::Path, process::Command, time::Duration};

use k8s_openapi::api::{core::v1::ServiceAccount, rbac::v1::RoleBinding};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::{
    cluster,
    kubectl::kubectl,
    record::{
        call::{GATEWAY_PORT, addresses, curl},
        reader,
        run::Run,
    },
    team::{Team, namespace::TEAM_A, namespace::TEAM_B, unique},
    wait::{SOON, until_true},
};

/// The gateway remembers an answer for 10 s, and asks again in a follow each 30 s.
const REVOKED: Duration = Duration::from_secs(50);

/// Somebody with no right in team-a but what is bound to them.
struct Somebody {
    name: String,
    client: Client,
}

async fn somebody(team: &Team) -> Somebody {
    let name = unique("reader");
    let accounts: Api<ServiceAccount> = Api::namespaced(team.client.clone(), TEAM_A);
    let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let request = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let answer = accounts
        .create_token_request(&name, &PostParams::default(), &request)
        .await
        .unwrap();
    Somebody {
        client: cluster::by_token(answer.status.unwrap().token).await,
        name,
    }
}

/// Lets somebody do in team-a what the built-in role edit lets.
async fn permit(reader: &Somebody) -> Api<RoleBinding> {
    let bindings: Api<RoleBinding> = Api::namespaced(cluster::as_platform().await, TEAM_A);
    let binding = serde_json::from_value(json!({
        "metadata": {"name": reader.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": reader.name, "namespace": TEAM_A}],
    }))
    .unwrap();
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    bindings
}

async fn waiting(team: &Team) -> Run<'_> {
    let run = Run::start(team, &format!("wait-for-release-{}", unique("read"))).await;
    run.tells("\"subtype\":\"init\"").await;
    run
}

#[tokio::test]
async fn who_asks_for_a_list_of_outputs_is_told_what_to_list() {
    let _team = Team::shared().await;
    let said = kubectl(&["get", "joboutputs"], "").await;
    assert_eq!(said.out, "");
    for words in ["MethodNotAllowed", "cannot be listed", "kubectl get hj"] {
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[tokio::test]
async fn who_has_no_right_reads_nothing_and_who_has_it_elsewhere_neither() {
    let team = Team::shared().await;
    let run = waiting(&team).await;
    let reader = somebody(&team).await;
    assert_eq!(
        reader::output(&reader.client, TEAM_A, &run.job).await,
        Err(403)
    );
    assert!(reader::output(&team.client, TEAM_A, &run.job).await.is_ok());
    assert_eq!(
        reader::output(&team.client, &cluster::system_namespace(), &run.job).await,
        Err(403)
    );
    // dev may read in team-b too, where no such Job is.
    assert_eq!(
        reader::output(&team.client, TEAM_B, &run.job).await,
        Err(404)
    );
    team.cancel(&run.job).await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_the_follow_that_it_began() {
    let team = Team::shared().await;
    let run = waiting(&team).await;
    let reader = somebody(&team).await;
    let bindings = permit(&reader).await;
    until_true("the right has arrived", SOON, || async {
        let read = reader::output(&reader.client, TEAM_A, &run.job).await;
        read.map(|_| ()).map_err(|code| code.to_string())
    })
    .await;
    let mut following = reader::read(&reader.client, TEAM_A, &run.job, "follow=true")
        .await
        .unwrap();
    assert!(!following.line(SOON).await.is_empty());
    bindings
        .delete(&reader.name, &DeleteParams::default())
        .await
        .unwrap();
    // Broken off, which no client takes for the record's end.
    let (rest, end) = following.into_end(REVOKED).await;
    assert!(end.is_err());
    assert!(!String::from_utf8_lossy(&rest).contains("\"type\":\"complete\""));
    assert_eq!(
        reader::output(&reader.client, TEAM_A, &run.job).await,
        Err(403)
    );
    team.cancel(&run.job).await;
}

/// A client certificate: of the API server's front proxy, or one that was made for the test.
struct Certificate<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

/// Calls a gateway as the API server does, with this identity in the headers.
async fn call(path: &str, as_user: &str, by: Option<&Certificate<'_>>) -> u16 {
    let address = addresses("gateway").await[0];
    let url = format!("https://{address}:{GATEWAY_PORT}{path}");
    let user = format!("X-Remote-User: {as_user}");
    let mut arguments = vec!["--insecure", "--header", &user];
    arguments.extend(["--header", "X-Remote-Group: system:masters"]);
    if let Some(by) = by {
        arguments.extend(["--cert", by.certificate.to_str().unwrap()]);
        arguments.extend(["--key", by.key.to_str().unwrap()]);
    }
    arguments.push(&url);
    curl(&arguments, b"").await.status
}

/// Signs a certificate by one of the cluster's authorities.
fn sign(folder: &Path, authority: &str, subject: &str) {
    let script = r#"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout key -out request
        openssl x509 -req -in request -CA "$1.crt" -CAkey "$1.key" -set_serial 99 -days 1 -out certificate \
          -extfile <(echo extendedKeyUsage=clientAuth)"#;
    let authority = cluster::state().join("pki").join(authority);
    let mut command = Command::new("bash");
    command
        .args(["-euc", script, "sign"])
        .arg(authority)
        .arg(subject);
    let signed = command.current_dir(folder).output().unwrap();
    assert!(
        signed.status.success(),
        "{}",
        String::from_utf8_lossy(&signed.stderr)
    );
}

#[tokio::test]
async fn an_identity_in_headers_counts_only_over_the_front_proxys_certificate() {
    let team = Team::shared().await;
    let run = waiting(&team).await;
    let path = format!("{}/log", reader::path(TEAM_A, &run.job));
    let pki = cluster::state().join("pki");
    let proxy = Certificate {
        certificate: &pki.join("front-proxy-client.crt"),
        key: &pki.join("front-proxy-client.key"),
    };
    assert_eq!(
        call(&path, "dev", Some(&proxy)).await,
        200,
        "this is how the API server calls"
    );
    assert_eq!(call(&path, "dev", None).await, 401);
    for (authority, subject) in [
        // The right authority and another name; the right name and another authority.
        ("front-ca", "/CN=somebody"),
        ("ca", "/CN=front-proxy-client"),
        ("ca", "/O=system:masters/CN=admin"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        sign(folder.path(), authority, subject);
        let certificate = Certificate {
            certificate: &folder.path().join("certificate"),
            key: &folder.path().join("key"),
        };
        let status = call(&path, "dev", Some(&certificate)).await;
        // 0: the connection itself was refused.
        assert!(
            matches!(status, 401 | 0),
            "{subject} by {authority}: {status}"
        );
    }
    team.cancel(&run.job).await;
}

/// Nobody is told by a refusal whether a Job exists.
#[tokio::test]
async fn without_a_right_a_job_that_is_not_there_looks_like_one_that_is() {
    let team = Team::shared().await;
    let reader = somebody(&team).await;
    let missing = reader::output(&reader.client, TEAM_A, &unique("nothing")).await;
    assert_eq!(missing, Err(403));
    let missing = reader::output(&team.client, TEAM_A, &unique("nothing")).await;
    assert_eq!(missing, Err(404));
}
