//! A replica's certificate comes into the APIService and stays there, whatever others write; and the front
//! proxy is known as soon as it is published, and as it changes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use herdctl::gateway::{
    certificate::{CertificateError, Serving, Subject},
    front_proxy::{self, Known},
    registration::Registration,
};
use kube::Client;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    certificates::Ca,
    client::soon,
    fake_api::FakeApi,
    ground::{PROXY, front_proxy_data},
};

const NAME: &str = "output-v1.herdctl.dev";
const COLLECTION: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

fn api_service() -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": NAME},
        "spec": {
            "group": "herdctl.dev",
            "version": "output-v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "service": {"name": "herd-gateway", "namespace": "herd"},
        },
    })
}

fn bundle(api: &FakeApi) -> String {
    let text = api.now()["spec"]["caBundle"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
}

/// A replica that keeps its certificate registered.
struct Replica {
    serving: watch::Receiver<Arc<Serving>>,
    registered: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    kept: JoinHandle<Result<(), CertificateError>>,
}

impl Replica {
    fn start(name: &str, client: Client, made: DateTime<Utc>) -> Replica {
        let subject = Subject {
            service: "herd-gateway".to_owned(),
            namespace: "herd".to_owned(),
            replica: name.to_owned(),
        };
        let first = Serving::make(&subject, made).unwrap();
        let (serving, served) = watch::channel(Arc::new(first));
        let (registered, registration) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let registration_of = Registration {
            client,
            api_service: NAME.to_owned(),
            subject,
            serving,
            registered,
        };
        Replica {
            serving: served,
            registered: registration,
            stop,
            kept: tokio::spawn(registration_of.keep(stopped)),
        }
    }

    fn pem(&self) -> String {
        self.serving.borrow().pem.clone()
    }

    async fn registered(&mut self) {
        let registered = self.registered.wait_for(|registered| *registered);
        soon("the registration", registered).await.unwrap();
    }
}

fn holds(bundle: &str, pem: &str) -> bool {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    lines(bundle)
        .windows(lines(pem).len())
        .any(|window| window == lines(pem))
}

async fn until(what: &str, check: impl Fn() -> bool) {
    soon(what, async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn replicas_register_side_by_side_and_one_that_stops_takes_its_own_away() {
    let (api, client) = FakeApi::start(COLLECTION, Some(api_service())).await;
    let mut one = Replica::start("one", client.clone(), Utc::now());
    let mut two = Replica::start("two", client, Utc::now());
    one.registered().await;
    two.registered().await;
    let both = bundle(&api);
    assert!(holds(&both, &one.pem()) && holds(&both, &two.pem()));
    assert_eq!(api.now()["spec"]["groupPriorityMinimum"], 1000);

    two.stop.send_replace(true);
    soon("the end", two.kept).await.unwrap().unwrap();
    assert!(!*two.registered.borrow());
    let left = bundle(&api);
    assert!(holds(&left, &one.pem()) && !holds(&left, &two.serving.borrow().pem));
}

#[tokio::test]
async fn what_somebody_removes_is_put_back() {
    let (api, client) = FakeApi::start(COLLECTION, Some(api_service())).await;
    let mut one = Replica::start("one", client, Utc::now());
    one.registered().await;
    for other in [
        json!(null),
        json!(BASE64_STANDARD.encode(Ca::new("another").pem)),
    ] {
        api.change(|object| object["spec"]["caBundle"] = other);
        until("the certificate is back", || {
            holds(&bundle(&api), &one.pem())
        })
        .await;
    }
    api.write(api_service());
    until("the certificate is back", || {
        holds(&bundle(&api), &one.pem())
    })
    .await;
}

#[tokio::test]
async fn a_write_that_somebody_forestalled_is_done_again_on_what_he_wrote() {
    let (api, client) = FakeApi::start(COLLECTION, Some(api_service())).await;
    api.races.store(3, Ordering::Relaxed);
    let mut one = Replica::start("one", client, Utc::now());
    one.registered().await;
    assert!(holds(&bundle(&api), &one.pem()));
    assert_eq!(api.now()["metadata"]["annotations"]["somebody"], "else");
    assert_eq!(api.races.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_api_service_that_is_not_there_yet_is_waited_for() {
    let (api, client) = FakeApi::start(COLLECTION, None).await;
    let mut one = Replica::start("one", client, Utc::now());
    api.write(api_service());
    one.registered().await;
    assert!(holds(&bundle(&api), &one.pem()));
}

#[tokio::test]
async fn an_old_certificate_is_followed_by_a_new_one_that_is_served_later() {
    let (api, client) = FakeApi::start(COLLECTION, Some(api_service())).await;
    let mut one = Replica::start("one", client, Utc::now() - TimeDelta::days(25));
    one.registered().await;
    let blocks = || bundle(&api).matches("BEGIN CERTIFICATE").count();
    until("both are known", || blocks() == 2).await;
    assert!(holds(&bundle(&api), &one.pem()));
    assert!(!one.serving.has_changed().unwrap());
}

#[tokio::test]
async fn the_front_proxy_is_known_as_it_is_published_and_as_it_changes() {
    let map = |data: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": front_proxy::CONFIG_MAP, "namespace": front_proxy::NAMESPACE},
            "data": data,
        })
    };
    let collection = format!("/api/v1/namespaces/{}/configmaps", front_proxy::NAMESPACE);
    let (api, client) = FakeApi::start(&collection, None).await;
    let (known, mut front_proxy) = watch::channel(Known::NotYet);
    tokio::spawn(front_proxy::follow(client, known));
    let (old, new) = (Ca::new("front"), Ca::new("front"));

    api.write(map(json!(front_proxy_data(&old.pem, &[PROXY]))));
    let mut is_known = async |what: &str, identity: &crate::certificates::Identity| {
        let trusted = front_proxy.wait_for(|known| match known {
            Known::Good(proxy) => proxy
                .is(&identity.chain, rustls::pki_types::UnixTime::now())
                .is_ok(),
            Known::NotYet | Known::Unusable(_) => false,
        });
        soon(what, trusted).await.unwrap();
    };
    is_known("the first CA", &old.client(PROXY)).await;
    api.write(map(json!(front_proxy_data(&new.pem, &[PROXY]))));
    is_known("the second CA", &new.client(PROXY)).await;
    api.write(map(json!({})));
    let unusable = front_proxy.wait_for(|known| matches!(known, Known::Unusable(_)));
    soon("nobody is believed", unusable).await.unwrap();
}
