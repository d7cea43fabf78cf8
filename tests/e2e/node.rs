//! Processes as the machine under the cluster sees them: the node's own namespaces hide nothing from it.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster;

/// The node that the operator and all tests without a wish of their own live on.
const FIRST: &str = "node1";

/// A process of the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub name: String,
    /// Without the program's own name.
    pub arguments: Vec<String>,
    /// When it started, in clock ticks since the machine did: a pid may come back, not both.
    started: String,
}

impl Process {
    /// False: it was gone already.
    pub fn signal(&self, signal: Signal) -> bool {
        let pid = Pid::from_raw(self.pid).expect("a process id is above zero");
        kill_process(pid, signal).is_ok()
    }

    pub fn lives(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|stat| !stat.contains(") Z ") && started(&stat) == self.started)
    }

    /// All that runs in its container.
    pub fn container(&self) -> Vec<Process> {
        let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap();
        // The container's id is the last part of the path in every hierarchy.
        let ids: HashSet<&str> = cgroups
            .lines()
            .filter_map(|line| line.rsplit('/').next())
            .filter(|id| id.len() == 64)
            .collect();
        assert_eq!(ids.len(), 1, "{cgroups}");
        processes(&format!("/{}", ids.iter().next().unwrap()))
    }
}

/// The 22nd field of a stat file; the name in the 2nd may hold anything.
fn started(stat: &str) -> String {
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    rest.split_ascii_whitespace()
        .nth(19)
        .unwrap_or_default()
        .to_owned()
}

/// The processes in those of this cluster's cgroups whose path has `part` in it.
pub fn processes(part: &str) -> Vec<Process> {
    let ours = format!("/herdctl-{}/", cluster::name());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Some(pid) = entry
            .unwrap()
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Ok(Some(process)) = look(pid, &ours, part) {
            found.push(process);
        }
    }
    found
}

/// Fails when the process ends while it is looked at.
fn look(pid: i32, ours: &str, part: &str) -> io::Result<Option<Process>> {
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    if !cgroup
        .lines()
        .any(|line| line.contains(ours) && line.contains(part))
    {
        return Ok(None);
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm"))?
        .trim_end()
        .to_owned();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let line = fs::read(format!("/proc/{pid}/cmdline"))?;
    let line = String::from_utf8_lossy(&line);
    Ok(Some(Process {
        pid,
        name,
        arguments: line.split('\0').skip(1).map(str::to_owned).collect(),
        started: started(&stat),
    }))
}

/// The living processes of a component of the operator: `controller`, `store` or `gateway`.
pub fn operator(component: &str) -> Vec<Process> {
    living("/pod", "herd-operator", component)
}

/// The same of one of its pods.
pub fn operator_in(pod_uid: &str, component: &str) -> Vec<Process> {
    living(&format!("/pod{pod_uid}"), "herd-operator", component)
}

/// The living processes of the runner in a pod: those that `ship`, or that `exec`.
pub fn runner(pod_uid: &str, verb: &str) -> Vec<Process> {
    living(&format!("/pod{pod_uid}"), "herd-runner", verb)
}

fn living(part: &str, name: &str, verb: &str) -> Vec<Process> {
    let mut found = processes(part);
    found.retain(|process| {
        let verb = process.arguments.first().is_some_and(|first| first == verb);
        process.name == name && verb && process.lives()
    });
    found
}

/// A namespace of the first node's, to be entered.
pub fn namespace(kind: &str) -> PathBuf {
    namespace_of(FIRST, kind)
}

/// A namespace of this node's.
pub fn namespace_of(node: &str, kind: &str) -> PathBuf {
    first_process(node).join("ns").join(kind)
}

/// A path of the node's, with what is mounted there.
pub fn path(path: &Path) -> PathBuf {
    let below = path.strip_prefix("/").expect("a path from the root");
    first_process(FIRST).join("root").join(below)
}

fn first_process(node: &str) -> PathBuf {
    let pid = fs::read_to_string(cluster::state().join("pids").join(node)).unwrap();
    Path::new("/proc").join(pid.trim())
}

/// A program of the node itself, such as its kubelet.
pub fn program(node: &str, name: &str) -> Option<Process> {
    let mut found = processes("/machines");
    let of_node = |process: &Process| process.arguments.iter().any(|word| word == node);
    found.retain(|process| process.name == name && of_node(process) && process.lives());
    found.pop()
}

/// The processes of a pod that are not ours: the agent, and whatever it started.
pub fn agent_processes(pod_uid: &str) -> Vec<Process> {
    let mut found = processes(&format!("/pod{pod_uid}"));
    found.retain(|process| !["herd-runner", "pause", "busybox"].contains(&process.name.as_str()));
    found
}
