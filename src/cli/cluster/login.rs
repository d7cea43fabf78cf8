//! How a request says who sends it: what the user of a kubeconfig has to show.

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use http::{HeaderValue, header::InvalidHeaderValue};
use tokio::sync::Mutex;

use super::{
    certificates::Identity,
    kubeconfig::{
        Entry,
        file::{self, User},
    },
    plugin::{Credentials, Plugin},
};
use crate::cli::error::CliError;

/// What stands in the header Authorization, and where from.
#[derive(Debug)]
pub enum Login {
    /// Nothing; a certificate may still say who it is.
    None,
    Header(HeaderValue),
    /// Read at each request, since others write it anew before its token expires. The last token that could
    /// be read stays good.
    File {
        path: PathBuf,
        last: std::sync::Mutex<HeaderValue>,
    },
    Plugin {
        plugin: Box<Plugin>,
        given: Mutex<Option<Credentials>>,
    },
}

/// What one request shows.
#[derive(Clone, Default)]
pub struct Shown {
    pub authorization: Option<HeaderValue>,
    /// Of a plugin; that of the kubeconfig is part of the connection.
    pub identity: Option<Identity>,
}

/// What kind of credential a user has, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Nothing,
    /// It has some, but the server is spoken to without TLS.
    Unsent,
    Token,
    TokenFile,
    Password,
    Certificate,
    Plugin,
}

impl Login {
    /// From a user's fields. `place`: `user dev in /home/dev/.kube/config`.
    pub fn of_user(user: &Entry<User>, place: &str) -> Result<Self, CliError> {
        let fields = &user.value;
        let token = file::secret(&fields.token);
        let (name, password) = (file::set(&fields.username), file::secret(&fields.password));
        let basic = (name.is_some() || password.is_some())
            .then(|| basic(name.unwrap_or_default(), password.unwrap_or_default()));
        if basic.is_some() && token.is_some() {
            return Err(
                CliError::new(format!("token and username are both set for the {place}"))
                    .next("take one of the two out of the kubeconfig"),
            );
        }
        let token = token.map(|token| {
            bearer(token).map_err(|_| {
                CliError::new(format!(
                    "token of the {place} has characters that no header can hold"
                ))
                .next("see whether it ends with a line end, or log in again")
            })
        });
        let token = token.transpose()?;
        if let Some(path) = file::set(&fields.token_file) {
            return Login::of_file(user.path(path), token, place);
        }
        if let Some(token) = token {
            return Ok(Login::Header(token));
        }
        if let Some(basic) = basic {
            return Ok(Login::Header(basic));
        }
        match &fields.auth_provider {
            Some(provider) => of_provider(provider, place),
            None => Ok(Login::None),
        }
    }

    /// The file's token; `else_token` where there is none to be had.
    fn of_file(
        path: PathBuf,
        else_token: Option<HeaderValue>,
        place: &str,
    ) -> Result<Self, CliError> {
        let last = match (token_in(&path), else_token) {
            (Ok(token), _) | (Err(_), Some(token)) => token,
            (Err(why), None) => {
                return Err(CliError::new(format!(
                    "can't use {}, which is tokenFile of the {place}",
                    path.display()
                ))
                .because(why)
                .next("log in again, as your cluster's documentation says"));
            }
        };
        let last = std::sync::Mutex::new(last);
        Ok(Login::File { path, last })
    }

    pub fn of_plugin(plugin: Plugin) -> Self {
        Login::Plugin {
            plugin: Box::new(plugin),
            given: Mutex::new(None),
        }
    }

    pub async fn show(&self) -> Result<Shown, CliError> {
        Ok(match self {
            Login::None => Shown::default(),
            Login::Header(header) => Shown {
                authorization: Some(header.clone()),
                identity: None,
            },
            Login::File { path, last } => {
                let now = token_in(path);
                let mut last = last
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Ok(token) = now {
                    *last = token;
                }
                Shown {
                    authorization: Some(last.clone()),
                    identity: None,
                }
            }
            Login::Plugin { plugin, given } => {
                let mut given = given.lock().await;
                let good = given.take().filter(Credentials::is_good);
                let good = match good {
                    Some(good) => good,
                    None => plugin.run().await?,
                };
                let shown = Shown {
                    authorization: good.token.clone(),
                    identity: good.identity.clone(),
                };
                *given = Some(good);
                shown
            }
        })
    }

    /// The API server did not take what was shown: a plugin is asked again before the next request.
    pub async fn refused(&self) {
        if let Login::Plugin { given, .. } = self {
            *given.lock().await = None;
        }
    }
}

impl Credentials {
    fn is_good(&self) -> bool {
        self.expires.is_none_or(|expires| Utc::now() < expires)
    }
}

fn of_provider(provider: &file::AuthProvider, place: &str) -> Result<Login, CliError> {
    let name = file::set(&provider.name).unwrap_or("without a name");
    let config = provider.config.as_ref();
    let id_token = config.and_then(|config| config.get("id-token"));
    match id_token.and_then(file::secret) {
        Some(token) if name == "oidc" => bearer(token).map(Login::Header).map_err(|_| {
            CliError::new(format!(
                "id-token of the {place} has characters that no header can hold"
            ))
            .next("log in again, as your cluster's documentation says")
        }),
        _ => Err(CliError::new(format!(
            "the {place} logs in by the auth-provider {name}, which is not supported"
        ))
        .next("log in by a plugin (exec) instead, as your cluster's documentation says")),
    }
}

/// The header for a name and a password.
pub fn basic(name: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    // base64 is good in every header.
    sensitive(&format!("Basic {encoded}")).unwrap_or(HeaderValue::from_static(""))
}

/// The header for a token.
pub fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn token_in(path: &PathBuf) -> Result<HeaderValue, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    // Editors and `echo` end a file with a line end, which is no part of a token.
    match text.trim() {
        "" => Err("it is empty".into()),
        token => bearer(token).map_err(|_| "it holds characters that no header can hold".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shown(login: &Login) -> String {
        let shown = login.show().await.unwrap().authorization.unwrap();
        assert!(shown.is_sensitive());
        shown.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_token_file_is_read_again_and_its_last_token_stays_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "one\r\n").unwrap();
        let login = Login::of_file(path.clone(), None, "user dev").unwrap();
        assert_eq!(shown(&login).await, "Bearer one");
        fs::write(&path, "two\n").unwrap();
        assert_eq!(shown(&login).await, "Bearer two");
        fs::write(&path, "").unwrap();
        assert_eq!(shown(&login).await, "Bearer two");
        fs::remove_file(&path).unwrap();
        assert_eq!(shown(&login).await, "Bearer two");
        assert!(Login::of_file(path, None, "user dev").is_err());
    }
}
