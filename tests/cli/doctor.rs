//! `doctor`: right on healthy and on broken installs, with few rights too, and what `--fix` removes.

mod install;

use chrono::TimeDelta;
use serde_json::{Value, json};

use self::install::{
    ALL_PODS, API_SERVICE, DEPLOYMENTS, GROUPS, LEASE, PODS, SCHEMA, SERVICE, STATEFUL_SETS,
    healthy, held, list, without_operator,
};
use crate::{
    cluster::{Cluster, status},
    program::Ran,
};

async fn doctor(cluster: &Cluster) -> Ran {
    cluster.program.run(&["doctor"]).await
}

fn set(cluster: &Cluster, path: &str, object: Value) {
    cluster.change(|world| world.objects.insert(path.into(), object));
}

fn remove(cluster: &Cluster, path: &str) {
    cluster.change(|world| world.objects.remove(path));
}

fn forbidden(cluster: &Cluster, to: &'static str) {
    let words = "User \"jane\" cannot create resource \"these\"";
    let answer = status(403, "Forbidden", words, json!({}));
    cluster.fail(to, 99, 403, answer);
}

/// The only line that is not good is this one, with this next step.
#[track_caller]
fn only(ran: Ran, line: &str, next: &str) {
    let wrong: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with(['✖', '⚠']))
        .collect();
    assert!(
        wrong.len() == 1 && wrong[0].contains(line),
        "{line:?} is not the only complaint of {ran:#?}"
    );
    ran.prints(&[&format!("  next: {next}")]);
}

#[tokio::test]
async fn a_healthy_install_is_told_line_by_line() {
    let ran = doctor(&healthy()).await.exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let good = |line: &&&str| line.starts_with("✔ ");
    assert_eq!(lines.iter().filter(good).count(), lines.len(), "{ran:#?}");
    ran.prints(&[
        "✔ kubernetes: Kubernetes 1.36\n",
        "✔ crds: agents.herdctl.dev and jobs.herdctl.dev, v1alpha1\n",
        "✔ versions: herdctl and operator ",
        "✔ controller: 1 of 1 ready\n",
        "✔ store: 1 of 1 ready\n",
        "✔ gateway: 2 of 2 ready\n",
        "✔ leader: herd-controller-7d9f leads\n",
        "✔ api: output-v1.herdctl.dev is available\n",
        "✔ certificate: the gateways' certificate is good until ",
        "✔ finalizers: nothing that is being deleted waits for the operator\n",
        "✔ namespace: namespace team-a takes agents' pods (Pod Security: restricted)\n",
        "✔ rights: you may run, see and stop Jobs and read their output in team-a\n",
        "✔ output: no Job in team-a waits for the store\n",
        "✔ kubectl: kubectl get jobs lists those of batch; these are kubectl get hj\n",
    ]);
}

#[tokio::test]
async fn a_cluster_without_the_crds_is_named() {
    let cluster = healthy();
    let mut groups = install::groups("v1alpha1");
    groups["items"][1]["versions"][0]["resources"] = json!([]);
    set(&cluster, GROUPS, groups);
    let ran = doctor(&cluster).await.exits(1);
    ran.prints(&[
        "✖ crds: the cluster does not know agents.herdctl.dev and jobs.herdctl.dev",
        "next: helm upgrade --install herd",
    ]);
}

#[tokio::test]
async fn crds_of_another_version_are_named() {
    let cluster = healthy();
    set(&cluster, GROUPS, install::groups("v1beta1"));
    only(
        doctor(&cluster).await.exits(1),
        "crds: the cluster has herdctl.dev in the version v1beta1, and this herdctl knows v1alpha1 only",
        "take the herdctl of the installed version",
    );
}

#[tokio::test]
async fn crds_that_lack_a_field_are_old_and_with_more_fields_new() {
    let cluster = healthy();
    let mut schema = install::schema();
    let spec = "/components/schemas/dev.herdctl.jobs.yaml/properties/spec/properties";
    schema
        .pointer_mut(spec)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("resumePrompt");
    set(&cluster, SCHEMA, schema.clone());
    only(
        doctor(&cluster).await.exits(1),
        "crds: the CRDs are older than this herdctl: they lack Job.spec.resumePrompt",
        "helm upgrade --install herd",
    );
    let spec = schema.pointer_mut(spec).unwrap();
    spec["resumePrompt"] = json!({"type": "string"});
    spec["unheardOf"] = json!({"type": "string"});
    set(&cluster, SCHEMA, schema);
    only(
        doctor(&cluster).await.exits(0),
        "crds: the CRDs are newer than this herdctl: 1 of their fields are unknown to it",
        "take the herdctl of the installed version",
    );
}

