//! What the controller remembers of the cluster: our kinds whole, Jobs that have ended and pods pruned to what
//! decisions need.

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, PodSpec};
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::api::{
    agent::Agent,
    job::{Job, MOST_ATTEMPTS, STORE_CA_ANNOTATION},
    protocol,
};
use crate::kubernetes::watch::prune;
use crate::plan::{
    facts::{self, AGENT_CONTAINER, PodFacts},
    pod::{self, LABEL_JOB, LABEL_JOB_UID},
};

/// The caches, each filled by one watch.
#[derive(Clone)]
pub struct Caches {
    pub jobs: Store<Job>,
    pub agents: Store<Agent>,
    pub pods: Store<Pod>,
    /// The ConfigMap in which the store publishes its CA certificates.
    pub store_ca: Store<ConfigMap>,
    /// Which of them have been filled once. The stores can tell too, but only one who waits for it.
    pub filled: Filled,
}

/// Set by the watches, one for each cache.
#[derive(Clone, Default)]
pub struct Filled {
    pub jobs: Arc<AtomicBool>,
    pub agents: Arc<AtomicBool>,
    pub pods: Arc<AtomicBool>,
    pub store_ca: Arc<AtomicBool>,
}

impl Filled {
    /// True once every cache has been filled: before that, what is missing proves nothing.
    pub fn all(&self) -> bool {
        let Filled {
            jobs,
            agents,
            pods,
            store_ca,
        } = self;
        [jobs, agents, pods, store_ca]
            .iter()
            .all(|filled| filled.load(Ordering::Relaxed))
    }
}

impl Caches {
    /// The Agent that a Job names, in the Job's own namespace.
    pub fn agent_of(&self, job: &Job) -> Option<Arc<Agent>> {
        let namespace = job.namespace().unwrap_or_default();
        self.agents
            .get(&ObjectRef::new(&job.spec.agent).within(&namespace))
    }

    /// The pod of a Job's last attempt.
    pub fn pod_of(&self, job: &Job) -> Option<Arc<Pod>> {
        let namespace = job.namespace().unwrap_or_default();
        let attempt = job.status.as_ref()?.attempt()?;
        self.pods
            .get(&ObjectRef::new(&attempt.pod).within(&namespace))
    }

    /// The pods of a Job's attempts before the last.
    pub fn earlier_pods_of(&self, job: &Job) -> Vec<Arc<Pod>> {
        let namespace = job.namespace().unwrap_or_default();
        let Some(status) = &job.status else {
            return Vec::new();
        };
        let last = status.attempt().map(|attempt| attempt.number);
        let earlier = status.attempts.iter();
        earlier
            .filter(|attempt| Some(attempt.number) != last)
            .filter_map(|attempt| {
                self.pods
                    .get(&ObjectRef::new(&attempt.pod).within(&namespace))
            })
            .collect()
    }

    /// The pods of Jobs that had this one's name before, or of the one that has it by now.
    pub fn pods_of_namesakes(&self, job: &Job) -> Vec<Arc<Pod>> {
        let namespace = job.namespace().unwrap_or_default();
        let names = (1..=MOST_ATTEMPTS).map(|number| pod::name(&job.name_any(), number));
        names
            .filter_map(|name| self.pods.get(&ObjectRef::new(&name).within(&namespace)))
            .filter(|pod| {
                let owner = PodFacts::from(pod.as_ref()).owner;
                owner.is_some() && owner != job.uid()
            })
            .collect()
    }

    /// The pods that say they are this Job's.
    pub fn pods_of(&self, job: &ObjectRef<Job>) -> Vec<Arc<Pod>> {
        let theirs = |pod: &Arc<Pod>| owner(pod).is_some_and(|owner| owner == *job);
        let mut pods: Vec<_> = self.pods.state().into_iter().filter(theirs).collect();
        // The cache has no order, and what is done should not depend on chance.
        pods.sort_by_key(|pod| pod.name_any());
        pods
    }

    /// Every Job to look at: those that there are, and those that are gone and have left pods behind.
    pub fn every_job(&self) -> Vec<ObjectRef<Job>> {
        let jobs = self.jobs.state().into_iter();
        let there = jobs.map(|job| ObjectRef::from_obj(job.as_ref()));
        let pods = self.pods.state().into_iter();
        let gone = pods
            .filter_map(|pod| owner(&pod))
            .filter(|job| self.jobs.get(job).is_none());
        there.chain(gone).collect()
    }

    /// The store's CA certificates (PEM), once it has started.
    pub fn store_ca(&self) -> Option<String> {
        let published = self.store_ca.state();
        let text = published.first()?.data.as_ref()?.get(protocol::CA_KEY)?;
        (!text.is_empty()).then(|| text.clone())
    }

