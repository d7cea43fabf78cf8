//! The certificate that a replica serves with. Each makes its own, signed by itself and unable to sign
//! another: the API server is told to trust exactly this one, and its key never leaves the process.

use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::front_proxy::Known;

/// A clock that is behind ours must not find the certificate unborn; whole days also spare a dependency.
const BEFORE: TimeDelta = TimeDelta::days(1);
const LIFE: TimeDelta = TimeDelta::days(30);
/// A new one is made when only so much is left.
const RENEWAL: TimeDelta = TimeDelta::days(10);
/// The API server's connections speak this; a follower is a connection of its own.
const ALPN: &[u8] = b"http/1.1";

/// Whose certificate: what the API server will ask for, and which replica holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub service: String,
    pub namespace: String,
    /// The replica's name: its pod's. At most 64 characters.
    pub replica: String,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Serving {
    pub der: CertificateDer<'static>,
    pub pem: String,
    key: Arc<CertifiedKey>,
    renewed_from: DateTime<Utc>,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("failed to make a serving certificate for {0:?}")]
    Make(Subject, #[source] rcgen::Error),
    #[error("failed to set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Serving {
    /// Makes a certificate that is good from now on.
    pub fn make(subject: &Subject, now: DateTime<Utc>) -> Result<Serving, CertificateError> {
        let made = || -> Result<_, rcgen::Error> {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let certificate = parameters(subject, now)?.self_signed(&key)?;
            Ok((key, certificate))
        };
        let (key, certificate) =
            made().map_err(|error| CertificateError::Make(subject.clone(), error))?;
        let der = certificate.der().clone();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signer = ring::default_provider()
            .key_provider
            .load_private_key(private)?;
        Ok(Serving {
            pem: certificate.pem(),
            key: Arc::new(CertifiedKey::new(vec![der.clone()], signer)),
            der,
            renewed_from: now + LIFE - RENEWAL,
        })
    }

    /// Another one is needed soon.
    pub fn is_old(&self, now: DateTime<Utc>) -> bool {
        now >= self.renewed_from
    }

    /// How to serve with it, and whom to take for the front proxy. Sessions are not resumed: each
    /// connection shows its certificate to the verifier of its time.
    pub fn server(&self, known: &Known) -> Result<Arc<ServerConfig>, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match known {
            Known::Good(proxy) => builder.with_client_cert_verifier(proxy.verifier()),
            Known::NotYet | Known::Unusable(_) => builder.with_no_client_auth(),
        };
        let resolver: Arc<dyn ResolvesServerCert> =
            Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)));
        let mut server = builder.with_cert_resolver(resolver);
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Arc::new(server))
    }
}

fn parameters(subject: &Subject, now: DateTime<Utc>) -> Result<CertificateParams, rcgen::Error> {
    let host = format!("{}.{}.svc", subject.service, subject.namespace);
    // Months and days are small numbers.
    let day = |at: DateTime<Utc>| date_time_ymd(at.year(), at.month() as u8, at.day() as u8);
    let mut parameters = CertificateParams::new([host])?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, &subject.replica);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.not_before = day(now - BEFORE);
    parameters.not_after = day(now + LIFE);
    Ok(parameters)
}
