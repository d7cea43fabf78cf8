//! Which certificate of a server is trusted. Beside what the TLS library takes, one that the kubeconfig itself
//! holds as its authority: small distributions serve with the authority's own certificate, and Go takes that.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::{parse_x509_certificate, time::ASN1Time};

#[derive(Debug)]
struct Trust {
    authorities: Vec<Vec<u8>>,
    chains: Arc<WebPkiServerVerifier>,
}

/// Has `config` trust these authorities. Where they can't be used it stays as it is.
pub fn trust(config: &mut ClientConfig, authorities: &[Vec<u8>]) {
    let mut roots = RootCertStore::empty();
    let certificates = authorities.iter().map(|der| CertificateDer::from(&der[..]));
    roots.add_parsable_certificates(certificates);
    let provider = config.crypto_provider().clone();
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    if let Ok(chains) = chains {
        config.dangerous().set_certificate_verifier(Arc::new(Trust {
            authorities: authorities.to_vec(),
            chains,
        }));
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_chain = self
            .chains
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        let held = self
            .authorities
            .iter()
            .any(|held| held[..] == certificate[..]);
        match by_chain {
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if held => {
                is_valid(certificate, now)?;
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            by_chain => by_chain,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn is_valid(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let bad = |why| Err(Error::InvalidCertificate(why));
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
        return bad(CertificateError::BadEncoding);
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let Ok(now) = ASN1Time::from_timestamp(seconds) else {
        return bad(CertificateError::BadEncoding);
    };
    if now < parsed.validity().not_before {
        return bad(CertificateError::NotValidYet);
    }
    if now > parsed.validity().not_after {
        return bad(CertificateError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    /// Of itself, as authority or not, from 2020 to 2030.
    fn certificate(authority: bool) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::new(["api.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        if authority {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let made = parameters.self_signed(&KeyPair::generate().unwrap());
        made.unwrap().der().clone()
    }

    /// In this year; `held`: what the kubeconfig has.
    fn verdict(held: &CertificateDer, shown: &CertificateDer, name: &str, year: u64) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(held.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let trust = Trust {
            authorities: vec![held.to_vec()],
            chains: chains.build().unwrap(),
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
        match trust.verify_server_cert(shown, &[], &name, &[], now) {
            Ok(_) => "trusted".into(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn the_authoritys_own_certificate_is_trusted_within_its_time_and_for_its_name() {
        for authority in [true, false] {
            let held = certificate(authority);
            let of = |name: &str, year| verdict(&held, &held, name, year);
            assert_eq!(of("api.example", 2025), "trusted");
            assert!(of("other.example", 2025).contains("NotValidForName"));
            assert!(of("api.example", 2035).contains("Expired"));
            assert!(of("api.example", 2015).contains("NotValidYet"));
        }
    }

    #[test]
    fn another_certificate_of_the_same_name_is_not_trusted() {
        for (held, shown) in [(true, true), (true, false), (false, true)] {
            let (held, shown) = (certificate(held), certificate(shown));
            assert_ne!(verdict(&held, &shown, "api.example", 2025), "trusted");
        }
    }
}
