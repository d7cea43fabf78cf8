//! Certificates and keys of a kubeconfig, from a file or from the kubeconfig itself. What is wrong with one is
//! said with the field, its entry and its file: the TLS library knows none of them.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::kubeconfig::{
    Entry,
    file::{self, Cluster, User},
};
use crate::cli::error::CliError;

/// A client's certificate with its key, as PEM of the plainest form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificate: String,
    pub key: file::Secret,
}

/// A field that holds PEM, or the field beside it that names a file with it.
struct Pem<'a> {
    /// `client-key`; with `-data` it holds the text itself.
    field: &'static str,
    /// `user dev in /home/dev/.kube/config`.
    place: &'a str,
    data: Option<&'a str>,
    path: Option<std::path::PathBuf>,
}

impl Pem<'_> {
    /// None where neither field is set.
    fn read(&self) -> Result<Option<Vec<u8>>, CliError> {
        match (self.data, &self.path) {
            (Some(_), Some(_)) => Err(CliError::new(format!(
                "{0} and {0}-data are both set for the {1}",
                self.field, self.place
            ))
            .next(format!("take {} out of the kubeconfig", self.field))),
            (Some(data), None) => {
                let plain: String = data.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
                let bytes = STANDARD.decode(plain);
                bytes.map(Some).map_err(|_| {
                    CliError::new(format!("{} is not base64", self.name())).next(AGAIN)
                })
            }
            (None, Some(path)) => fs::read(path).map(Some).map_err(|error| {
                CliError::new(format!(
                    "can't read {}, which is {} of the {}",
                    path.display(),
                    self.field,
                    self.place
                ))
                .because(error)
                .next(AGAIN)
            }),
            (None, None) => Ok(None),
        }
    }

    fn name(&self) -> String {
        match &self.path {
            Some(path) => format!("{} of the {} ({})", self.field, self.place, path.display()),
            None => format!("{}-data of the {}", self.field, self.place),
        }
    }

    fn bad(&self, why: &str) -> CliError {
        CliError::new(format!("{} {why}", self.name())).next(AGAIN)
    }
}

const AGAIN: &str = "fetch the kubeconfig of this cluster again, or log in again, as your cluster's documentation says";

/// Certificates of authorities.
pub struct Authorities {
    /// As they stand in the kubeconfig, for a plugin.
    pub pem: Vec<u8>,
    pub certificates: Vec<Vec<u8>>,
}

/// The authorities that the kubeconfig names; none where those of the machine count.
pub fn authorities(cluster: &Entry<Cluster>, name: &str) -> Result<Option<Authorities>, CliError> {
    let place = format!("cluster {name} in {}", cluster.file.display());
    let path = file::set(&cluster.value.certificate_authority);
    let pem = Pem {
        field: "certificate-authority",
        place: &place,
        data: file::set(&cluster.value.certificate_authority_data),
        path: path.map(|path| cluster.path(path)),
    };
    let Some(bytes) = pem.read()? else {
        return Ok(None);
    };
    if cluster.value.insecure_skip_tls_verify == Some(true) {
        return Err(CliError::new(format!(
            "{} is set, and insecure-skip-tls-verify too",
            pem.name()
        ))
        .next("take one of the two out of the kubeconfig"));
    }
    // As Go does: what is no certificate among others is passed over.
    let mut store = RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok);
    let good = all.filter(|certificate| store.add(certificate.clone()).is_ok());
    let certificates: Vec<Vec<u8>> = good.map(|certificate| certificate.to_vec()).collect();
    if certificates.is_empty() {
        return Err(pem.bad("holds no certificate in PEM"));
    }
    Ok(Some(Authorities {
        pem: bytes,
        certificates,
    }))
}

/// The user's certificate with its key.
pub fn identity(user: &Entry<User>, place: &str) -> Result<Option<Identity>, CliError> {
    let at = |path: &Option<String>| file::set(path).map(|path| user.path(path));
    let certificate = Pem {
        field: "client-certificate",
        place,
        data: file::set(&user.value.client_certificate_data),
        path: at(&user.value.client_certificate),
    };
    let key = Pem {
        field: "client-key",
        place,
        data: file::secret(&user.value.client_key_data),
        path: at(&user.value.client_key),
    };
    // A key alone identifies nobody; kubectl does not look at it.
    let Some(chain) = certificate.read()? else {
        return Ok(None);
    };
    let Some(secret) = key.read()? else {
        return Err(certificate.bad("is set, but neither client-key nor client-key-data"));
    };
    pair(&chain, &secret).map(Some).map_err(|why| match why {
        BadPair::Certificate => certificate.bad("holds no certificate in PEM"),
        BadPair::Key => key.bad("holds no private key in PEM that can be read without a password"),
        BadPair::Kind(words) => key.bad("can't be used").because(words),
        BadPair::Apart => certificate.bad(&format!("does not belong to {}", key.name())),
    })
}

/// Why a certificate and a key are no identity.
#[derive(Debug, PartialEq, Eq)]
pub enum BadPair {
    Certificate,
    Key,
    Kind(String),
    Apart,
}

/// Tries a certificate and its key, both PEM, before anything is sent.
pub fn pair(certificate: &[u8], key: &[u8]) -> Result<Identity, BadPair> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|_| BadPair::Certificate)?;
    if chain.is_empty() {
        return Err(BadPair::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadPair::Key)?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            return Err(BadPair::Apart);
        }
        Err(rustls::Error::InvalidCertificate(_)) => return Err(BadPair::Certificate),
        Err(error) => return Err(BadPair::Kind(error.to_string())),
    }
    let tag = match &key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let encode = |tag: &str, bytes: &[u8]| pem::encode(&pem::Pem::new(tag, bytes));
    let certificates = chain.iter().map(|one| encode("CERTIFICATE", one));
    Ok(Identity {
        certificate: certificates.collect(),
        key: file::Secret::new(encode(tag, key.secret_der())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["dev".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_told_from_what_is_none() {
        let ((certificate, key), (_, other)) = (made(), made());
        let of = |certificate: &str, key: &str| pair(certificate.as_bytes(), key.as_bytes()).err();
        assert_eq!(of(&certificate, &key), None);
        assert_eq!(of(&certificate, &other), Some(BadPair::Apart));
        assert_eq!(of(&key, &key), Some(BadPair::Certificate));
        assert_eq!(of("rubbish", &key), Some(BadPair::Certificate));
        assert_eq!(of(&certificate, "rubbish"), Some(BadPair::Key));
        let sealed = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert_eq!(of(&certificate, &sealed), Some(BadPair::Key));
    }

    #[test]
    fn what_stands_around_certificate_and_key_is_left_out() {
        let (certificate, key) = made();
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let noted = format!("subject=dev\n{certificate}{certificate}");
        let identity = pair(noted.as_bytes(), format!("{parameters}{key}").as_bytes()).unwrap();
        assert_eq!(identity.certificate.matches("BEGIN").count(), 2);
        assert!(!identity.certificate.contains("subject"));
        assert_eq!(identity.key.reveal().matches("BEGIN").count(), 1);
    }
}
