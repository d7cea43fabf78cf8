//! Between the controllers' real `kube::Client` and the world: requests wait in one inbox until the world
//! decides what becomes of them, and what passes bring is told there too.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use herdctl::{api::job::Job, controller::reconcile::ReconcileError};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use tokio::sync::{Notify, oneshot};

use super::{
    api::{Answer, Request},
    controllers::Name,
};

/// Kubernetes Events are answered at once: they change nothing that is looked at here.
const EVENTS: &str = "/apis/events.k8s.io/";

/// A request of a controller, before anybody has decided about it.
pub struct Call {
    pub from: Process,
    pub request: Request,
    /// Dropping it is a connection that breaks.
    pub answer: oneshot::Sender<Answer>,
}

/// One life of a controller's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub controller: usize,
    pub life: u64,
}

/// A pass over one Job that has ended.
pub struct Done {
    pub of: Process,
    pub name: Name,
    pub job: Arc<Job>,
    pub result: Result<Option<Duration>, ReconcileError>,
}

pub enum Arrival {
    Call(Call),
    Done(Box<Done>),
}

/// What controllers bring, in its order.
#[derive(Default)]
pub struct Inbox {
    arrivals: Mutex<VecDeque<Arrival>>,
    /// Events that tell of a refused write: the object's name, and the reason.
    warned: Mutex<Vec<String>>,
    pub news: Notify,
}

impl Inbox {
    pub fn push(&self, arrival: Arrival) {
        self.arrivals.lock().unwrap().push_back(arrival);
        self.news.notify_one();
    }

    /// An Event is sent.
    fn hear(&self, event: &[u8]) {
        let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (name, reason) = (word(&event["regarding"]["name"]), word(&event["reason"]));
        if reason == "WriteRefused" {
            self.warned.lock().unwrap().push(format!("{name} {reason}"));
        }
    }

    pub fn warned(&self) -> Vec<String> {
        self.warned.lock().unwrap().clone()
    }

    pub fn pop(&self) -> Option<Arrival> {
        self.arrivals.lock().unwrap().pop_front()
    }
}

/// The real client, over this wire.
pub fn client(from: Process, inbox: &Arc<Inbox>) -> Client {
    let inbox = Arc::clone(inbox);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let inbox = Arc::clone(&inbox);
        async move { answer(from, request, &inbox).await }
    });
    Client::new(service, "team-a")
}

async fn answer(
    from: Process,
    request: http::Request<Body>,
    inbox: &Inbox,
) -> Result<http::Response<http_body_util::Full<bytes::Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let request = Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: query(head.uri.query().unwrap_or_default()),
        content_type: head
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        body: body.to_vec(),
    };
    if request.path.starts_with(EVENTS) {
        inbox.hear(&request.body);
        return Ok(response(201, request.body));
    }
    let (sender, receiver) = oneshot::channel();
    inbox.push(Arrival::Call(Call {
        from,
        request,
        answer: sender,
    }));
    let answer = receiver
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionReset))?;
    Ok(response(answer.code, answer.body.to_string().into_bytes()))
}

fn response(code: u16, body: Vec<u8>) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let mut response = http::Response::new(http_body_util::Full::new(body.into()));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}

fn query(text: &str) -> std::collections::BTreeMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