#[tokio::test]
async fn a_missing_api_service_is_named() {
    let cluster = healthy();
    remove(&cluster, API_SERVICE);
    only(
        doctor(&cluster).await.exits(1),
        "api: the APIService output-v1.herdctl.dev is missing",
        "helm upgrade --install herd",
    );
}

#[tokio::test]
async fn an_api_service_without_endpoints_is_named_with_its_reason() {
    let cluster = healthy();
    cluster.change(|world| {
        let service = world.objects.get_mut(API_SERVICE).unwrap();
        service["status"]["conditions"] = json!([{"type": "Available", "status": "False",
            "reason": "MissingEndpoints", "message": "endpoints for service/herd-gateway have no addresses"}]);
    });
    only(
        doctor(&cluster).await.exits(1),
        "no namespace of the cluster can be deleted: MissingEndpoints: endpoints for",
        "see how the gateways are: kubectl get pods -A",
    );
}

#[tokio::test]
async fn an_expired_certificate_is_named_and_one_about_to_expire_too() {
    for (left, code, words) in [
        (
            -1,
            1,
            "certificate: the gateways' certificate has expired, on ",
        ),
        (3, 0, "certificate: the gateways' certificate expires on "),
    ] {
        let cluster = healthy();
        set(
            &cluster,
            API_SERVICE,
            install::api_service(TimeDelta::days(left)),
        );
        only(
            doctor(&cluster).await.exits(code),
            words,
            "kubectl rollout restart --namespace herd-system deployment",
        );
    }
}

#[tokio::test]
async fn a_controller_that_is_scaled_to_0_is_named_and_so_is_that_none_leads() {
    let cluster = healthy();
    let parts = list(vec![
        install::workload("controller", 0, 0),
        install::workload("gateway", 2, 2),
    ]);
    set(&cluster, DEPLOYMENTS, parts);
    set(&cluster, LEASE, install::lease(300));
    let ran = doctor(&cluster).await.exits(1);
    ran.prints(&[
        "✖ controller: the controller is scaled to 0: no Job starts or ends\n",
        "  next: kubectl --namespace herd-system scale deployment/herd-controller --replicas=1\n",
        "✖ leader: no controller leads: Jobs stand still; its lease was renewed last 5m ago\n",
    ]);
}

