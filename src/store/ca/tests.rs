use std::{fs, os::unix::fs::PermissionsExt};

use chrono::{DateTime, TimeDelta, Utc};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::*;

const NAME: &str = "herd-store.herd-system.svc";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn open(folder: &std::path::Path, now: DateTime<Utc>) -> Ca {
    Ca::open(
        folder.join(".ca"),
        vec![NAME.into(), "herd-store".into()],
        now,
    )
    .unwrap()
}

/// Would somebody who trusts `bundle` believe, at this time, that the store is `name`?
fn is_trusted(ca: &Ca, bundle: &str, name: &'static str, at: DateTime<Utc>) -> bool {
    let index = certificates::signer(&ca.validities(), at).unwrap();
    let shown = ca.authorities[index]
        .issue(&ca.names, at)
        .unwrap()
        .certificate;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), ring::default_provider().into())
            .build()
            .unwrap();
    let seconds = u64::try_from(at.timestamp()).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier
        .verify_server_cert(&shown, &[], &ServerName::try_from(name).unwrap(), &[], time)
        .is_ok()
}

#[test]
fn who_has_the_bundle_trusts_the_store_under_its_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca = open(folder.path(), now());
    let later = now() + TimeDelta::minutes(1);
    assert!(is_trusted(&ca, &ca.bundle(), NAME, later));
    assert!(is_trusted(&ca, &ca.bundle(), "herd-store", later));
    assert!(!is_trusted(
        &ca,
        &ca.bundle(),
        "herd-gateway.herd-system.svc",
        later
    ));
    let other = tempfile::tempdir().unwrap();
    let stranger = open(other.path(), now());
    assert!(!is_trusted(&ca, &stranger.bundle(), NAME, later));
}

#[test]
fn an_authority_outlives_its_process_and_is_for_the_stores_eyes() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), now()).bundle();
    let again = open(folder.path(), now() + TimeDelta::days(3));
    assert_eq!(again.bundle(), first);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let hidden = folder.path().join(".ca");
    assert_eq!(mode(&hidden), 0o700);
    let files: Vec<_> = fs::read_dir(&hidden)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(
        files.iter().map(|path| mode(path)).collect::<Vec<_>>(),
        [0o600]
    );
}

#[test]
fn who_knows_yesterdays_bundle_trusts_tomorrows_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut ca = open(folder.path(), now());
    let old = ca.bundle();
    let rotation = now() + TimeDelta::days(400);
    assert!(ca.renew(rotation).unwrap());
    assert!(ca.bundle().starts_with(&old) && ca.bundle().len() > old.len());
    assert!(is_trusted(&ca, &old, NAME, rotation));
    let taken_over = rotation + TimeDelta::days(31);
    assert!(!is_trusted(&ca, &old, NAME, taken_over));
    assert!(is_trusted(&ca, &ca.bundle(), NAME, taken_over));
    assert!(ca.renew(now() + TimeDelta::days(731)).unwrap());
    assert!(
        !ca.bundle().contains(&old),
        "an expired authority is not published"
    );
    assert_eq!(fs::read_dir(folder.path().join(".ca")).unwrap().count(), 1);
}

#[test]
fn the_certificate_is_replaced_when_it_is_time_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut ca = open(folder.path(), now());
    let made = |ca: &mut Ca, days| ca.serving(now() + TimeDelta::days(days)).unwrap().is_some();
    assert!(made(&mut ca, 0));
    assert!(!made(&mut ca, 59));
    assert!(made(&mut ca, 61));
    assert!(!made(&mut ca, 61));
}

#[test]
fn a_damaged_file_is_named_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), now()));
    let hidden = folder.path().join(".ca");
    let file = fs::read_dir(&hidden)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, "garbage").unwrap();
    let refused = Ca::open(hidden, vec![NAME.into()], now());
    assert!(matches!(refused, Err(CaError::Unreadable { path }) if path == file));
    assert_eq!(fs::read_to_string(&file).unwrap(), "garbage");
}
