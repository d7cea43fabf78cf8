//! Who asks. The API server says so in headers, which anybody can write: they count only over a
//! connection on which the front proxy's certificate was shown.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use rustls::pki_types::UnixTime;

use super::{
    front_proxy::{FrontProxy, Known},
    status::{Refused, StatusReason},
};
use crate::https::Peer;

/// A user as the API server knows him.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    pub name: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Who asks, by the word of the front proxy; else 401, or 503 where the front proxy is not known.
pub fn user(peer: Option<&Peer>, headers: &HeaderMap, known: &Known) -> Result<User, Refused> {
    let proxy = match known {
        Known::Good(proxy) => proxy,
        Known::Unusable(why) => return Err(StatusReason::ServiceUnavailable.because(why.as_str())),
        Known::NotYet => {
            return Err(StatusReason::ServiceUnavailable.because(
                "the gateway has just started and does not know the API server yet; try again",
            ));
        }
    };
    let certificates = peer
        .map(|peer| peer.certificates.as_slice())
        .unwrap_or_default();
    proxy.is(certificates, UnixTime::now()).map_err(|why| {
        unauthorized(&format!(
            "{why}. Ask the API server: kubectl get --raw PATH"
        ))
    })?;
    named(headers, proxy)
}

fn named(headers: &HeaderMap, proxy: &FrontProxy) -> Result<User, Refused> {
    let name = only(headers, &proxy.username_headers)?
        .ok_or_else(|| unauthorized("the front proxy did not say who asks"))?;
    Ok(User {
        name,
        uid: only(headers, &proxy.uid_headers)?,
        groups: every(headers, &proxy.group_headers)?,
        extra: extra(headers, &proxy.extra_prefixes)?,
    })
}

fn unauthorized(message: &str) -> Refused {
    StatusReason::Unauthorized.because(message)
}

/// The value of the first of these headers that has one. Two values of a header mean that somebody
/// before us and somebody else do not agree on who asks.
fn only(headers: &HeaderMap, names: &[String]) -> Result<Option<String>, Refused> {
    for name in names {
        let mut values = headers.get_all(name.trim()).iter();
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => {
                return Err(unauthorized(&format!(
                    "header {name} stands there more than once"
                )));
            }
            (Some(value), None) if !value.is_empty() => return text(name, value).map(Some),
            _ => {}
        }
    }
    Ok(None)
}

fn every(headers: &HeaderMap, names: &[String]) -> Result<Vec<String>, Refused> {
    let values = names.iter().flat_map(|name| {
        let values = headers.get_all(name.trim()).iter();
        values
            .filter(|value| !value.is_empty())
            .map(move |value| text(name, value))
    });
    values.collect()
}

fn extra(
    headers: &HeaderMap,
    prefixes: &[String],
) -> Result<BTreeMap<String, Vec<String>>, Refused> {
    let mut extra = BTreeMap::<_, Vec<String>>::new();
    for prefix in prefixes {
        let prefix = prefix.to_ascii_lowercase();
        for (name, value) in headers {
            let Some(key) = name.as_str().strip_prefix(&prefix) else {
                continue;
            };
            let decoded = percent_decode_str(key).decode_utf8();
            let key = decoded.map_or_else(|_| key.to_owned(), |key| key.into_owned());
            extra
                .entry(key)
                .or_default()
                .push(text(name.as_str(), value)?);
        }
    }
    Ok(extra)
}

fn text(name: &str, value: &HeaderValue) -> Result<String, Refused> {
    std::str::from_utf8(value.as_bytes())
        .map(str::to_owned)
        .map_err(|_| unauthorized(&format!("header {name} is not UTF-8")))
}
