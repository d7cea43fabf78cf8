//! Runs the login plugin that a kubeconfig names (`exec`), as kubectl does. kube's own way gives a plugin our
//! standard input, also where the prompt comes there, and says of a missing program only "os error 2".

use std::{ffi::OsStr, io, io::IsTerminal, process::Stdio};

use chrono::{DateTime, Utc};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    certificates::{BadPair, Identity, pair},
    kubeconfig::file::{self, Cluster, Exec, Secret},
    login::bearer,
};
use crate::cli::error::CliError;

const GROUP: &str = "client.authentication.k8s.io";
/// The extension of a cluster that is meant for plugins.
const FOR_PLUGINS: &str = "client.authentication.k8s.io/exec";

/// Whether a plugin may ask questions on our standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    Free,
    /// We have read a prompt from it.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interactive {
    Never,
    IfAvailable,
    Always,
}

/// A plugin, checked and ready to be run.
#[derive(Debug)]
pub struct Plugin {
    command: String,
    arguments: Vec<String>,
    variables: Vec<(String, Secret)>,
    api_version: String,
    interactive: Interactive,
    stdin: Stdin,
    hint: Option<String>,
    /// What it is told of the cluster, where it asks for that.
    cluster: Option<Value>,
    /// `user dev in /home/dev/.kube/config`.
    place: String,
}

/// What a plugin gives.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub token: Option<HeaderValue>,
    pub identity: Option<Identity>,
    pub expires: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<DateTime<Utc>>,
    token: Option<Secret>,
    client_certificate_data: Option<String>,
    client_key_data: Option<Secret>,
}

impl Plugin {
    /// `exec` of a user; `command` is resolved already.
    pub fn new(exec: &Exec, command: String, stdin: Stdin, place: &str) -> Result<Self, CliError> {
        let bad = |what: &str| {
            CliError::new(format!("exec of the {place} {what}"))
                .next("correct the kubeconfig, or fetch it again")
        };
        if command.is_empty() {
            return Err(bad("names no command"));
        }
        let Some(api_version) = file::set(&exec.api_version) else {
            return Err(bad("has no apiVersion"));
        };
        let version = api_version.strip_prefix(GROUP).unwrap_or_default();
        if !matches!(version, "/v1" | "/v1beta1") {
            return Err(bad(&format!(
                "has the apiVersion {api_version}; possible are {GROUP}/v1 and {GROUP}/v1beta1"
            )));
        }
        let interactive = match file::set(&exec.interactive_mode) {
            Some("Never") => Interactive::Never,
            Some("IfAvailable") => Interactive::IfAvailable,
            Some("Always") => Interactive::Always,
            // Only the older version has a default.
            None if version == "/v1beta1" => Interactive::IfAvailable,
            None => {
                return Err(bad(
                    "has no interactiveMode; possible are Never, IfAvailable and Always",
                ));
            }
            Some(other) => {
                return Err(bad(&format!(
                    "has the interactiveMode {other}; possible are Never, IfAvailable and Always"
                )));
            }
        };
        let variables = exec.env.iter().flatten().map(|variable| {
            let value = variable.value.clone().unwrap_or_default();
            match file::set(&variable.name) {
                Some(name) => Ok((name.to_owned(), value)),
                None => Err(bad("has a variable without a name in env")),
            }
        });
        Ok(Plugin {
            command,
            arguments: exec.args.clone().unwrap_or_default(),
            variables: variables.collect::<Result<_, _>>()?,
            api_version: api_version.to_owned(),
            interactive,
            stdin,
            hint: file::set(&exec.install_hint).map(str::to_owned),
            cluster: None,
            place: place.to_owned(),
        })
    }

