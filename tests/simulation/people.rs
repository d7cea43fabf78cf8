//! People, and the rest of the cluster: what they do to Jobs, pods and nodes.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{
    api::{Answer, Key, Resource},
    nodes::{NODES, Step, owner},
    scenario::Deed,
    world::{Event, World},
};

pub const NAMESPACE: &str = "team-a";
/// More than any scenario has.
const JOBS: usize = 4;
/// The number of a Job that continues another: the last.
const CONTINUES: usize = JOBS - 1;
const AGENT: &str = "reviewer";

fn agent() -> Key {
    Key::new(Resource::Agents, NAMESPACE, AGENT)
}

fn store_ca() -> Key {
    Key::new(Resource::ConfigMaps, "herd-system", "herd-store-ca")
}

fn namespace() -> Key {
    Key::new(Resource::Namespaces, "", NAMESPACE)
}

pub fn job(number: usize) -> Key {
    Key::new(Resource::Jobs, NAMESPACE, &format!("job-{number}"))
}

impl World {
    /// What is there before the first moment.
    pub fn furnish(&mut self) {
        for name in ["herd-system", NAMESPACE] {
            let mut namespace = named(name);
            namespace["metadata"]["finalizers"] = json!(["kubernetes"]);
            self.request(
                "POST",
                &Key::new(Resource::Namespaces, "", name),
                &namespace,
            );
        }
        self.create_agent();
        let mut published = named(&store_ca().name);
        published["data"] = json!({"ca.crt": "CA 1"});
        self.request("POST", &store_ca(), &published);
        // Last, so that no list is so old that what controllers watch is not in it.
        for node in NODES {
            self.request("POST", &Key::new(Resource::Nodes, "", node), &named(node));
        }
    }

    pub fn act(&mut self, deed: &Deed) {
        self.trace(format!("{deed:?}"));
        match *deed {
            Deed::CreateJob(number) => drop(self.create_job(number)),
            Deed::Continue(number) => {
                let resume = json!({"resume": {"job": job(number).name}});
                self.create_job_with(CONTINUES, &resume);
            }
            Deed::Refuse(refusal) => self.refusal = Some(refusal),
            Deed::Free => self.refusal = None,
            Deed::Cancel(number) => self.change_job(number, &json!({"cancel": true})),
            Deed::Suspend(number) => self.change_job(number, &json!({"suspend": true})),
            Deed::Resume(number) => self.change_job(number, &json!({"suspend": false})),
            Deed::Forbid(what) => self.forbidden.push(what),
            Deed::Limit(bytes) => {
                self.checks.unwritable = true;
                self.api.limit = Some(bytes);
            }
            Deed::Allow => self.allow(),
            Deed::Unlabel(number) => self.unlabel(number),
            Deed::Burden => {
                let env = json!([{"name": "BURDEN", "value": "x".repeat(20_000)}]);
                drop(self.request("PATCH", &agent(), &json!({"spec": {"env": env}})));
            }
            Deed::Cascade(number, cascade) => self.delete_job(number, cascade),
            Deed::DeleteJob(number) => drop(self.request("DELETE", &job(number), &Value::Null)),
            Deed::DeletePod(number) => self.delete_pod(number, Value::Null),
            Deed::ForcePod(number) => self.delete_pod(number, json!({"gracePeriodSeconds": 0})),
            Deed::StripPod(number) => self.strip_pod(number),
            Deed::StripJob(number) => self.strip_job(number),
            Deed::ReplacePod(number) => self.replace_pod(number),
            Deed::Stranger(number, likeness) => self.make_stranger(number, likeness),
            Deed::EvictPod(number) => self.take_pod(number, "EvictionByEvictionAPI"),
            Deed::PreemptPod(number) => self.take_pod(number, "PreemptionByScheduler"),
            Deed::PressPod(number) => self.press_pod(number),
            Deed::StartTwice(number) => {
                if let Some((_, uid)) = self.last_pod(number) {
                    self.after(1, 1_000, Event::Pod(uid, Step::StartAgain));
                }
            }
            Deed::DeleteAgent => drop(self.request("DELETE", &agent(), &Value::Null)),
            Deed::CreateAgent => self.create_agent(),
            Deed::EditAgent => {
                drop(self.request("PATCH", &agent(), &json!({"spec": {"model": "another"}})));
            }
            Deed::FailLost => {
                drop(self.request(
                    "PATCH",
                    &agent(),
                    &json!({"spec": {"onDisruption": "fail"}}),
                ));
            }
            Deed::Silence(node) => self.silence(node),
            Deed::Unheard(node) => self.tell_ready(node),
            Deed::CreateAgain(number) => self.create_again(number),
            Deed::Restart(node) => self.restart(node),
            Deed::Hold(number) => self.hold(number),
            Deed::Unhold(number) => self.unhold(number),
            Deed::DeleteNamespace => {
                self.checks.namespace_deleted = true;
                self.request("DELETE", &namespace(), &Value::Null);
                self.after(100, 1_000, Event::Deed(Deed::EmptyNamespace));
            }
            Deed::EmptyNamespace => self.empty_namespace(),
            Deed::Return(node) => self.hear_again(node),
            Deed::RemoveNode(node) => self.lose_node(node, true),
            Deed::TaintNode(node) => self.lose_node(node, false),
            Deed::Inject(what) => self.injected = Some(what),
            Deed::InjectNothing => self.inject_nothing(),
            Deed::StoreGoes => self.store_goes(),
            Deed::StoreComes => self.store_comes(),
            Deed::RenewCa => {
                drop(self.request("PATCH", &store_ca(), &json!({"data": {"ca.crt": "CA 2"}})));
            }
            Deed::Crash(controller) => self.crash(controller),
            Deed::Pause(controller, time) => {
                self.controllers[controller].paused_until = self.now + time;
            }
            Deed::Mute(controller, time) => {
                self.controllers[controller].mute_until = self.now + time;
            }
            Deed::GiveLease(controller) => self.take_lease(controller),
            Deed::ListAgain(controller, resource, behind) => {
                self.checks.agents_listed_again |= resource == Resource::Agents;
                self.list_again(controller, resource, behind);
            }
            Deed::Skew(controller, by) => {
                self.controllers[controller]
                    .skew
                    .store(by, Ordering::Relaxed);
            }
            Deed::Heal => self.heal(),
        }
    }

