//! Which pod feeds an attempt's stream. The API server is asked once: whether the pod is the token's and
//! the Job's. From then on the stream belongs to that pod's UID.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tracing::warn;

use crate::{
    api::protocol::{Refusal, RefusalReason},
    kubernetes::{
        Chain,
        call::{CallError, call},
    },
    plan::{
        admission::{self, Asking},
        facts::PodFacts,
        identity::Identity,
    },
};

use super::namespaces::Namespaces;

/// The pods that have proved themselves.
pub struct Pods {
    client: Client,
    /// Pod UIDs by the Job's UID and the attempt.
    pins: Mutex<HashMap<(String, u32), String>>,
}

impl Pods {
    pub fn new(client: Client) -> Self {
        Pods {
            client,
            pins: Mutex::default(),
        }
    }

    /// Lets the pod feed this Job's attempt, if it is the Job's; answers the UID of their namespace.
    pub async fn admit(
        &self,
        asking: Asking<'_>,
        holder: &Identity,
        job_uid: &str,
        namespaces: &Namespaces,
    ) -> Result<String, Refusal> {
        if let Some(pinned) = self.pinned(job_uid, asking.attempt) {
            admission::of_pinned(&pinned, asking)?;
            if let Some(home) = namespaces.home_of(job_uid) {
                return Ok(home);
            }
        }
        // In this order: the token is older than both questions, so a pod that is there at the second has
        // lived in the namespace of the first.
        let home = match namespaces.home_of(&holder.uid) {
            Some(home) => home,
            None => namespaces
                .now(asking.namespace)
                .await
                .map_err(unanswered)?
                .ok_or_else(|| gone_namespace(asking.namespace))?,
        };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), asking.namespace);
        let pod = call("look the pod up", api.get_opt(&asking.pod.name))
            .await
            .map_err(unanswered)?;
        let pod = pod.as_ref().map(PodFacts::from);
        admission::of_pod(pod.as_ref(), job_uid, asking)?;
        namespaces.remember(job_uid, &home);
        namespaces.remember(&holder.uid, &home);
        let pinned = self.pin(job_uid, asking.attempt, &asking.pod.uid);
        admission::of_pinned(&pinned, asking)?;
        Ok(home)
    }

    /// Forgets the pods of a Job that is over.
    pub fn forget(&self, job_uid: &str) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.retain(|(uid, _), _| uid != job_uid);
    }

    fn pinned(&self, job_uid: &str, attempt: u32) -> Option<String> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.get(&(job_uid.to_owned(), attempt)).cloned()
    }

    /// The first one stays.
    fn pin(&self, job_uid: &str, attempt: u32, pod_uid: &str) -> String {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.entry((job_uid.to_owned(), attempt))
            .or_insert_with(|| pod_uid.to_owned())
            .clone()
    }
}

/// Without an answer of the API server nobody new comes in.
pub fn unanswered(error: CallError) -> Refusal {
    warn!(error = %Chain(&error), "a question to the API server has no answer");
    Refusal::new(
        RefusalReason::Retry,
        "the API server does not answer; try again",
    )
}

/// For a name that stands for nothing.
pub fn gone_namespace(name: &str) -> Refusal {
    Refusal::new(
        RefusalReason::NotFound,
        format!("there is no namespace {name}"),
    )
}
