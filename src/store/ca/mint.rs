//! Makes and reads certificates: an authority of the store's own, and what its server shows.

use std::{sync::Arc, time::SystemTime};

use chrono::{DateTime, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use x509_parser::pem::parse_x509_pem;

use super::CaError;
use crate::plan::certificates::{AUTHORITY_LIFETIME, SERVING_LIFETIME, Validity};

/// Who the certificates say they are from; people see it in `openssl x509`.
const COMMON_NAME: &str = "herd-store CA";
/// What the store speaks inside TLS.
const ALPN: &[u8] = b"http/1.1";

/// One certificate authority.
pub struct Authority {
    pub validity: Validity,
    /// PEM.
    pub certificate: String,
    /// PEM of PKCS#8. It stays on the volume.
    pub key: String,
}

impl Authority {
    pub fn make(now: DateTime<Utc>) -> Result<Self, CaError> {
        let validity = Validity::beginning(now, AUTHORITY_LIFETIME);
        let key = KeyPair::generate().map_err(CaError::Mint)?;
        let mut params = params(validity);
        // Each has a name of its own, so that who verifies finds the right one at once.
        params.distinguished_name.push(
            DnType::CommonName,
            format!("{COMMON_NAME} {}", now.format("%Y-%m-%dT%H:%M:%SZ")),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).map_err(CaError::Mint)?;
        Ok(Authority {
            validity,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// From what [`Authority::to_pem`] wrote; none when it is something else.
    pub fn from_pem(text: &str) -> Option<Self> {
        let split = text.find("-----BEGIN PRIVATE KEY-----")?;
        let (certificate, key) = text.split_at_checked(split)?;
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
        let validity = pem.parse_x509().ok()?.validity().clone();
        let time =
            |time: x509_parser::time::ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
        KeyPair::from_pem(key).ok()?;
        Some(Authority {
            validity: Validity {
                from: time(validity.not_before)?,
                until: time(validity.not_after)?,
            },
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Certificate and key in one text, so that one file holds both or neither.
    pub fn to_pem(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }

    /// A server's certificate for these names, with a key that only this process knows.
    pub fn issue(&self, names: &[String], now: DateTime<Utc>) -> Result<Issued, CaError> {
        let validity = Validity::beginning(now, SERVING_LIFETIME);
        let key = KeyPair::generate().map_err(CaError::Mint)?;
        let mut params = params(validity);
        let own = CertificateParams::new(names).map_err(CaError::Mint)?;
        params.subject_alt_names = own.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = KeyPair::from_pem(&self.key)
            .and_then(|key| Issuer::from_ca_cert_pem(&self.certificate, key))
            .map_err(CaError::Mint)?;
        let certificate = params.signed_by(&key, &issuer).map_err(CaError::Mint)?;
        Ok(Issued {
            validity,
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }
}

/// A server's certificate and its key.
pub struct Issued {
    pub validity: Validity,
    pub certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Issued {
    /// What a server shows it with.
    pub fn into_config(self) -> Result<ServerConfig, CaError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![self.certificate], self.key)
            })
            .map_err(CaError::Tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

fn params(validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = SystemTime::from(validity.from).into();
    params.not_after = SystemTime::from(validity.until).into();
    params
}