    /// Tells it of the cluster too (`provideClusterInfo`).
    pub fn with_cluster(self, cluster: &Cluster, authorities: Option<&[u8]>) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut told = json!({"server": cluster.server});
        let mut tell = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                told[field] = value;
            }
        };
        let text = |field| file::set(field).map(Value::from);
        let flag = |field: Option<bool>| field.filter(|set| *set).map(Value::from);
        tell("tls-server-name", text(&cluster.tls_server_name));
        tell(
            "insecure-skip-tls-verify",
            flag(cluster.insecure_skip_tls_verify),
        );
        tell(
            "certificate-authority-data",
            authorities.map(|pem| STANDARD.encode(pem).into()),
        );
        tell("proxy-url", text(&cluster.proxy_url));
        tell("disable-compression", flag(cluster.disable_compression));
        let mut extensions = cluster.extensions.iter().flatten();
        let ours = extensions.find(|one| one.name.as_deref() == Some(FOR_PLUGINS));
        tell("config", ours.and_then(|one| one.extension.clone()));
        Plugin {
            cluster: Some(told),
            ..self
        }
    }

    /// Runs it once. It may ask a person, so it may take as long as it wants.
    pub async fn run(&self) -> Result<Credentials, CliError> {
        let interactive = self.is_interactive()?;
        let mut info = json!({"kind": "ExecCredential", "apiVersion": self.api_version,
            "spec": {"interactive": interactive}});
        if let Some(cluster) = &self.cluster {
            info["spec"]["cluster"] = cluster.clone();
        }
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| (name, value.reveal()));
        let output = tokio::process::Command::new(&self.command)
            .args(&self.arguments)
            .envs(variables)
            .env("KUBERNETES_EXEC_INFO", info.to_string())
            .stdin(if interactive {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            // A person sees what it says, as with kubectl.
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| self.not_started(&error))?
            .wait_with_output()
            .await
            .map_err(|error| self.failed().because(error))?;
        if !output.status.success() {
            return Err(self.failed().because(output.status).next(
                "see what it said above; log in again, as your cluster's documentation says",
            ));
        }
        self.credentials(&output.stdout)
    }

    fn is_interactive(&self) -> Result<bool, CliError> {
        let terminal = io::stdin().is_terminal();
        let no = |why: &str| {
            CliError::new(format!(
                "the login plugin {} can't ask you anything: {why}",
                self.command
            ))
            .because(format!(
                "exec of the {} has the interactiveMode Always",
                self.place
            ))
        };
        match (self.interactive, self.stdin, terminal) {
            (Interactive::Never, ..) => Ok(false),
            (Interactive::IfAvailable, stdin, terminal) => Ok(stdin == Stdin::Free && terminal),
            (Interactive::Always, _, false) => Err(no("standard input is not a terminal")
                .next("run this in a terminal, with the prompt in a file: -p @FILE")),
            (Interactive::Always, Stdin::Taken, true) => {
                Err(no("the prompt came from standard input")
                    .next("give the prompt in a file: -p @FILE"))
            }
            (Interactive::Always, Stdin::Free, true) => Ok(true),
        }
    }

    fn credentials(&self, output: &[u8]) -> Result<Credentials, CliError> {
        // Its output may be a token, so no message repeats any of it.
        let bad = |what: &str| {
            self.failed().because(format!("it {what}")).next(format!(
                "update {}; kubectl get namespaces shows whether it works",
                self.command
            ))
        };
        let answer: Answer = serde_json::from_slice(output)
            .ok()
            .or_else(|| serde_saphyr::from_slice(output).ok())
            .ok_or_else(|| bad("printed no ExecCredential"))?;
        if answer.kind.as_deref() != Some("ExecCredential") {
            return Err(bad("printed no ExecCredential"));
        }
        if answer.api_version.as_deref() != Some(&self.api_version) {
            return Err(bad(&format!(
                "answered with another apiVersion than the kubeconfig's {}",
                self.api_version
            )));
        }
        let Some(status) = answer.status else {
            return Err(bad("gave no status"));
        };
        let token = file::secret(&status.token).map(bearer).transpose();
        let token =
            token.map_err(|_| bad("gave a token with characters that no header can hold"))?;
        let certificate = file::set(&status.client_certificate_data);
        let identity = match (certificate, file::secret(&status.client_key_data)) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let pair = pair(certificate.as_bytes(), key.as_bytes());
                Some(pair.map_err(|why| match why {
                    BadPair::Certificate => bad("gave a certificate that is none in PEM"),
                    BadPair::Key | BadPair::Kind(_) => bad("gave a key that can't be used"),
                    BadPair::Apart => {
                        bad("gave a certificate and a key that do not belong together")
                    }
                })?)
            }
            _ => return Err(bad("gave only one of certificate and key")),
        };
        if token.is_none() && identity.is_none() {
            return Err(bad("gave neither a token nor a certificate"));
        }
        Ok(Credentials {
            token,
            identity,
            expires: status.expiration_timestamp,
        })
    }

    fn failed(&self) -> CliError {
        CliError::new(format!(
            "the login plugin {} of the {} failed",
            self.command, self.place
        ))
    }

    fn not_started(&self, error: &io::Error) -> CliError {
        let (command, place) = (&self.command, &self.place);
        let missing = error.kind() == io::ErrorKind::NotFound;
        let what = if missing {
            format!("the login plugin {command} is not installed")
        } else {
            format!("the login plugin {command} can't be started")
        };
        let told = CliError::new(what).because(format!("exec of the {place} asks for it"));
        let told = if missing { told } else { told.because(error) };
        match &self.hint {
            Some(hint) => told.because(hint).next("install it as said above"),
            None if command.contains(std::path::MAIN_SEPARATOR) => {
                told.next(format!("put the program there, or correct command of the {place}"))
            }
            None => told.next(format!(
                "install {command}, and see that PATH ({}) has its folder; or log in another way, as your cluster's documentation says",
                std::env::var_os("PATH").as_deref().unwrap_or(OsStr::new("")).display()
            )),
        }
    }
}
