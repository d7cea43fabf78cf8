//! Which lines are asked for: the query of `joboutputs/JOB/log`. What is not understood is refused by its
//! name; a mistyped `tail` must not become the whole of a long record.

use std::str::FromStr;

use axum::extract::Query;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Uri;

use super::status::{Refused, StatusReason};
use crate::api::{
    duration::DurationText,
    protocol::{FOLLOW, OFFSET, SINCE, TAIL},
};

/// The lines that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Until the record is sealed.
    pub follow: bool,
    /// From this byte of the record on; never together with `tail` or `since`.
    pub offset: Option<u64>,
    /// The last so many lines.
    pub tail: Option<u64>,
    /// From the first line on that is not older.
    pub since: Option<DateTime<Utc>>,
}

impl Wanted {
    /// Reads a query; durations count back from `now`.
    pub fn read(uri: &Uri, now: DateTime<Utc>) -> Result<Wanted, Refused> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| bad(&format!("the query can't be read: {error}")))?;
        let mut wanted = Wanted::default();
        let mut seen = Vec::new();
        for (name, value) in &pairs {
            if seen.contains(&name) {
                return Err(bad(&format!("parameter {name} is given twice")));
            }
            seen.push(name);
            match name.as_str() {
                FOLLOW => wanted.follow = boolean(value)?,
                OFFSET => wanted.offset = Some(number(name, value)?),
                TAIL => wanted.tail = Some(number(name, value)?),
                SINCE => wanted.since = Some(instant(value, now)?),
                _ => {
                    return Err(bad(&format!(
                        "parameter {name:?} is unknown; there are {FOLLOW}, {OFFSET}, {TAIL} and {SINCE}"
                    )));
                }
            }
        }
        if wanted.offset.is_some() && (wanted.tail.is_some() || wanted.since.is_some()) {
            return Err(bad(&format!(
                "parameter {OFFSET} says where to begin, and so does {TAIL} or {SINCE}: give one of them"
            )));
        }
        Ok(wanted)
    }

    /// The same to the store, whose words are fewer.
    pub fn to_store(self) -> String {
        let since = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let pairs = [
            self.follow.then(|| format!("{FOLLOW}=true")),
            self.offset.map(|offset| format!("{OFFSET}={offset}")),
            self.tail.map(|lines| format!("{TAIL}={lines}")),
            self.since.map(|at| format!("{SINCE}={}", since(at))),
        ];
        pairs.into_iter().flatten().collect::<Vec<_>>().join("&")
    }

    /// Where the lines begin, as far as the question says.
    pub fn begins(self) -> Option<u64> {
        let known = self.tail.is_none() && self.since.is_none();
        known.then(|| self.offset.unwrap_or(0))
    }
}

fn bad(message: &str) -> Refused {
    StatusReason::BadRequest.because(message)
}

/// `?follow` alone means yes, as everywhere in the API.
fn boolean(value: &str) -> Result<bool, Refused> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(bad(&format!(
            "parameter {FOLLOW} is {value:?}; it must be true or false"
        ))),
    }
}

fn number(name: &str, value: &str) -> Result<u64, Refused> {
    u64::from_str(value).map_err(|_| {
        bad(&format!(
            "parameter {name} is {value:?}; it must be a whole number, 0 or more"
        ))
    })
}

fn instant(value: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
    if let Ok(at) = DateTime::parse_from_rfc3339(value) {
        return Ok(at.to_utc());
    }
    let ago = DurationText::from(value).parse().ok();
    ago.and_then(|ago| now.checked_sub_signed(chrono::Duration::from_std(ago).ok()?))
        .ok_or_else(|| {
            bad(&format!(
                "parameter {SINCE} is {value:?}; it must be a time like 2024-01-15T08:00:00Z or a duration \
                 like 90m"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wanted, Refused> {
        let now = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z")
            .unwrap()
            .to_utc();
        Wanted::read(&format!("/log?{query}").parse().unwrap(), now)
    }

    #[test]
    fn what_is_asked_for_reaches_the_store_in_its_words() {
        for (query, store) in [
            ("", ""),
            ("follow", "follow=true"),
            ("follow=1&tail=5", "follow=true&tail=5"),
            ("follow=false", ""),
            ("offset=18446744073709551615", "offset=18446744073709551615"),
            (
                "since=2024-01-15T09:00:00%2B01:00",
                "since=2024-01-15T08:00:00.000Z",
            ),
            ("since=1h&tail=0", "tail=0&since=2026-01-02T02:04:05.000Z"),
        ] {
            assert_eq!(read(query).unwrap().to_store(), store, "{query}");
        }
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, name) in [
            ("follow=maybe", "follow"),
            ("offset=-1", "offset"),
            ("offset=18446744073709551616", "offset"),
            ("tail=all", "tail"),
            ("tail=", "tail"),
            ("since=yesterday", "since"),
            ("since=2024-01-15", "since"),
            ("tial=5", "tial"),
            ("tail=1&tail=2", "tail"),
            ("offset=1&tail=2", "offset"),
            ("offset=1&since=1h", "offset"),
        ] {
            let refused = read(query).unwrap_err();
            assert_eq!(refused.reason, StatusReason::BadRequest, "{query}");
            assert!(refused.message.contains(name), "{query}: {refused}");
        }
    }

    #[test]
    fn the_beginning_is_known_unless_lines_are_counted_or_dated() {
        assert_eq!(read("follow").unwrap().begins(), Some(0));
        assert_eq!(read("offset=7").unwrap().begins(), Some(7));
        assert_eq!(read("tail=7").unwrap().begins(), None);
        assert_eq!(read("since=7s").unwrap().begins(), None);
    }
}
