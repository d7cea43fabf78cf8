//! In a pod, and without any kubeconfig.

use serde_json::json;

use super::{Kit, PROXY, laid_over};
use crate::{
    row::{Expected, Row},
    world::HTTP,
};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let pod = |name| {
        Row::bare(name)
            .set("KUBERNETES_SERVICE_HOST", "10.99.0.1")
            .set("KUBERNETES_SERVICE_PORT", "6443")
    };
    vec![
        pod("a pod"),
        pod("a pod by IPv6").set("KUBERNETES_SERVICE_HOST", "fd00:99::1"),
        pod("a pod in a namespace of its own").set("POD_NAMESPACE", "team-c"),
        pod("a pod with a flag")
            .with(&["-n", "team-b", "--as", "jane"])
            .expected(Expected::OnlyHerdctlWorks),
        pod("a pod behind a proxy").set("HTTPS_PROXY", &format!("http://{PROXY}:{HTTP}")),
        pod("a pod with a kubeconfig").file(".kube/config", &kit.usual().to_string()),
        pod("a pod with a kubeconfig without a current-context").file(
            ".kube/config",
            &laid_over(kit.usual(), json!({"current-context": ""})).to_string(),
        ),
        pod("a pod with a kubeconfig that is missing").set("KUBECONFIG", "/nowhere"),
        pod("a pod and a context that is missing")
            .with(&["--context", "gone"])
            .says("has no context gone"),
    ]
}
