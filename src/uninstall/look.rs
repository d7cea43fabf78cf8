//! What an uninstall sees of the cluster. Metadata in pages, since Jobs may be many and large; what can't be
//! read is left open, and the reason kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use k8s_openapi::{
    api::{
        apps::v1::Deployment as Workload,
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Pod as Kubelets,
    },
    jiff::{SignedDuration, Timestamp},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, Resource,
    api::{ListParams, ObjectMeta},
    core::PartialObjectMeta,
};
use serde::de::DeserializeOwned;

use super::{API_SERVICE, Deployment};
use crate::{
    api::{
        job::{JOB_FINALIZER, Job, POD_FINALIZER},
        reason::Phase,
    },
    kubernetes::{
        Chain,
        call::{CallError, call},
    },
    plan::{
        pod::LABEL_JOB,
        uninstall::{Controller, Object, Pod, Seen},
    },
};

const PAGE: u32 = 500;

/// What looks.
pub struct Eyes {
    pub client: Client,
    pub controller: Option<Deployment>,
}

impl Eyes {
    /// Everything at once. Troubles of what can be read again are forgotten.
    pub async fn look(
        &self,
        asked: &BTreeSet<String>,
        troubles: &mut BTreeMap<String, String>,
    ) -> Seen {
        let (api, unasked, controller, pods, held) = tokio::join!(
            self.api(),
            self.unasked(asked),
            self.controller(),
            self.pods(),
            self.held()
        );
        let mut known = Known(troubles);
        Seen {
            api: known.of("look at the APIService", api),
            unasked: known.of("list the Jobs that have not ended", unasked),
            controller: known.of("look at the controller", controller),
            pods: known.of("list the agents' pods", pods),
            held: known.of("list the Jobs", held),
        }
    }

    async fn api(&self) -> Result<bool, CallError> {
        let api: Api<APIService> = Api::all(self.client.clone());
        let found = call("get the APIService", api.get_metadata_opt(API_SERVICE)).await?;
        Ok(found.is_some())
    }

    async fn unasked(&self, asked: &BTreeSet<String>) -> Result<Vec<Object>, CallError> {
        let ended = [Phase::Completed, Phase::Failed, Phase::Cancelled];
        let fields = ended
            .map(|phase| format!("status.phase!={phase}"))
            .join(",");
        let all: Api<Job> = Api::all(self.client.clone());
        let mut open = Vec::new();
        list(&all, ListParams::default().fields(&fields), |job| {
            let job = object(job);
            if !asked.contains(&job.uid) {
                open.push(job);
            }
        })
        .await?;
        Ok(open)
    }

    async fn held(&self) -> Result<Vec<Object>, CallError> {
        let all: Api<Job> = Api::all(self.client.clone());
        let mut held = Vec::new();
        list(&all, ListParams::default(), |job| {
            if holds(&job, JOB_FINALIZER) {
                held.push(object(job));
            }
        })
        .await?;
        Ok(held)
    }

    async fn pods(&self) -> Result<Vec<Pod>, CallError> {
        let all: Api<Kubelets> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(LABEL_JOB);
        let mut live = BTreeSet::new();
        let not_ended = "status.phase!=Succeeded,status.phase!=Failed";
        list(&all, ours.clone().fields(not_ended), |pod| {
            live.extend(pod.uid);
        })
        .await?;
        let mut pods = Vec::new();
        list(&all, ours, |pod| {
            pods.push(Pod {
                live: pod.uid.as_ref().is_some_and(|uid| live.contains(uid)),
                held: holds(&pod, POD_FINALIZER),
                deleting: pod.deletion_timestamp.is_some(),
                object: object(pod),
            });
        })
        .await?;
        Ok(pods)
    }

    async fn controller(&self) -> Result<Controller, CallError> {
        let Some(Deployment { namespace, name }) = &self.controller else {
            return Ok(Controller::Gone);
        };
        let deployments: Api<Workload> = Api::namespaced(self.client.clone(), namespace);
        let found = call("get the Deployment", deployments.get_opt(name)).await?;
        let Some(spec) = found.and_then(|deployment| deployment.spec) else {
            return Ok(Controller::Gone);
        };
        if spec.replicas == Some(0) {
            let labels = spec.selector.match_labels.unwrap_or_default();
            let pairs: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let pods: Api<Kubelets> = Api::namespaced(self.client.clone(), namespace);
            let mut left = 0_usize;
            let of_it = ListParams::default().labels(&pairs.join(","));
            list(&pods, of_it, |_| left += 1).await?;
            return Ok(match left {
                0 => Controller::Gone,
                _ => Controller::Stopping,
            });
        }
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        let lease = call("get the lease", leases.get_opt(name)).await?;
        let lease = lease.and_then(|lease| lease.spec).unwrap_or_default();
        Ok(match is_held(&lease, Timestamp::now()) {
            true => Controller::Leads,
            false => Controller::Idle,
        })
    }
}

/// Somebody holds the lease, and has renewed it in time.
pub fn is_held(lease: &LeaseSpec, now: Timestamp) -> bool {
    let holder = lease.holder_identity.as_deref().unwrap_or_default();
    let seconds = lease.lease_duration_seconds.unwrap_or_default();
    let until = |renewed: Timestamp| renewed.checked_add(SignedDuration::from_secs(seconds.into()));
    let renewed = lease.renew_time.as_ref().map(|time| time.0);
    !holder.is_empty() && renewed.is_some_and(|at| until(at).is_ok_and(|until| until > now))
}

fn holds(object: &ObjectMeta, finalizer: &str) -> bool {
    object
        .finalizers
        .iter()
        .flatten()
        .any(|name| name == finalizer)
}

fn object(object: ObjectMeta) -> Object {
    Object {
        namespace: object.namespace.unwrap_or_default(),
        name: object.name.unwrap_or_default(),
        uid: object.uid.unwrap_or_default(),
        finalizers: object.finalizers.unwrap_or_default(),
    }
}

/// Every object of a list, page by page. A kind that does not exist has none.
async fn list<K>(
    api: &Api<K>,
    mut params: ListParams,
    mut each: impl FnMut(ObjectMeta),
) -> Result<(), CallError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    params = params.limit(PAGE);
    loop {
        let page = match call("list them", api.list_metadata(&params)).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        let more = page.metadata.continue_.filter(|token| !token.is_empty());
        page.items
            .into_iter()
            .for_each(|item: PartialObjectMeta<K>| each(item.metadata));
        match more {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// What was read, and why what was not.
struct Known<'a>(&'a mut BTreeMap<String, String>);

impl Known<'_> {
    fn of<T>(&mut self, doing: &str, answer: Result<T, CallError>) -> Option<T> {
        match answer {
            Ok(found) => {
                self.0.remove(doing);
                Some(found)
            }
            Err(error) => {
                self.0.insert(doing.to_owned(), Chain(&error).to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    #[test]
    fn a_lease_is_held_until_its_time_is_over_or_it_is_given_back() {
        let now = Timestamp::now();
        let renewed = |ago: i64, holder: &str| LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(now - SignedDuration::from_secs(ago))),
            ..LeaseSpec::default()
        };
        assert!(is_held(&renewed(14, "a"), now));
        assert!(!is_held(&renewed(15, "a"), now));
        assert!(!is_held(&renewed(1, ""), now));
        assert!(!is_held(&LeaseSpec::default(), now));
    }
}
