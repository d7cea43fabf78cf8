//! Identity comes from the front proxy alone: its certificate, its name, its headers.

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Body;
use herdctl::gateway::{
    front_proxy::{FrontProxy, Known, Unusable},
    health::Readiness,
};
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};

use crate::{
    certificates::Ca,
    client::{self, Answer, HOST, soon},
    ground::{Ground, JOB, PROXY, SEATS, front_proxy_data, object},
};

#[tokio::test]
async fn a_direct_call_with_identity_headers_and_no_certificate_is_nobodys() {
    let ground = Ground::new().await;
    let paths = ["/apis", "/nowhere", "/healthz", "/livez", "/readyz"];
    for path in [object(JOB)].into_iter().chain(paths.map(str::to_owned)) {
        let response = ground.send_as(None, Ground::request(&path)).await.unwrap();
        let message = Answer::of(response).await.failure(401, "Unauthorized");
        assert!(message.contains("no client certificate"), "{message}");
        assert!(message.contains("kubectl get --raw"), "{message}");
    }
    assert_eq!(ground.words.asked(), []);
}

#[tokio::test]
async fn however_many_nobodies_come_the_api_server_has_a_seat() {
    let ground = Ground::new().await;
    let mut nobodies = Vec::new();
    for _ in 0..SEATS {
        let mut stream = client::connect(ground.address, &ground.serving.der, None)
            .await
            .unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        let answered = soon("an answer", stream.read_exact(&mut status)).await;
        answered.unwrap();
        nobodies.push(stream);
    }
    assert_eq!(ground.get("/apis").await.status, 200);
}

#[tokio::test]
async fn a_certificate_of_the_right_ca_with_another_name_is_nobodys() {
    let ground = Ground::new().await;
    let other = ground.proxy_ca.client("kubelet");
    let response = ground
        .send_as(Some(&other), Ground::request(&object(JOB)))
        .await
        .unwrap();
    let message = Answer::of(response).await.failure(401, "Unauthorized");
    assert!(message.contains("name is not allowed"), "{message}");
}

#[tokio::test]
async fn a_certificate_of_another_ca_does_not_get_as_far_as_a_request() {
    let ground = Ground::new().await;
    let stranger = Ca::new("front-proxy-ca").client(PROXY);
    let refused = ground
        .send_as(Some(&stranger), Ground::request(&object(JOB)))
        .await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(ground.words.asked(), []);
}

