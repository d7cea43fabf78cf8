//! When the store's certificates follow each other. Pods that run and a gateway that was started long ago
//! know the certificate authorities of yesterday, so a new one is known for a month before it signs
//! anything, and an old one is trusted until it expires.

use chrono::{DateTime, TimeDelta, Utc};

/// How long a certificate authority lasts.
pub const AUTHORITY_LIFETIME: TimeDelta = TimeDelta::days(730);
/// With less than this left to the newest authority, another is made.
const AUTHORITY_RENEWAL: TimeDelta = TimeDelta::days(365);
/// How long an authority is published before it signs, where there is another that can.
const AUTHORITY_TRIAL: TimeDelta = TimeDelta::days(30);
/// How long a server's certificate lasts.
pub const SERVING_LIFETIME: TimeDelta = TimeDelta::days(90);
/// With less than this left, a server's certificate is replaced.
const SERVING_RENEWAL: TimeDelta = TimeDelta::days(30);
/// Certificates are valid from somewhat before their making, for those whose clock is behind.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validity {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

impl Validity {
    /// Of a certificate that is made now.
    pub fn beginning(now: DateTime<Utc>, lifetime: TimeDelta) -> Self {
        Validity {
            from: now - SKEW,
            until: now + lifetime,
        }
    }

    pub fn is_expired(self, now: DateTime<Utc>) -> bool {
        self.until <= now
    }
}

/// Whether another authority is to be made beside these.
pub fn needs_authority(known: &[Validity], now: DateTime<Utc>) -> bool {
    known
        .iter()
        .all(|authority| authority.until - now < AUTHORITY_RENEWAL)
}

/// Which of the authorities signs: the newest that had its trial, else the oldest that is left.
pub fn signer(known: &[Validity], now: DateTime<Utc>) -> Option<usize> {
    let left = || {
        known
            .iter()
            .enumerate()
            .filter(|(_, authority)| !authority.is_expired(now))
    };
    let tried = left()
        .filter(|(_, authority)| authority.from + SKEW + AUTHORITY_TRIAL <= now)
        .max_by_key(|(_, authority)| authority.from);
    tried
        .or_else(|| left().min_by_key(|(_, authority)| authority.from))
        .map(|(index, _)| index)
}

/// Whether a server's certificate is to be replaced.
pub fn needs_serving(current: Validity, now: DateTime<Utc>) -> bool {
    current.until - now < SERVING_RENEWAL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// Authorities that were made so many days ago.
    fn made(days_ago: &[i64]) -> Vec<Validity> {
        days_ago
            .iter()
            .map(|days| Validity::beginning(now() - TimeDelta::days(*days), AUTHORITY_LIFETIME))
            .collect()
    }

    #[test]
    fn authorities_overlap_by_a_year() {
        for (days_ago, needs) in [
            (vec![], true),
            (vec![0], false),
            (vec![364], false),
            (vec![366], true),
            (vec![366, 0], false),
            (vec![800], true),
        ] {
            assert_eq!(
                needs_authority(&made(&days_ago), now()),
                needs,
                "{days_ago:?}"
            );
        }
    }

    #[test]
    fn a_new_authority_is_known_for_a_month_before_it_signs() {
        for (days_ago, signs) in [
            (vec![], None),
            (vec![0], Some(0)),
            (vec![366, 0], Some(0)),
            (vec![366, 29], Some(0)),
            (vec![366, 30], Some(1)),
            (vec![800, 0], Some(1)),
            (vec![800], None),
        ] {
            assert_eq!(signer(&made(&days_ago), now()), signs, "{days_ago:?}");
        }
    }

    #[test]
    fn a_servers_certificate_is_replaced_a_month_before_its_end() {
        for (days_ago, needs) in [(0, false), (60, false), (61, true), (100, true)] {
            let made = now() - TimeDelta::days(days_ago);
            let serving = Validity::beginning(made, SERVING_LIFETIME);
            assert_eq!(needs_serving(serving, now()), needs, "{days_ago}");
        }
    }
}