    fn create_job(&mut self, number: usize) -> Answer {
        self.create_job_with(number, &json!({}))
    }

    fn create_job_with(&mut self, number: usize, spec: &Value) -> Answer {
        let mut object = named(&job(number).name);
        object["spec"] = json!({"agent": AGENT, "prompt": "p", "resume": spec["resume"]});
        self.request("POST", &job(number), &object)
    }

    /// As tools do that bring a cluster to what stands in a repository: the moment that the name is free.
    fn create_again(&mut self, number: usize) {
        if self.create_job(number).code == 409 {
            self.after(200, 900, Event::Deed(Deed::CreateAgain(number)));
        } else {
            self.forget_refusals(&job(number).name);
        }
    }

    fn heal(&mut self) {
        for node in 0..NODES.len() {
            self.hear_again(node);
        }
        self.store_comes();
        self.refusal = None;
        self.allow();
        self.inject_nothing();
        self.create_agent();
        for number in 0..JOBS {
            self.unhold(number);
        }
        for controller in &mut self.controllers {
            controller.paused_until = 0;
            controller.mute_until = 0;
            controller.skew.store(0, Ordering::Relaxed);
        }
    }

    /// The API server takes again what it should.
    fn allow(&mut self) {
        self.forbidden.clear();
        self.api.limit = None;
    }

    fn create_agent(&mut self) {
        let mut object = named(AGENT);
        // With each kind of character that the body of an apply can't hold as it is.
        let words = "a\u{7f}b\u{85}c\u{9b}d\u{2028}e\u{ffff}";
        object["spec"] = json!({
            "prompt": "p", "appendSystemPrompt": words, "startDeadline": "60s", "timeout": "2m",
        });
        self.request("POST", &agent(), &object);
    }

    fn change_job(&mut self, number: usize, spec: &Value) {
        self.request("PATCH", &job(number), &json!({"spec": spec}));
    }

    /// The pod of a Job's last attempt, and its UID.
    pub fn last_pod(&self, number: usize) -> Option<(Key, String)> {
        let uid = self.api.object(&job(number))?["metadata"]["uid"].as_str()?;
        let pods = self.api.all(Resource::Pods);
        let (key, pod) = pods.filter(|(_, pod)| owner(pod) == uid).last()?;
        Some((key.clone(), pod["metadata"]["uid"].as_str()?.to_owned()))
    }

    pub fn delete_pod(&mut self, number: usize, options: Value) {
        if let Some((key, uid)) = self.last_pod(number) {
            self.checks.people_delete(&uid);
            self.request("DELETE", &key, &options);
        }
    }

    fn take_pod(&mut self, number: usize, why: &str) {
        if let Some((key, _)) = self.last_pod(number) {
            self.disrupt(&key, why, None);
            self.request("DELETE", &key, &Value::Null);
        }
    }

    /// The kubelet itself evicts it: the node is short of something.
    fn press_pod(&mut self, number: usize) {
        let Some((key, uid)) = self.last_pod(number) else {
            return;
        };
        let heard = self
            .agents
            .iter()
            .any(|it| it.pod == uid && it.alive && !self.nodes[&it.node].silent);
        if heard {
            self.disrupted.insert(key.name.clone());
            self.step(&uid, Step::Kill);
            self.api.edit(&key, |pod| {
                pod["status"]["phase"] = json!("Failed");
                pod["status"]["reason"] = json!("Evicted");
                pod["status"]["message"] = json!("the node was low on memory");
            });
        }
    }

    /// Pods first, the rest when they are gone, then the namespace itself.
    fn empty_namespace(&mut self) {
        let inside = |resource| {
            let all = self.api.all(resource).map(|(key, _)| key.clone());
            all.filter(|key| key.namespace == NAMESPACE)
                .collect::<Vec<Key>>()
        };
        let (pods, rest) = (
            inside(Resource::Pods),
            [inside(Resource::Jobs), inside(Resource::Agents)].concat(),
        );
        let left = pods.len() + rest.len();
        let now = if pods.is_empty() { &rest } else { &pods };
        for key in now {
            self.request("DELETE", key, &Value::Null);
        }
        if left == 0 {
            self.api.edit(&namespace(), |it| {
                it["metadata"]["finalizers"] = Value::Null
            });
        } else {
            self.after(1_000, 3_000, Event::Deed(Deed::EmptyNamespace));
        }
    }
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}
