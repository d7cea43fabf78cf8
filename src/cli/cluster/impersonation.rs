//! Whom a request acts as: by flags, or by the user of a kubeconfig.

use http::{HeaderName, HeaderValue};

use super::kubeconfig::file::{self, User};
use crate::cli::error::CliError;

/// Whom a request acts as.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Impersonation {
    /// Act as this user; you need the right to impersonate
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        help_heading = "Cluster"
    )]
    user: Option<String>,
    /// Act as a member of this group too; may be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        help_heading = "Cluster"
    )]
    groups: Vec<String>,
    /// Act as the user with this UID
    #[arg(
        long = "as-uid",
        global = true,
        value_name = "UID",
        help_heading = "Cluster"
    )]
    uid: Option<String>,
}

/// A request that acts as somebody: its headers, and the name.
#[derive(Clone, Debug, Default)]
pub struct ActsAs {
    pub user: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Impersonation {
    /// What the flags say of somebody else counts, and what they leave open is as the kubeconfig has it.
    pub fn with(&self, user: Option<&User>, place: &str) -> Result<ActsAs, CliError> {
        let empty = User::default();
        let config = user.unwrap_or(&empty);
        let name = file::set(&self.user).or(file::set(&config.as_user));
        let uid = file::set(&self.uid).or(file::set(&config.as_uid));
        let groups = match &self.groups[..] {
            [] => config.as_groups.as_deref().unwrap_or_default(),
            groups => groups,
        };
        let extra = config.as_user_extra.iter().flatten();
        let extra = extra.flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        let extra: Vec<(&String, &String)> = extra.collect();
        let Some(name) = name else {
            if uid.is_none() && groups.is_empty() && extra.is_empty() {
                return Ok(ActsAs::default());
            }
            return Err(CliError::usage(format!(
                "a group, UID or extra field to act as, but no user, by flag or for the {place}"
            ))
            .next("name the user too: --as USER"));
        };
        let mut headers = vec![("impersonate-user".to_owned(), name)];
        headers.extend(uid.map(|uid| ("impersonate-uid".to_owned(), uid)));
        headers.extend(
            groups
                .iter()
                .map(|group| ("impersonate-group".to_owned(), group.as_str())),
        );
        headers.extend(
            extra
                .into_iter()
                .map(|(key, value)| (extra_header(key), value.as_str())),
        );
        let headers = headers.into_iter().map(|(header, value)| {
            let parsed = header.parse::<HeaderName>().ok();
            let value_parsed = HeaderValue::from_bytes(value.as_bytes()).ok();
            parsed.zip(value_parsed).ok_or_else(|| {
                CliError::usage(format!("can't act as {value}: no header can hold it"))
            })
        });
        Ok(ActsAs {
            user: Some(name.to_owned()),
            headers: headers.collect::<Result<_, _>>()?,
        })
    }
}

/// The header of an extra field: what no header's name can hold is escaped as in a URL.
fn extra_header(key: &str) -> String {
    let mut name = "impersonate-extra-".to_owned();
    for byte in key.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_field_becomes_a_header_as_client_go_writes_it() {
        assert_eq!(extra_header("scopes"), "impersonate-extra-scopes");
        let odd = extra_header("example.com/a b%ü");
        assert_eq!(odd, "impersonate-extra-example.com%2Fa%20b%25%C3%BC");
    }
}