    /// Jobs that have not ended and name this Agent: they wait for it, or end with it.
    pub fn jobs_of(&self, agent: &Agent) -> Vec<ObjectRef<Job>> {
        let theirs = |job: &&Arc<Job>| {
            job.spec.agent == agent.name_any()
                && job.namespace() == agent.namespace()
                && job.status.as_ref().is_none_or(|status| !status.is_final())
        };
        self.jobs
            .state()
            .iter()
            .filter(theirs)
            .map(|job| ObjectRef::from_obj(job.as_ref()))
            .collect()
    }
}

/// The Job that a pod's controller reference names or, where that was taken off, our label while our finalizer
/// holds the pod.
pub fn owner(pod: &Pod) -> Option<ObjectRef<Job>> {
    let namespace = pod.namespace()?;
    let by_label = || {
        pod.labels()
            .get(LABEL_JOB)
            .filter(|_| facts::is_held(pod.meta()))
    };
    let name = facts::controller(pod.meta()).map(|owner| &owner.name);
    let name = name.or_else(by_label)?;
    Some(ObjectRef::new(name).within(&namespace))
}

/// Of a Job that has ended, which may stay for years, only what still has to be done counts: most of its object
/// is what its agent was told. A status is written whole, so it is never written from what is left here
/// ([`super::view::View::must_be_live`]).
pub fn prune_job(job: &mut Job) {
    prune(job);
    let Some(status) = job.status.as_mut().filter(|status| status.is_final()) else {
        return;
    };
    status.agent = None;
    status.result = None;
    job.spec.prompt = None;
    job.spec.resume_prompt = None;
    job.spec.output_schema = None;
    if let Some(annotations) = &mut job.metadata.annotations {
        annotations.clear();
    }
}

/// A pod as it comes is some 50 kB, mostly managed fields, the run's inputs and a spec that we wrote
/// ourselves.
pub fn prune_pod(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|name, _| name == STORE_CA_ANNOTATION);
    }
    if let Some(labels) = &mut pod.metadata.labels {
        labels.retain(|name, _| name == LABEL_JOB || name == LABEL_JOB_UID);
    }
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name,
        scheduling_gates: spec.scheduling_gates,
        init_containers: spec.init_containers.map(prune_containers),
        containers: prune_containers(spec.containers),
        ..PodSpec::default()
    });
}

/// Which containers there are, whether they are as we wrote them, and the names of their variables, by which
/// values are known in what Kubernetes says of the pod.
fn prune_containers(containers: Vec<Container>) -> Vec<Container> {
    let named = |variable: EnvVar| EnvVar {
        name: variable.name,
        ..EnvVar::default()
    };
    let pruned = containers.into_iter().map(|it| Container {
        command: it.command.filter(|_| it.name == AGENT_CONTAINER),
        image: it.image.filter(|_| it.name == AGENT_CONTAINER),
        name: it.name,
        restart_policy: it.restart_policy,
        env: it.env.map(|all| all.into_iter().map(named).collect()),
        ..Container::default()
    });
    pruned.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pruned_pod_still_tells_which_words_are_values() {
        let pod = json!({
            "metadata": {"name": "hello-1"},
            "spec": {"nodeName": "node1", "containers": [
                {"name": "agent", "env": [{"name": "npm_token", "value": "v"}]}
            ]},
            "status": {"phase": "Failed", "message": "invalid environment variable \"npm_token=secret\""},
        });
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        let whole = PodFacts::from(&pod);
        prune_pod(&mut pod);
        assert_eq!(PodFacts::from(&pod), whole);
        assert!(!whole.message.unwrap().contains("secret"));
        assert!(!serde_json::to_string(&pod).unwrap().contains("\"v\""));
    }

    #[test]
    fn a_job_that_has_ended_is_kept_without_what_its_agent_was_told() {
        let job = |phase: &str| -> Job {
            serde_json::from_value(json!({
                "apiVersion": "herdctl.dev/v1alpha1", "kind": "Job",
                "metadata": {"name": "hello", "uid": "u", "finalizers": ["herdctl.dev/record"],
                    "annotations": {"note": "n".repeat(4096)}},
                "spec": {"agent": "reviewer", "prompt": "p".repeat(98_304)},
                "status": {"phase": phase, "sessionId": "s",
                    "agent": {"generation": 1, "spec": {"systemPrompt": "p".repeat(98_304)}},
                    "result": {"text": "t".repeat(2048), "truncated": false}},
            }))
            .unwrap()
        };
        let mut ended = job("failed");
        prune_job(&mut ended);
        let size = serde_json::to_vec(&ended).unwrap().len();
        assert!(size < 512, "{size}");
        assert_eq!(ended.spec.agent, "reviewer");
        assert_eq!(ended.finalizers(), ["herdctl.dev/record"]);
        let mut running = job("running");
        prune_job(&mut running);
        let whole = job("running");
        assert!(running.spec == whole.spec && running.status == whole.status);
    }
}