#[tokio::test]
async fn a_server_certificate_of_the_right_ca_and_name_is_no_client() {
    let ground = Ground::new().await;
    let server = ground.proxy_ca.server(PROXY);
    let refused = ground
        .send_as(Some(&server), Ground::request(&object(JOB)))
        .await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_connection_older_than_the_present_ca_says_nothing_any_more() {
    let ground = Ground::new().await;
    let next = Ca::new("front-proxy-ca-2");
    let rotated = FrontProxy::read(&front_proxy_data(&next.pem, &[PROXY])).unwrap();
    // The TLS configuration is the old one still, as it is on a connection from before.
    ground.known.send_replace(Known::Good(Arc::new(rotated)));
    ground.get(&object(JOB)).await.failure(401, "Unauthorized");
    let both = format!("{}{}", ground.proxy_ca.pem, next.pem);
    let both = FrontProxy::read(&front_proxy_data(&both, &[PROXY])).unwrap();
    ground.known.send_replace(Known::Good(Arc::new(both)));
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_so_that_the_api_server_makes_another() {
    let ground = Ground::new().await;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {HOST}\r\nX-Remote-User: dev\r\n\r\n",
        object(JOB)
    );
    let mut stream = client::connect(ground.address, &ground.serving.der, Some(&ground.proxy))
        .await
        .unwrap();
    ground.known.send_replace(Known::NotYet);
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.unwrap();
    soon("the close", stream.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 503"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn while_the_front_proxy_is_not_known_nobody_is_anybody() {
    let ground = Ground::new().await;
    let why = "ConfigMap kube-system/extension-apiserver-authentication can't be used".to_owned();
    for known in [Known::NotYet, Known::Unusable(why)] {
        ground.known.send_replace(known);
        ground
            .get(&object(JOB))
            .await
            .failure(503, "ServiceUnavailable");
    }
}

#[test]
fn readiness_says_what_is_missing() {
    let ca = Ca::new("front-proxy-ca");
    let proxy = FrontProxy::read(&front_proxy_data(&ca.pem, &[PROXY])).unwrap();
    let (known, front_proxy) = watch::channel(Known::NotYet);
    let (registration, registered) = watch::channel(false);
    let readiness = Readiness {
        registered,
        front_proxy,
    };
    assert!(readiness.missing().unwrap().contains("not read yet"));
    known.send_replace(Known::Unusable("torn".to_owned()));
    assert!(readiness.missing().unwrap().contains("see the log"));
    known.send_replace(Known::Good(Arc::new(proxy)));
    assert!(readiness.missing().unwrap().contains("certificate"));
    registration.send_replace(true);
    assert_eq!(readiness.missing(), None);
}

#[tokio::test]
async fn user_groups_uid_and_extras_are_taken_from_the_headers() {
    let ground = Ground::new().await;
    let mut request = Ground::request(&object(JOB));
    let headers = request.headers_mut();
    headers.insert("x-remote-uid", "42".parse().unwrap());
    headers.append("x-remote-extra-scopes", "one".parse().unwrap());
    headers.append("x-remote-extra-scopes", "two".parse().unwrap());
    let key = "x-remote-extra-example.com%2fpod";
    headers.append(key, "p".parse().unwrap());
    assert_eq!(ground.send(request).await.status, 200);
    let user = ground.words.asked().remove(0).user;
    assert_eq!(user.name, "dev");
    assert_eq!(user.uid.as_deref(), Some("42"));
    assert_eq!(user.groups, ["developers", "system:authenticated"]);
    let extra = [
        (
            "scopes".to_owned(),
            vec!["one".to_owned(), "two".to_owned()],
        ),
        ("example.com/pod".to_owned(), vec!["p".to_owned()]),
    ];
    assert_eq!(user.extra, BTreeMap::from(extra));
}

#[tokio::test]
async fn the_case_of_a_header_does_not_matter() {
    let ground = Ground::new().await;
    let mut stream = client::connect(ground.address, &ground.serving.der, Some(&ground.proxy))
        .await
        .unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHoSt: {HOST}\r\nx-ReMoTe-uSeR: dev\r\nX-REMOTE-EXTRA-ScOpEs: One\r\n\
         Connection: close\r\n\r\n",
        object(JOB)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // What matters is what the authorizer was asked; the close of TLS does not.
    let _ = soon("the answer", stream.read_to_end(&mut answer)).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let user = ground.words.asked().remove(0).user;
    assert_eq!(user.name, "dev");
    assert_eq!(user.extra["scopes"], ["One"]);
}

#[tokio::test]
async fn headers_that_do_not_say_one_user_say_none() {
    let ground = Ground::new().await;
    let without = Request::get(object(JOB))
        .header("host", HOST)
        .body(Body::empty())
        .unwrap();
    let mut empty = Ground::request(&object(JOB));
    empty
        .headers_mut()
        .insert("x-remote-user", "".parse().unwrap());
    let mut twice = Ground::request(&object(JOB));
    twice
        .headers_mut()
        .append("x-remote-user", "admin".parse().unwrap());
    let mut bytes = Ground::request(&object(JOB));
    let value = http::HeaderValue::from_bytes(b"\xff").unwrap();
    bytes.headers_mut().insert("x-remote-user", value);
    for request in [without, empty, twice, bytes] {
        ground.send(request).await.failure(401, "Unauthorized");
    }
    assert_eq!(ground.words.asked(), []);
}

#[test]
fn any_name_will_do_only_where_the_ca_is_the_front_proxys_alone() {
    let (front, clients) = (Ca::new("front"), Ca::new("clients"));
    let mut data = front_proxy_data(&front.pem, &[]);
    data.insert("client-ca-file".to_owned(), clients.pem.clone());
    assert!(FrontProxy::read(&data).is_ok());
    for shared in [format!("{}{}", clients.pem, front.pem), front.issued_anew()] {
        data.insert("client-ca-file".to_owned(), shared);
        assert!(matches!(FrontProxy::read(&data), Err(Unusable::Shared)));
    }
    let mut named = front_proxy_data(&front.pem, &[PROXY]);
    named.insert("client-ca-file".to_owned(), front.pem.clone());
    assert!(FrontProxy::read(&named).is_ok());
}

#[test]
fn what_the_api_server_did_not_publish_well_is_not_used() {
    let front = Ca::new("front");
    let with = |key: &str, value: &str| {
        let mut data = front_proxy_data(&front.pem, &[PROXY]);
        data.insert(key.to_owned(), value.to_owned());
        FrontProxy::read(&data)
    };
    assert!(matches!(
        FrontProxy::read(&BTreeMap::new()),
        Err(Unusable::NoCa)
    ));
    assert!(matches!(
        with("requestheader-client-ca-file", "no PEM"),
        Err(Unusable::NoCa)
    ));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        with("requestheader-client-ca-file", broken),
        Err(Unusable::BadCa { .. })
    ));
    assert!(matches!(
        with("requestheader-allowed-names", "front-proxy-client"),
        Err(Unusable::BadList { .. })
    ));
    assert!(matches!(
        with("requestheader-username-headers", "[]"),
        Err(Unusable::NoUsernames)
    ));
}
