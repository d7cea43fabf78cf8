//! Keeps this replica's certificate among those that the API server trusts for our APIService: adds it,
//! puts it back when somebody removes it, renews it in time, and takes it away at the end.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures::{StreamExt, pin_mut};
use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{
    bundle,
    certificate::{CertificateError, Serving, Subject},
};
use crate::kubernetes::{
    Chain,
    call::{CallError, call},
    watch::everything,
};

/// The name under which the gateway writes.
const FIELD_MANAGER: &str = "herd-gateway";
/// A write that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// How often the certificate's age is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Every API server has seen a new certificate after this; only then it is served.
const SPREAD: Duration = Duration::from_secs(60);
/// How long a stopping gateway may take to remove its certificate.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the keeper of the certificate works with.
pub struct Registration {
    pub client: Client,
    /// The APIService's name.
    pub api_service: String,
    pub subject: Subject,
    /// The certificate that is served.
    pub serving: watch::Sender<Arc<Serving>>,
    /// The API server trusts it.
    pub registered: watch::Sender<bool>,
}

impl Registration {
    /// Keeps the certificate registered until `stop` turns true.
    pub async fn keep(self, mut stop: watch::Receiver<bool>) -> Result<(), CertificateError> {
        let api: Api<APIService> = Api::all(self.client.clone());
        let config = everything().fields(&format!("metadata.name={}", self.api_service));
        let events = watcher::watcher(api.clone(), config).default_backoff();
        pin_mut!(events);
        let mut keeper = Keeper {
            api,
            registration: self,
            service: None,
            next: None,
            retry: None,
        };
        let mut looks = interval(LOOK);
        loop {
            let retry = keeper.retry.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(event) = events.next() => keeper.see(event),
                _ = looks.tick() => keeper.renew()?,
                () = sleep_until(retry) => {}
            }
            keeper.ensure().await;
        }
        keeper.leave().await;
        Ok(())
    }
}

/// A certificate that is to be served once every API server trusts it.
struct Next {
    serving: Arc<Serving>,
    registered: Option<Instant>,
}

struct Keeper {
    api: Api<APIService>,
    registration: Registration,
    /// As it was seen last.
    service: Option<APIService>,
    next: Option<Next>,
    /// When to write again after a failure.
    retry: Option<Instant>,
}

impl Keeper {
    fn see(&mut self, event: Result<Event<APIService>, watcher::Error>) {
        let name = &self.registration.api_service;
        match event {
            Ok(Event::Apply(service) | Event::InitApply(service)) => {
                self.service = Some(service);
                self.retry = None;
            }
            // A list begins: what it does not bring is not there.
            Ok(Event::Init | Event::Delete(_)) => self.service = None,
            Ok(Event::InitDone) => {
                if self.service.is_none() {
                    warn!(name, "there is no such APIService; waiting for it");
                    self.registration.registered.send_replace(false);
                }
            }
            Err(error) => {
                warn!(name, error = %Chain(&error), "the APIService can't be watched; trying again");
            }
        }
    }

    /// Makes a new certificate when the one that is served grows old, and serves it when it is known.
    fn renew(&mut self) -> Result<(), CertificateError> {
        let now = Utc::now();
        let serving = self.registration.serving.borrow().clone();
        match &self.next {
            None if serving.is_old(now) => {
                self.next = Some(Next {
                    serving: Arc::new(Serving::make(&self.registration.subject, now)?),
                    registered: None,
                });
            }
            Some(Next {
                serving,
                registered: Some(at),
            }) if at.elapsed() >= SPREAD => {
                info!("serving with a new certificate");
                self.registration.serving.send_replace(Arc::clone(serving));
                self.next = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the bundle if it is not as it should be.
    async fn ensure(&mut self) {
        if self.retry.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let serving = self.registration.serving.borrow().clone();
        let mut own = vec![serving.as_ref()];
        own.extend(self.next.as_ref().map(|next| next.serving.as_ref()));
        let Some(service) = &self.service else {
            return;
        };
        let Some(wanted) = self.change(service, &own) else {
            self.registration.registered.send_replace(true);
            if let Some(next) = &mut self.next {
                next.registered.get_or_insert_with(Instant::now);
            }
            return;
        };
        self.retry = Some(Instant::now() + RETRY);
        let name = &self.registration.api_service;
        match self.write(service, &wanted).await {
            Ok(()) => info!(name, "the APIService got this replica's certificate"),
            Err(error) if error.is_conflict() => {
                debug!(name, "the APIService has changed meanwhile");
            }
            Err(error) => {
                warn!(name, error = %Chain(&error), "this replica's certificate is not known yet; trying again");
            }
        }
    }

    fn change(&self, service: &APIService, own: &[&Serving]) -> Option<String> {
        let there = service
            .spec
            .as_ref()
            .and_then(|spec| spec.ca_bundle.as_ref());
        let there = there.map(|bundle| bundle.0.as_slice()).unwrap_or_default();
        bundle::with(there, &self.registration.subject.replica, own, Utc::now())
    }

    /// The watch brings the result, or what somebody else wrote meanwhile.
    async fn write(&self, service: &APIService, text: &str) -> Result<(), CallError> {
        let patch = json!({
            "metadata": {"resourceVersion": service.resource_version()},
            "spec": {"caBundle": ByteString(text.as_bytes().to_vec())},
        });
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        let name = &self.registration.api_service;
        let write = self.api.patch_metadata(name, &parameters, &patch);
        call("give the APIService a certificate", write)
            .await
            .map(drop)
    }

    /// Nobody will be served by this replica any more.
    async fn leave(&self) {
        self.registration.registered.send_replace(false);
        let Some(service) = &self.service else {
            return;
        };
        let Some(text) = self.change(service, &[]) else {
            return;
        };
        let left = timeout(FAREWELL, self.write(service, &text)).await;
        if !matches!(left, Ok(Ok(()))) {
            debug!("this replica's certificate stays with the APIService until it expires");
        }
    }
}
