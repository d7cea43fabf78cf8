//! Where the CLI was told to find the API, as it may be shown: a URL may hold a name and a password, or a
//! token in its query.

use crate::api::text::Clean;

/// Longest URL in a message.
const MAX_BYTES: usize = 96;

/// What the CLI adds to its base URL begins with this.
const VERSION: &str = "/v1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    shown: Clean,
    ends_with_version: bool,
}

impl BaseUrl {
    /// `kept_in` names the object that the URL is kept in, if it is not to be shown.
    pub fn new(url: &str, kept_in: Option<&str>) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        BaseUrl {
            shown: match kept_in {
                Some(object) => Clean::line(&format!("of {object}"), MAX_BYTES),
                None => Clean::line(&without_user(path), MAX_BYTES),
            },
            ends_with_version: path.trim_end_matches('/').ends_with(VERSION),
        }
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The CLI's requests go to `/v1/v1/messages`.
    pub fn ends_with_version(&self) -> bool {
        self.ends_with_version
    }
}

/// Whatever stands before the last `@` may be a password, also where no `://` says that it is a URL.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() {
        rest.to_owned()
    } else {
        format!("{scheme}://{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_and_no_token_of_a_url_is_shown() {
        for (url, shown, ends_with_version) in [
            ("https://gw.example.com", "https://gw.example.com", false),
            (
                "https://gw.example.com/v1",
                "https://gw.example.com/v1",
                true,
            ),
            (
                "https://gw.example.com/v1/",
                "https://gw.example.com/v1/",
                true,
            ),
            (
                "https://me:p@ss@gw:8443/a?key=s3cret#x",
                "https://gw:8443/a",
                false,
            ),
            ("me:p/ss@gw/v1?k=v", "gw/v1", true),
            ("", "", false),
        ] {
            let base = BaseUrl::new(url, None);
            assert_eq!(
                (base.shown(), base.ends_with_version()),
                (shown, ends_with_version),
                "{url}"
            );
        }
        let kept = BaseUrl::new("https://gw/TOKEN/v1", Some("Secret gw, key url"));
        assert_eq!(
            (kept.shown(), kept.ends_with_version()),
            ("of Secret gw, key url", true)
        );
    }
}
