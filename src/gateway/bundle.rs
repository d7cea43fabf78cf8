//! The certificates that the API server trusts for our APIService, as one text of PEM blocks: several
//! replicas write it, each adds its own and removes what serves nobody any more.

use chrono::{DateTime, Utc};
use pem::{EncodeConfig, LineEnding, Pem};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::Serving;

/// Replicas that were killed leave theirs behind until it expires; the API server need not read more
/// than this.
const MOST: usize = 32;

/// The bundle with exactly these certificates of `replica` in it, or None where it is that already.
/// Certificates of others stay until they expire; when there are too many, the oldest go first. Anything
/// else goes.
pub fn with(bundle: &[u8], replica: &str, own: &[&Serving], now: DateTime<Utc>) -> Option<String> {
    let there: Vec<_> = CertificateDer::pem_slice_iter(bundle).collect();
    let mut others: Vec<Entry> = there
        .iter()
        .filter_map(|block| Entry::read(block.as_ref().ok()?))
        .filter(|entry| entry.expires > now.timestamp() && entry.name != replica)
        .collect();
    others.sort_by_key(|entry| entry.born);
    let too_many = (others.len() + own.len()).saturating_sub(MOST);
    others.drain(..too_many.min(others.len()));

    let wanted: Vec<&[u8]> = others
        .iter()
        .map(|entry| entry.der.as_ref())
        .chain(own.iter().map(|serving| serving.der.as_ref()))
        .collect();
    let same = there.len() == wanted.len()
        && there.iter().all(|block| {
            block
                .as_ref()
                .is_ok_and(|der| wanted.contains(&der.as_ref()))
        });
    (!same).then(|| text(&wanted))
}

/// Until when each certificate of a bundle is good.
pub fn expiries(bundle: &[u8]) -> Vec<DateTime<Utc>> {
    CertificateDer::pem_slice_iter(bundle)
        .filter_map(|block| Entry::read(block.as_ref().ok()?))
        .filter_map(|entry| DateTime::from_timestamp(entry.expires, 0))
        .collect()
}

fn text(certificates: &[&[u8]]) -> String {
    let blocks: Vec<Pem> = certificates
        .iter()
        .map(|der| Pem::new("CERTIFICATE", *der))
        .collect();
    pem::encode_many_config(&blocks, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// A certificate, as far as it matters here.
struct Entry {
    der: CertificateDer<'static>,
    name: String,
    /// Seconds since 1970.
    born: i64,
    expires: i64,
}

impl Entry {
    fn read(der: &CertificateDer<'static>) -> Option<Entry> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let name = parsed.subject().iter_common_name().next();
        Some(Entry {
            name: name
                .and_then(|name| name.as_str().ok())
                .unwrap_or_default()
                .to_owned(),
            born: parsed.validity().not_before.timestamp(),
            expires: parsed.validity().not_after.timestamp(),
            der: der.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::gateway::certificate::Subject;

    fn serving(replica: &str, now: DateTime<Utc>) -> Serving {
        let subject = Subject {
            service: "herd-gateway".to_owned(),
            namespace: "herd".to_owned(),
            replica: replica.to_owned(),
        };
        Serving::make(&subject, now).unwrap()
    }

    fn holds(bundle: &str, serving: &Serving) -> bool {
        bundle.contains(serving.pem.trim())
    }

    #[test]
    fn replicas_add_theirs_and_keep_the_others() {
        let now = Utc::now();
        let (a, b) = (serving("a", now), serving("b", now));
        let first = with(b"", "a", &[&a], now).unwrap();
        let both = with(first.as_bytes(), "b", &[&b], now).unwrap();
        assert!(holds(&both, &a) && holds(&both, &b));
        for (replica, own) in [("a", &a), ("b", &b)] {
            assert_eq!(with(both.as_bytes(), replica, &[own], now), None);
        }
    }

    #[test]
    fn a_replica_that_starts_again_replaces_its_own_and_one_that_renews_keeps_both() {
        let now = Utc::now();
        let (old, new, b) = (serving("a", now), serving("a", now), serving("b", now));
        let start = with(b"", "b", &[&b], now).unwrap();
        let start = with(start.as_bytes(), "a", &[&old], now).unwrap();
        let both = with(start.as_bytes(), "a", &[&old, &new], now).unwrap();
        assert!(holds(&both, &old) && holds(&both, &new) && holds(&both, &b));
        let after = with(both.as_bytes(), "a", &[&new], now).unwrap();
        assert!(!holds(&after, &old) && holds(&after, &new) && holds(&after, &b));
        let gone = with(after.as_bytes(), "a", &[], now).unwrap();
        assert!(!holds(&gone, &new) && holds(&gone, &b));
    }

    #[test]
    fn expired_and_unreadable_certificates_go() {
        let now = Utc::now();
        let (dead, a) = (
            serving("dead", now - TimeDelta::days(40)),
            serving("a", now),
        );
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("{}{nonsense}{}", dead.pem, a.pem);
        let cleaned = with(text.as_bytes(), "a", &[&a], now).unwrap();
        assert_eq!(
            cleaned.trim().replace("\r\n", "\n"),
            a.pem.trim().replace("\r\n", "\n")
        );
        assert!(with(b"no PEM at all", "a", &[&a], now).is_some());
    }

    #[test]
    fn replicas_that_were_killed_do_not_pile_up() {
        let now = Utc::now();
        let mut bundle = String::new();
        let mut last = None;
        for number in 0..MOST + 5 {
            let name = format!("herd-gateway-{number}");
            let serving = serving(&name, now);
            bundle = with(bundle.as_bytes(), &name, &[&serving], now).unwrap();
            last = Some(serving);
        }
        assert_eq!(
            CertificateDer::pem_slice_iter(bundle.as_bytes()).count(),
            MOST
        );
        assert!(holds(&bundle, &last.unwrap()));
    }
}
