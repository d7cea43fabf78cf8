//! Promise: a pod reaches no port of the operator's processes but those that it needs, which speak TLS and know
//! their limits.

use herdctl::api::reason::{ExitReason, Reason};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    cluster,
    status::{assert_ended, status},
    team::Team,
};

/// What the operator's processes listen on by the chart, and where the probes are answered.
const PORTS: [(&str, &[u16]); 3] = [
    ("controller", &[]),
    ("gateway", &[10250]),
    ("store", &[8443]),
];
const TRIED: [u16; 4] = [8080, 8443, 9090, 10250];

#[tokio::test]
async fn an_agent_reaches_only_the_ports_that_speak_tls() {
    let team = Team::shared().await;
    let platform = cluster::as_platform().await;
    let pods: Api<Pod> = Api::namespaced(platform, &cluster::system_namespace());
    let mut commands = Vec::new();
    let mut expected = Vec::new();
    for (component, open) in PORTS {
        let label = format!("app.kubernetes.io/component={component}");
        let found = pods
            .list(&ListParams::default().labels(&label))
            .await
            .unwrap();
        let pod = found
            .items
            .first()
            .unwrap_or_else(|| panic!("no pod of {component}"));
        let address = pod.status.as_ref().and_then(|it| it.pod_ip.clone());
        let address = address.unwrap_or_else(|| panic!("{} has no address", pod.name_any()));
        for port in TRIED {
            commands.push(format!(
                "(timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo {component}:{port})"
            ));
            if open.contains(&port) {
                expected.push(format!("{component}:{port}"));
            }
        }
    }
    let agent = team.agent("bash").await;
    let prompt = format!("RUN: {}; echo tried", commands.join("; "));
    let job = team
        .job_with(&agent, |spec| spec.prompt = Some(prompt))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let said = String::from(status(&done).result.unwrap().text);
    assert!(said.contains("tried"), "{said}");
    let reached: Vec<&str> = said
        .split_whitespace()
        .filter(|word| word.contains(':') && word.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(reached, expected, "{said}");
}
