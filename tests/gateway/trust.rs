//! The certificate that the API server is told to trust is good for its purpose and for no other.

use chrono::{TimeDelta, Utc};
use herdctl::gateway::{
    certificate::{Serving, Subject},
    front_proxy::Known,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    client,
    ground::{Ground, JOB, object},
};

fn subject(replica: &str) -> Subject {
    Subject {
        service: "herd-gateway".to_owned(),
        namespace: "herd".to_owned(),
        replica: replica.to_owned(),
    }
}

#[test]
fn it_names_the_service_serves_and_signs_nothing() {
    let serving = Serving::make(&subject("herd-gateway-abc"), Utc::now()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&serving.der).unwrap();
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth && !usage.any);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        format!("{:?}", names.value.general_names),
        format!("[DNSName({:?})]", client::HOST)
    );
    assert!(certificate.validity().is_valid());
}

#[test]
fn it_is_renewed_long_before_it_ends() {
    let now = Utc::now();
    let serving = Serving::make(&subject("herd-gateway-abc"), now).unwrap();
    assert!(!serving.is_old(now + TimeDelta::days(19)));
    assert!(serving.is_old(now + TimeDelta::days(21)));
    let (_, certificate) = X509Certificate::from_der(&serving.der).unwrap();
    let ends = certificate.validity().not_after.timestamp();
    assert!(ends > (now + TimeDelta::days(28)).timestamp());
}

#[test]
fn replicas_have_keys_of_their_own() {
    let now = Utc::now();
    let key = |replica| {
        let serving = Serving::make(&subject(replica), now).unwrap();
        let (_, certificate) = X509Certificate::from_der(&serving.der).unwrap();
        certificate.public_key().raw.to_vec()
    };
    assert_ne!(key("a"), key("a"));
}

#[tokio::test]
async fn whoever_trusts_another_replicas_certificate_alone_does_not_trust_this_one() {
    let ground = Ground::new().await;
    let other = Serving::make(&subject("herd-gateway-0"), Utc::now()).unwrap();
    assert!(other.server(&Known::NotYet).is_ok());
    let refused = client::connect(ground.address, &other.der, Some(&ground.proxy)).await;
    assert!(refused.is_err());
    assert_eq!(ground.get(&object(JOB)).await.status, 200);
}
