//! A running gateway with everything around it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use chrono::Utc;
use futures::{FutureExt, future::BoxFuture};
use herdctl::{
    gateway::{
        api::{self, Gateway},
        certificate::{Serving, Subject},
        front_proxy::{FrontProxy, Known},
        rights::{Answer as Right, Authorizer, NoAnswer, Question, Rights},
        store::{Access, Store},
        stream::Patience,
    },
    https::{self, Limits},
};
use http::Request;
use hyper::body::Incoming;
use serde_json::json;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    certificates::{Ca, Identity},
    client::{self, Answer, Reading, soon},
    fake_store::{FakeStore, Record, TOKEN},
};

pub const PROXY: &str = "front-proxy-client";
/// The record that every store here has.
pub const JOB: &str = "job-1";
pub const UID: &str = "0c5f5cf8-0000-4000-8000-000000000001";

/// Says what a test told it to, and remembers what it was asked.
pub struct Words {
    pub answer: Mutex<Result<Right, NoAnswer>>,
    pub asked: Mutex<Vec<Question>>,
}

impl Words {
    pub fn say(&self, answer: Result<Right, NoAnswer>) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn no(&self) {
        self.say(Ok(Right::No {
            why: "no RBAC policy matched".to_owned(),
        }));
    }

    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl Authorizer for Words {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Right, NoAnswer>> {
        async move {
            self.asked.lock().unwrap().push(question.clone());
            self.answer.lock().unwrap().clone()
        }
        .boxed()
    }
}

/// The gateway, its surroundings, and how to reach it.
pub struct Ground {
    pub address: SocketAddr,
    pub serving: Serving,
    pub proxy_ca: Ca,
    pub proxy: Identity,
    pub known: watch::Sender<Known>,
    pub words: Arc<Words>,
    pub store: FakeStore,
    pub store_ca: Ca,
    /// What the store has published.
    pub published: watch::Sender<Option<String>>,
    pub files: TempDir,
    _stop: watch::Sender<bool>,
}

/// What a test does not want to wait for.
pub const IMPATIENCE: Patience = Patience {
    recheck: Duration::from_millis(50),
    unconfirmed: Duration::from_secs(3),
    begin: Duration::from_secs(30),
    resume: Duration::from_secs(30),
};

/// Connections at the same time.
pub const SEATS: usize = 256;

/// So short that every question is asked.
pub const FORGETFUL: Duration = Duration::from_millis(1);

/// What the API server publishes about its front proxy.
pub fn front_proxy_data(ca: &str, names: &[&str]) -> BTreeMap<String, String> {
    let lists = [
        ("requestheader-allowed-names", json!(names)),
        ("requestheader-username-headers", json!(["X-Remote-User"])),
        ("requestheader-uid-headers", json!(["X-Remote-Uid"])),
        ("requestheader-group-headers", json!(["X-Remote-Group"])),
        (
            "requestheader-extra-headers-prefix",
            json!(["X-Remote-Extra-"]),
        ),
    ];
    let mut data: BTreeMap<String, String> = lists
        .into_iter()
        .map(|(key, list)| (key.to_owned(), list.to_string()))
        .collect();
    data.insert("requestheader-client-ca-file".to_owned(), ca.to_owned());
    data
}

impl Ground {
    pub async fn new() -> Ground {
        Ground::with(IMPATIENCE, FORGETFUL).await
    }

    pub async fn with(patience: Patience, remembered: Duration) -> Ground {
        let proxy_ca = Ca::new("front-proxy-ca");
        let proxy = FrontProxy::read(&front_proxy_data(&proxy_ca.pem, &[PROXY])).unwrap();
        let (known, front_proxy) = watch::channel(Known::Good(Arc::new(proxy)));
        let words = Arc::new(Words {
            answer: Mutex::new(Ok(Right::Yes)),
            asked: Mutex::default(),
        });
        let store_ca = Ca::new("herd-store");
        let store = FakeStore::start(&store_ca).await;
        store.records.put(
            JOB,
            Record {
                uid: UID.to_owned(),
                ..Record::default()
            },
        );
        let (published, ca) = watch::channel(Some(store_ca.pem.clone()));
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), format!("{TOKEN}\n")).unwrap();

        let gateway = Gateway {
            front_proxy: front_proxy.clone(),
            rights: Rights::new(Arc::clone(&words) as Arc<dyn Authorizer>, remembered),
            store: Store::new(Access {
                url: format!("https://localhost:{}", store.address.port()),
                ca,
                token: files.path().join("token"),
            })
            .unwrap(),
            patience,
        };
        let subject = Subject {
            service: "herd-gateway".to_owned(),
            namespace: "herd".to_owned(),
            replica: "herd-gateway-0".to_owned(),
        };
        let serving = Serving::make(&subject, Utc::now()).unwrap();
        let tls = serving.server(&front_proxy.borrow()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = Limits {
            connections: SEATS,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        };
        tokio::spawn(https::serve(
            listener,
            watch::channel(tls).1,
            api::router(gateway),
            limits,
            stopped,
        ));
        Ground {
            address,
            serving,
            proxy: proxy_ca.client(PROXY),
            proxy_ca,
            known,
            words,
            store,
            store_ca,
            published,
            files,
            _stop: stop,
        }
    }

    /// What the API server sends for user `dev`.
    pub fn request(path: &str) -> Request<Body> {
        Request::get(path)
            .header("host", client::HOST)
            .header("x-remote-user", "dev")
            .header("x-remote-group", "developers")
            .header("x-remote-group", "system:authenticated")
            .body(Body::empty())
            .unwrap()
    }

    /// Sends it with the certificate of whoever; an error is one of the connection.
    pub async fn send_as(
        &self,
        identity: Option<&Identity>,
        request: Request<Body>,
    ) -> Result<http::Response<Incoming>, Box<dyn std::error::Error>> {
        let sent = async {
            let stream = client::connect(self.address, &self.serving.der, identity).await?;
            Ok(client::send(stream, request).await?)
        };
        soon("an answer", sent).await
    }

    /// What the API server gets for this request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.send_as(Some(&self.proxy), request).await.unwrap()).await
    }

    /// What `dev` gets from the API server for this path.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Ground::request(path)).await
    }

    /// Begins to read a log.
    pub async fn read(&self, job: &str, query: &str) -> Reading {
        let request = Ground::request(&format!("{}?{query}", log(job)));
        Reading::new(self.send_as(Some(&self.proxy), request).await.unwrap())
    }
}

pub fn object(job: &str) -> String {
    format!("/apis/herdctl.dev/output-v1/namespaces/team-a/joboutputs/{job}")
}

pub fn log(job: &str) -> String {
    format!("{}/log", object(job))
}