#[tokio::test]
async fn a_store_that_is_down_is_named_with_the_reason_of_its_pod() {
    let cluster = healthy();
    set(
        &cluster,
        STATEFUL_SETS,
        list(vec![install::workload("store", 1, 0)]),
    );
    let pod = json!({"metadata": {"name": "herd-store-0"}, "status": {"containerStatuses": [{
        "name": "store", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}});
    set(
        &cluster,
        "/api/v1/namespaces/herd-system/pods",
        list(vec![pod]),
    );
    only(
        doctor(&cluster).await.exits(1),
        "store: 0 of 1 ready: what agents put out stays in their pods, and can't be read (ImagePullBackOff: no such image)",
        "kubectl --namespace herd-system describe pod/herd-store-0",
    );
}

#[tokio::test]
async fn a_full_volume_is_told_by_the_jobs_that_wait_for_it() {
    let cluster = healthy();
    let stalled = json!({"type": "OutputStalled", "status": "True", "reason": "StorageFull",
        "message": "the store's volume is full", "lastTransitionTime": "2026-01-02T03:04:05Z"});
    cluster.job(
        "waiting",
        60,
        json!({"phase": "running", "conditions": [stalled]}),
    );
    only(
        doctor(&cluster).await.exits(1),
        "output: the store does not take the output of waiting: the store's volume is full",
        "make its volume larger",
    );
}

#[tokio::test]
async fn a_caller_without_rights_is_told_which_are_missing() {
    let cluster = healthy();
    cluster.change(|world| world.denied = vec!["create jobs", "get joboutputs/log"]);
    only(
        doctor(&cluster).await.exits(0),
        "rights: you may not create jobs.herdctl.dev, get joboutputs/log.herdctl.dev in team-a",
        "an administrator can give you the role edit: kubectl create rolebinding herd-edit-dev --namespace team-a --clusterrole=edit --user=dev\n",
    );
    cluster.change(|world| world.denied = vec!["get jobs", "list jobs"]);
    only(
        doctor(&cluster).await.exits(1),
        "rights: you may not get jobs.herdctl.dev, list jobs.herdctl.dev in team-a",
        "an administrator can give you the role view",
    );
}

#[tokio::test]
async fn what_may_not_be_seen_is_a_warning_that_names_the_right() {
    let cluster = healthy();
    for to in [
        "apiservices",
        "customresourcedefinitions",
        "deployments",
        "/leases/",
        "POST /api/v1/namespaces/team-a/pods",
        "GET /api/v1/namespaces/team-a?",
    ] {
        forbidden(&cluster, to);
    }
    let ran = doctor(&cluster).await.exits(0);
    ran.prints(&[
        "⚠ operator: can't tell how the operator is: you may not list deployments in all namespaces\n",
        "✔ api: output-v1.herdctl.dev is served\n",
        "⚠ namespace: can't tell whether namespace team-a takes agents' pods: you may not create pods in team-a\n",
        "✔ crds: ",
    ]);
}

#[tokio::test]
async fn a_namespace_that_refuses_our_pods_is_named_with_the_words_of_the_refusal() {
    let cluster = healthy();
    let words = "pods \"herdctl-doctor-1\" is forbidden: exceeded quota: team, requested: limits.memory=2Gi";
    let answer = status(403, "Forbidden", words, json!({}));
    cluster.fail("POST /api/v1/namespaces/team-a/pods", 99, 403, answer);
    only(
        doctor(&cluster).await.exits(1),
        "namespace: namespace team-a refuses agents' pods (Pod Security: restricted): pods \"herdctl-doctor-1\" is forbidden: exceeded quota",
        "change what refuses them: kubectl get resourcequota,limitrange -n team-a",
    );
    assert_eq!(
        cluster.count("POST /api/v1/namespaces/team-a/pods?&dryRun=All"),
        1
    );
}

#[tokio::test]
async fn a_stuck_finalizer_is_named_and_one_with_time_left_is_not() {
    let cluster = healthy();
    cluster.put(held("job", "young", Some(5), "completed"));
    doctor(&cluster).await.exits(0);
    set(
        &cluster,
        PODS,
        list(vec![held("pod", "old-1", Some(60), "Running")]),
    );
    only(
        doctor(&cluster).await.exits(1),
        "finalizers: deleted, and still held 25 minutes after they should be gone: pod team-a/old-1",
        "see why the controller does not: kubectl --namespace herd-system logs deployment/herd-controller",
    );
}

#[tokio::test]
async fn jobs_that_wait_for_a_missing_secret_are_named() {
    let cluster = healthy();
    cluster.job(
        "keyless",
        60,
        json!({"phase": "pending", "reason": "ConfigMissing",
        "message": "secret \"claude\" not found"}),
    );
    only(
        doctor(&cluster).await.exits(0),
        "jobs: Jobs wait for a Secret or ConfigMap that is missing: keyless: secret \"claude\" not found",
        "herdctl jobs show keyless -n team-a",
    );
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_named() {
    let cluster = healthy();
    let ran = cluster
        .program
        .run(&["doctor", "-n", "nowhere"])
        .await
        .exits(1);
    assert!(!ran.stdout.contains("you may"), "{ran:#?}");
    ran.prints(&["✖ namespace: there is no namespace nowhere\n"]);
    // Also to who may not look at namespaces; the pod that is tried tells.
    let hidden = status(403, "Forbidden", "User \"dev\" cannot get", json!({}));
    cluster.fail("GET /api/v1/namespaces/nowhere?", 9, 403, hidden);
    let gone = json!({"kind": "namespaces", "name": "nowhere"});
    let gone = status(404, "NotFound", "namespaces \"nowhere\" not found", gone);
    cluster.fail("POST /api/v1/namespaces/nowhere/pods", 9, 404, gone);
    let ran = cluster
        .program
        .run(&["doctor", "-n", "nowhere"])
        .await
        .exits(1);
    assert!(!ran.stdout.contains("in nowhere"), "{ran:#?}");
    ran.prints(&["✖ namespace: there is no namespace nowhere\n"]);
}

#[tokio::test]
async fn jobs_are_told_together_only_where_they_wait_for_the_same() {
    let cluster = healthy();
    let wait = |name: &str, reason: &str, message: &str, age: i64| {
        let status = json!({"phase": "pending", "reason": reason, "message": message});
        cluster.job(name, age, status);
    };
    wait("a", "ConfigMissing", "configmap \"nocm\" not found", 60);
    wait("b", "ConfigMissing", "secret \"key\" not found", 60);
    wait("c", "ConfigMissing", "secret \"key\" not found", 60);
    wait("pulls", "ImagePull", "no such image", 600);
    wait("queues", "Scheduling", "0/2 nodes are available", 600);
    for young in ["young-1", "young-2"] {
        wait(young, "ImagePull", "pulling it", 5);
    }
    let ran = doctor(&cluster).await.exits(0);
    assert!(!ran.stdout.contains("young"), "{ran:#?}");
    ran.prints(&[
        "that is missing: b, c: secret \"key\" not found\n  next: herdctl jobs show b -n team-a\n",
        "that is missing: a: configmap \"nocm\" not found\n",
        "⚠ jobs: Jobs have waited long for their image: pulls: no such image\n",
        "⚠ jobs: Jobs have waited long for a node: queues: 0/2 nodes are available\n",
    ]);
}

#[tokio::test]
async fn many_causes_of_one_reason_are_told_in_few_lines() {
    let cluster = healthy();
    for number in 0..8 {
        let message = format!("secret \"key-{number}\" not found");
        let status = json!({"phase": "pending", "reason": "ConfigMissing", "message": message});
        cluster.job(&format!("job-{number}"), 60, status);
    }
    let ran = cluster.program.run(&["doctor", "-A"]).await.exits(0);
    assert_eq!(ran.stdout.matches("⚠ jobs: Jobs wait").count(), 5);
    ran.prints(&[
        "that is missing: team-a/job-0: secret",
        "⚠ jobs: 3 Jobs more wait for a Secret or ConfigMap that is missing, with other messages\n",
        "  next: herdctl jobs list --reason ConfigMissing -A\n",
        "✔ output: no Job in any namespace waits for the store\n",
    ]);
}

#[tokio::test]
async fn a_short_name_that_another_group_has_too_is_named() {
    let cluster = healthy();
    let mut groups = install::groups("v1alpha1");
    let other = json!({"metadata": {"name": "example.com"}, "versions": [{"version": "v1",
        "resources": [{"resource": "hajobs", "shortNames": ["hj"], "verbs": []}]}]});
    groups["items"].as_array_mut().unwrap().insert(0, other);
    set(&cluster, GROUPS, groups);
    only(
        doctor(&cluster).await.exits(0),
        "kubectl: kubectl's short name hj belongs to example.com too",
        "write kubectl get jobs.herdctl.dev",
    );
}

/// What `helm uninstall --no-hooks` leaves: Jobs and a pod with our finalizers.
fn abandoned() -> Cluster {
    let cluster = healthy();
    without_operator(&cluster);
    cluster.put(held("job", "ended", None, "completed"));
    cluster.put(held("job", "open", None, "running"));
    // In another namespace than the one that is looked at.
    let pods = list(vec![held("pod", "open-1", Some(1), "Succeeded")]);
    set(&cluster, ALL_PODS, pods);
    cluster
}

#[tokio::test]
async fn what_an_uninstall_without_its_hook_left_is_named() {
    let cluster = abandoned();
    let ran = doctor(&cluster).await.exits(1);
    ran.prints(&[
        "✖ operator: no operator is installed on this cluster\n",
        "✖ finalizers: left of an operator that is gone: 3 objects with our finalizer can't be deleted: job team-a/ended, job team-a/open, pod team-a/open-1\n",
        "  next: herdctl doctor --fix\n",
    ]);
}

#[tokio::test]
async fn an_api_service_whose_service_is_gone_is_named_and_removed() {
    let cluster = healthy();
    without_operator(&cluster);
    set(
        &cluster,
        API_SERVICE,
        install::api_service(TimeDelta::days(20)),
    );
    let ran = doctor(&cluster).await.exits(1);
    ran.prints(&[
        "✖ api: the APIService output-v1.herdctl.dev names a Service that does not exist: no namespace of the cluster can be deleted\n",
        "  next: herdctl doctor --fix\n",
    ]);
    cluster
        .program
        .run(&["doctor", "--fix", "--yes"])
        .await
        .exits(0);
    assert!(!cluster.look().objects.contains_key(API_SERVICE));
}

#[tokio::test]
async fn fixing_asks_first_and_refuses_without_a_terminal() {
    let cluster = abandoned();
    let ran = cluster.program.run(&["doctor", "--fix"]).await.exits(2);
    ran.says(&[
        "pause Jobs that have not ended, and end their pods: team-a/open",
        "remove our finalizer from 3 Jobs and pods",
        "this would change the cluster as listed",
        "add --yes",
    ]);
    assert_eq!(cluster.count("PATCH") + cluster.count("DELETE"), 0);
}

#[tokio::test]
async fn fixing_lets_go_of_everything() {
    let cluster = abandoned();
    let ran = cluster
        .program
        .run(&["doctor", "--fix", "--yes"])
        .await
        .exits(0);
    ran.prints(&[
        "→ pausing 1 Job\n",
        "→ releasing 1 pod and 2 Jobs\n",
        "→ nothing is held any more\n",
    ]);
    let world = cluster.look();
    for name in ["ended", "open"] {
        assert_eq!(
            world.jobs[name]["metadata"]["finalizers"],
            json!([]),
            "{name}"
        );
    }
    assert_eq!(world.jobs["open"]["spec"]["suspend"], json!(true));
    assert_eq!(
        world.objects[ALL_PODS]["items"][0]["metadata"]["finalizers"],
        json!([])
    );
}

#[tokio::test]
async fn fixing_goes_on_past_what_is_refused_and_tries_it_again() {
    let cluster = abandoned();
    forbidden(
        &cluster,
        "PATCH /apis/herdctl.dev/v1alpha1/namespaces/team-a/jobs/open",
    );
    let ran = cluster.program.start(&["doctor", "--fix", "--yes"]);
    cluster
        .until("the other Job is released", |world| {
            world.jobs["ended"]["metadata"]["finalizers"] == json!([])
        })
        .await;
    cluster.change(|world| world.faults.clear());
    ran.rest().await.exits(0);
}

#[tokio::test]
async fn nothing_is_fixed_while_an_operator_is_installed_or_can_not_be_seen() {
    let cluster = healthy();
    let ran = cluster
        .program
        .run(&["doctor", "--fix", "--yes"])
        .await
        .exits(1);
    ran.says(&["error: an operator is installed in namespace herd-system"]);
    let cluster = abandoned();
    forbidden(&cluster, "deployments");
    let ran = cluster
        .program
        .run(&["doctor", "--fix", "--yes"])
        .await
        .exits(1);
    ran.says(&["error: you may not see whether an operator is installed"]);
    assert_eq!(cluster.count("PATCH") + cluster.count("DELETE"), 0);
}

#[tokio::test]
async fn a_program_gets_the_findings_as_json() {
    let cluster = healthy();
    remove(&cluster, SERVICE);
    let ran = cluster
        .program
        .run(&["doctor", "-o", "json"])
        .await
        .exits(1);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["healthy"], json!(false));
    let api = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["check"] == "api")
        .unwrap();
    assert_eq!(
        (&api["health"], &api["fixable"], &api["next"]),
        (
            &json!("bad"),
            &json!(true),
            &json!(["herdctl doctor --fix"])
        )
    );
}

#[tokio::test]
async fn without_utf8_signs_are_ascii() {
    let cluster = healthy();
    remove(&cluster, API_SERVICE);
    let child = cluster
        .program
        .command(&["doctor"])
        .env("LANG", "C")
        .spawn()
        .unwrap();
    let ran = crate::program::finish(child).await.exits(1);
    assert!(ran.stdout.is_ascii(), "{ran:#?}");
    ran.prints(&["ok crds: ", "x api: "]);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_no_finding_but_an_error() {
    let mut cluster = healthy();
    cluster.stop();
    let ran = doctor(&cluster).await.exits(1);
    ran.says(&["error: can't reach the API server at "]);
}
