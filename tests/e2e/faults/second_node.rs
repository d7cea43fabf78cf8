//! The second node: kept free of all pods but those of the tests that harm it, one of them at a time.

use std::{env, path::Path, process::Output, sync::LazyLock};

use herdctl::api::agent::AgentSpec;
use k8s_openapi::api::core::v1::{Node, Toleration};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{process::Command, sync::Mutex};

use crate::{
    cluster,
    node::{self, Process},
    team::unique,
    wait::{RUN, until, until_true},
};

/// Its name.
pub const NODE: &str = "node2";
/// The taint that `tests/e2e/run` gives it.
const TAINT: &str = "faults";
/// The label by which pods find it, and whatever node takes its place.
const LABEL: &str = "herdctl.dev/faults";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// How long its pods stay once it is silent; Kubernetes' own default is five minutes. A node that speaks
/// again is still marked so for some seconds, and may be given a pod meanwhile.
const TOLERATED_SECONDS: i64 = 10;

static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// The node in the hands of one test. [`SecondNode::end`] brings it back as it was.
pub struct SecondNode {
    nodes: Api<Node>,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl SecondNode {
    pub async fn take() -> SecondNode {
        let turn = TURN.lock().await;
        let node = SecondNode {
            nodes: Api::all(cluster::as_platform().await),
            _turn: turn,
        };
        // A test that failed may have left it as it was then.
        node.restore().await;
        node
    }

    /// Sends an Agent's pods there.
    pub fn on_it(spec: &mut AgentSpec) {
        let pod = spec.pod.get_or_insert_default();
        pod.node_selector = Some([(LABEL.to_owned(), "true".to_owned())].into());
        let tolerate = |key: &str, effect: &str, seconds| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            toleration_seconds: seconds,
            ..Toleration::default()
        };
        pod.tolerations = Some(vec![
            tolerate(TAINT, "NoSchedule", None),
            tolerate(
                "node.kubernetes.io/not-ready",
                "NoExecute",
                Some(TOLERATED_SECONDS),
            ),
            tolerate(
                "node.kubernetes.io/unreachable",
                "NoExecute",
                Some(TOLERATED_SECONDS),
            ),
        ]);
    }

    /// As by a power cut. Returns when no process of it is left.
    pub async fn power_off(&self) {
        script("power", &[NODE, "off"]).await;
        until_true("no process of the node lives", RUN, || async {
            let left = self.processes();
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
    }

    pub async fn power_on(&self) {
        script("power", &[NODE, "on"]).await;
    }

    pub async fn restart(&self, program: &str) {
        script("restart", &[NODE, program]).await;
    }

    /// All that runs in its pods.
    fn processes(&self) -> Vec<Process> {
        node::processes(&format!("/{NODE}/"))
    }

    /// The API server has not heard of it for long enough.
    pub async fn not_ready(&self) {
        self.until_ready("silent", "Unknown").await;
    }

    pub async fn ready(&self) {
        self.until_ready("ready", "True").await;
    }

    async fn until_ready(&self, wanted: &str, status: &str) {
        until(&self.nodes, NODE, wanted, RUN, |node: &Node| {
            let conditions = node
                .status
                .iter()
                .flat_map(|it| it.conditions.iter().flatten());
            conditions
                .filter(|it| it.type_ == "Ready")
                .any(|it| it.status == status)
        })
        .await;
    }

    /// As an administrator does who made sure that the machine is off.
    pub async fn out_of_service(&self) {
        let taints = json!([
            {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"},
            {"key": TAINT, "effect": "NoSchedule"},
        ]);
        self.patch(NODE, json!({"spec": {"taints": taints}})).await;
    }

    /// As before a repair: no new pod goes there.
    pub async fn cordon(&self) {
        self.nodes.cordon(NODE).await.unwrap();
    }

    /// As an administrator, or a cloud, does with a machine that is gone for good.
    pub async fn delete(&self) {
        self.nodes
            .delete(NODE, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Lets the first node take the pods that this one can't.
    pub async fn replace(&self) {
        let label = json!({"metadata": {"labels": {LABEL: "true"}}});
        self.patch("node1", label).await;
    }

    async fn patch(&self, name: &str, change: Value) {
        self.nodes
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    /// No packet passes between the node and the API server; pods talk on.
    pub fn cut(&self) -> Cut {
        let table = unique("herd").replace('-', "_");
        let rules = format!(
            "table inet {table} {{
               chain to {{ type filter hook output priority -10; tcp dport 6443 drop; }}
               chain from {{ type filter hook input priority -10; tcp sport 6443 drop; }}
             }}"
        );
        in_its_network(&["nft", &rules]).unwrap();
        Cut { table }
    }

    /// Brings it back as it was.
    pub async fn end(self) {
        self.restore().await;
    }

    /// The same, and the test goes on with it.
    pub async fn restore(&self) {
        self.patch("node1", json!({"metadata": {"labels": {LABEL: null}}}))
            .await;
        self.power_on().await;
        // The kubelet makes its node's object anew, without what was put on it.
        until_true("the second node is known", RUN, || async {
            match self.nodes.get_opt(NODE).await.unwrap() {
                Some(_) => Ok(()),
                None => Err("there is no such node".to_owned()),
            }
        })
        .await;
        let taints = json!([{"key": TAINT, "effect": "NoSchedule"}]);
        self.patch(
            NODE,
            json!({"metadata": {"labels": {LABEL: "true"}}, "spec": {"taints": taints, "unschedulable": null}}),
        )
        .await;
        self.ready().await;
    }

    /// Its kubelet.
    pub fn kubelet(&self) -> Process {
        node::program(NODE, "kubelet").expect("the kubelet runs")
    }

    /// Ends the kubelet as a crash does.
    pub fn kill_kubelet(&self) {
        assert!(self.kubelet().signal(Signal::KILL));
    }
}

/// While it lasts, the API server and the node hear nothing of each other.
pub struct Cut {
    table: String,
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Err(error) = in_its_network(&["nft", "delete", "table", "inet", &self.table]) {
            eprintln!("a fault stays: {error}");
        }
    }
}

fn in_its_network(command: &[&str]) -> Result<(), String> {
    let network = node::namespace_of(NODE, "net");
    let status = std::process::Command::new("nsenter")
        .arg(format!("--net={}", network.display()))
        .args(command)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{command:?} failed on {NODE}")),
    }
}

/// Runs one of the scripts that care for the local cluster.
async fn script(name: &str, arguments: &[&str]) -> Output {
    let script = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("deploy/local")
        .join(name);
    let done = Command::new(script)
        .args(arguments)
        .env("NAME", cluster::name())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{name} {arguments:?}: {said}");
    done
}
