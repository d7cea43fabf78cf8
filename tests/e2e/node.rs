//! Processes as the machine under the cluster sees them: the node's own namespaces hide nothing from it.

use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster;

/// A process of the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub name: String,
}

impl Process {
    /// False: it was gone already.
    pub fn signal(&self, signal: Signal) -> bool {
        let pid = Pid::from_raw(self.pid).expect("a process id is above zero");
        kill_process(pid, signal).is_ok()
    }

    pub fn lives(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }
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
    Ok(Some(Process { pid, name }))
}

/// The processes of a pod that are not ours: the agent, and whatever it started.
pub fn agent_processes(pod_uid: &str) -> Vec<Process> {
    let mut found = processes(&format!("/pod{pod_uid}"));
    found.retain(|process| !["herd-runner", "pause", "busybox"].contains(&process.name.as_str()));
    found
}
