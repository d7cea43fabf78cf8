//! Which namespace object a name stands for. A name may come back as another namespace, to whose people
//! the records of the old one are none of their business; so a record is kept under the UID, and the UID is
//! found out in a way that can't mistake the two.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Api, Client, ResourceExt};

use crate::{
    api::job::Job,
    kubernetes::call::{CallError, call},
};

/// So many objects' homes are remembered; each costs some 150 bytes. Beyond, they are asked for again.
const MAX_REMEMBERED: usize = 50_000;

/// The homes of objects.
pub struct Namespaces {
    api: Api<Namespace>,
    /// By the UID of an object that lives in it: a service account or a Job never moves.
    homes: Mutex<HashMap<String, String>>,
}

impl Namespaces {
    pub fn new(client: Client) -> Self {
        Namespaces {
            api: Api::all(client),
            homes: Mutex::default(),
        }
    }

    /// The UID of the namespace that has this name now; none when there is none.
    pub async fn now(&self, name: &str) -> Result<Option<String>, CallError> {
        let found = call("look the namespace up", self.api.get_opt(name)).await?;
        Ok(found.and_then(|namespace| namespace.uid()))
    }

    /// The UID of the namespace that this object lives in, where that is remembered.
    pub fn home_of(&self, uid: &str) -> Option<String> {
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.get(uid).cloned()
    }

    /// Remembers where an object lives. Only for who knows it for sure.
    pub fn remember(&self, uid: &str, home: &str) {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.len() >= MAX_REMEMBERED {
            homes.clear();
        }
        homes.insert(uid.to_owned(), home.to_owned());
    }

    /// The UID of the namespace that a Job lives in; none when that namespace is gone.
    pub async fn of_job(&self, job: &Job) -> Result<Option<String>, CallError> {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        if let Some(home) = self.home_of(uid) {
            return Ok(Some(home));
        }
        let name = job.metadata.namespace.as_deref().unwrap_or_default();
        let found = call("look the namespace up", self.api.get_opt(name)).await?;
        let made = |time: Option<&Time>| time.map(of_kubernetes);
        let home = found
            .filter(|it| {
                is_older(
                    made(it.metadata.creation_timestamp.as_ref()),
                    made(job.metadata.creation_timestamp.as_ref()),
                )
            })
            .and_then(|namespace| namespace.uid());
        if let Some(home) = &home {
            self.remember(uid, home);
        }
        Ok(home)
    }
}

/// A Job that is older than the namespace lived in another one of that name.
fn is_older(namespace: Option<DateTime<Utc>>, job: Option<DateTime<Utc>>) -> bool {
    namespace <= job
}

fn of_kubernetes(time: &Time) -> DateTime<Utc> {
    DateTime::from_timestamp(time.0.as_second(), 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_never_lived_in_a_namespace_that_is_younger() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        for (namespace, job, expected) in [(1, 2, true), (2, 2, true), (3, 2, false)] {
            assert_eq!(is_older(at(namespace), at(job)), expected);
        }
    }
}
