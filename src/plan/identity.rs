//! Who holds a token, by the API server's word on it. What the token itself claims proves nothing; it may
//! only spare the API server a question whose answer would be no.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use serde::Deserialize;

use crate::api::protocol::{AUDIENCE, Refusal, RefusalReason};

/// The longest token that is looked at, in bytes; projected ones have about 1,500.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// What the API server tells of a token that is bound to a pod.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
/// Usernames of service accounts; namespace and name follow.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub username: String,
    /// The UID of the user: of a service account, that of its object.
    pub uid: String,
    /// The pod that the token was made for; none for a token that somebody asked for.
    pub pod: Option<BoundPod>,
}

/// The pod that a token is bound to: it is worth nothing once that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundPod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// What a token claims about itself, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    pub expires: DateTime<Utc>,
}

/// Reads a token's claims. One that is none, not for this store or expired is refused here.
pub fn claims(token: &str, now: DateTime<Utc>) -> Result<Claims, Refusal> {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(default)]
        aud: Audiences,
        exp: i64,
    }
    #[derive(Default, Deserialize)]
    #[serde(untagged)]
    enum Audiences {
        Many(Vec<String>),
        One(String),
        #[default]
        None,
    }
    let payload = || -> Option<Payload> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let encoded = token.split('.').nth(1)?;
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
        serde_json::from_slice(&decoded).ok()
    };
    let payload = payload().ok_or_else(|| unauthorized("this is no token of a service account"))?;
    let ours = match &payload.aud {
        Audiences::Many(all) => all.iter().any(|one| one == AUDIENCE),
        Audiences::One(one) => one == AUDIENCE,
        Audiences::None => false,
    };
    if !ours {
        return Err(wrong_audience());
    }
    match DateTime::from_timestamp(payload.exp, 0) {
        Some(expires) if expires > now => Ok(Claims { expires }),
        Some(_) | None => Err(unauthorized("the token has expired")),
    }
}

/// Reads the API server's word on a token.
pub fn identity(review: &TokenReviewStatus) -> Result<Identity, Refusal> {
    let user = match (&review.user, review.authenticated) {
        (Some(user), Some(true)) => user,
        _ => {
            return Err(unauthorized(
                "the API server does not know this token: it has expired, or its pod is gone",
            ));
        }
    };
    let audiences = review.audiences.as_deref().unwrap_or_default();
    if !audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(wrong_audience());
    }
    let username = user.username.clone().unwrap_or_default();
    Ok(Identity {
        pod: user
            .extra
            .as_ref()
            .and_then(|extra| bound_pod(&username, extra)),
        uid: user.uid.clone().unwrap_or_default(),
        username,
    })
}

fn bound_pod(username: &str, extra: &BTreeMap<String, Vec<String>>) -> Option<BoundPod> {
    let (namespace, _) = username.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let one = |key: &str| match extra.get(key).map(Vec::as_slice) {
        Some([only]) if !only.is_empty() => Some(only.clone()),
        Some(_) | None => None,
    };
    Some(BoundPod {
        namespace: namespace.to_owned(),
        name: one(POD_NAME)?,
        uid: one(POD_UID)?,
    })
}

fn wrong_audience() -> Refusal {
    unauthorized(&format!("the token is not for the audience {AUDIENCE}"))
}

fn unauthorized(message: &str) -> Refusal {
    Refusal::new(RefusalReason::Unauthorized, message)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::UserInfo;

    use super::*;

    const USERNAME: &str = "system:serviceaccount:team-a:default";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn review(extra: &[(&str, &[&str])], audiences: &[&str]) -> TokenReviewStatus {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        TokenReviewStatus {
            authenticated: Some(true),
            audiences: Some(owned(audiences)),
            user: Some(UserInfo {
                username: Some(USERNAME.into()),
                uid: Some("sa-uid".into()),
                extra: Some(
                    extra
                        .iter()
                        .map(|(key, values)| ((*key).to_owned(), owned(values)))
                        .collect(),
                ),
                ..UserInfo::default()
            }),
            ..TokenReviewStatus::default()
        }
    }

    const BOUND: [(&str, &[&str]); 2] = [(POD_NAME, &["hello-1"]), (POD_UID, &["pod-uid"])];

    #[test]
    fn a_pods_token_names_its_pod() {
        let identity = identity(&review(&BOUND, &[AUDIENCE])).unwrap();
        let pod = BoundPod {
            namespace: "team-a".into(),
            name: "hello-1".into(),
            uid: "pod-uid".into(),
        };
        assert_eq!(
            (
                identity.username.as_str(),
                identity.uid.as_str(),
                identity.pod
            ),
            (USERNAME, "sa-uid", Some(pod))
        );
    }

    #[test]
    fn a_token_that_is_bound_to_no_pod_names_none() {
        for extra in [
            &[][..],
            &BOUND[..1],
            &BOUND[1..],
            &[(POD_NAME, &["a", "b"][..]), (POD_UID, &["u"])],
            &[(POD_NAME, &[""][..]), (POD_UID, &["u"])],
        ] {
            let identity = identity(&review(extra, &[AUDIENCE])).unwrap();
            assert_eq!(identity.pod, None, "{extra:?}");
        }
        let mut user = review(&BOUND, &[AUDIENCE]);
        user.user.as_mut().unwrap().username = Some("dev".into());
        assert_eq!(identity(&user).unwrap().pod, None);
    }

    #[test]
    fn who_is_not_known_or_speaks_to_somebody_else_is_refused() {
        let mut unknown = review(&BOUND, &[AUDIENCE]);
        unknown.authenticated = Some(false);
        let mut nobody = review(&BOUND, &[AUDIENCE]);
        nobody.user = None;
        let mut silent = review(&BOUND, &[AUDIENCE]);
        silent.audiences = None;
        for review in [
            unknown,
            nobody,
            silent,
            review(&BOUND, &["https://kubernetes.default.svc"]),
            TokenReviewStatus::default(),
        ] {
            let refused = identity(&review).unwrap_err();
            assert_eq!(refused.reason, RefusalReason::Unauthorized, "{review:?}");
        }
    }

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_token_that_can_only_be_refused_costs_the_api_server_nothing() {
        let good = token(r#"{"aud":["herd-store"],"exp":1800000060,"iss":"x"}"#);
        assert_eq!(
            claims(&good, now()).unwrap().expires,
            DateTime::from_timestamp(1_800_000_060, 0).unwrap()
        );
        assert!(claims(&token(r#"{"aud":"herd-store","exp":1800000060}"#), now()).is_ok());
        for bad in [
            String::new(),
            "a.b.c".into(),
            token("{}"),
            token(r#"{"aud":["herd-store"]}"#),
            token(r#"{"aud":["herd-store"],"exp":1800000000}"#),
            token(r#"{"aud":["other"],"exp":1800000060}"#),
            token(r#"{"exp":1800000060}"#),
            format!("{good}{}", "x".repeat(MAX_TOKEN_BYTES)),
        ] {
            let refused = claims(&bad, now()).unwrap_err();
            assert_eq!(refused.reason, RefusalReason::Unauthorized, "{bad:.80}");
        }
    }
}
