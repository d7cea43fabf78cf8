//! One kubeconfig as it stands in its file: what herdctl needs of it. Every field may be missing or null, as
//! kubectl has it, so that an odd entry that nobody uses does no harm.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct File {
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    kind: Option<String>,
    pub current_context: Option<String>,
    pub clusters: Option<Vec<NamedCluster>>,
    pub users: Option<Vec<NamedUser>>,
    pub contexts: Option<Vec<NamedContext>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedCluster {
    pub name: Option<String>,
    pub cluster: Option<Cluster>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedUser {
    pub name: Option<String>,
    pub user: Option<User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedContext {
    pub name: Option<String>,
    pub context: Option<Context>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    pub cluster: Option<String>,
    pub user: Option<String>,
    pub namespace: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Cluster {
    pub server: Option<String>,
    pub tls_server_name: Option<String>,
    pub insecure_skip_tls_verify: Option<bool>,
    pub certificate_authority: Option<String>,
    pub certificate_authority_data: Option<String>,
    pub proxy_url: Option<String>,
    pub disable_compression: Option<bool>,
    pub extensions: Option<Vec<Extension>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Extension {
    pub name: Option<String>,
    pub extension: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct User {
    pub token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    pub token_file: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub client_certificate: Option<String>,
    pub client_certificate_data: Option<String>,
    pub client_key: Option<String>,
    pub client_key_data: Option<Secret>,
    #[serde(rename = "as")]
    pub as_user: Option<String>,
    pub as_uid: Option<String>,
    pub as_groups: Option<Vec<String>>,
    pub as_user_extra: Option<BTreeMap<String, Vec<String>>>,
    pub auth_provider: Option<AuthProvider>,
    pub exec: Option<Exec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthProvider {
    pub name: Option<String>,
    pub config: Option<BTreeMap<String, Option<Secret>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Exec {
    pub api_version: Option<String>,
    pub command: Option<String>,
    pub args: Option<Vec<String>>,
    pub env: Option<Vec<Variable>>,
    pub install_hint: Option<String>,
    pub provide_cluster_info: Option<bool>,
    pub interactive_mode: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    pub name: Option<String>,
    pub value: Option<Secret>,
}

/// A text that no message and no log shows.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Secret(text)
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The value of a field that is set and not empty.
pub fn set(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

/// The same of a secret.
pub fn secret(field: &Option<Secret>) -> Option<&str> {
    field
        .as_ref()
        .map(Secret::reveal)
        .filter(|text| !text.is_empty())
}

impl File {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = decode(bytes).ok_or("it is neither UTF-8 nor UTF-16")?;
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::LastWins,
            // The words would show the lines around, and with them secrets.
            with_snippet: false,
        };
        let documents: Vec<Option<File>> = serde_saphyr::from_multiple_with_options(&text, options)
            .map_err(|error| error.to_string())?;
        // As kubectl: what comes after the first document is not read.
        let file = documents.into_iter().next().flatten().unwrap_or_default();
        let is = |field: &Option<String>, wanted| set(field).is_none_or(|is| is == wanted);
        if !is(&file.kind, "Config") || !is(&file.api_version, "v1") {
            let kind = file.kind.as_deref().unwrap_or("Config");
            let vowel = kind.starts_with(['A', 'E', 'I', 'O', 'U']);
            return Err(format!(
                "it is {} {kind} of {}, not a Config of v1",
                if vowel { "an" } else { "a" },
                file.api_version.as_deref().unwrap_or("v1"),
            ));
        }
        file.check_names()?;
        Ok(file)
    }

    fn check_names(&self) -> Result<(), String> {
        let clusters = self.clusters.iter().flatten().map(|named| &named.name);
        let users = self.users.iter().flatten().map(|named| &named.name);
        let contexts = self.contexts.iter().flatten().map(|named| &named.name);
        for (what, twice) in [
            ("clusters", twice(clusters)),
            ("users", twice(users)),
            ("contexts", twice(contexts)),
        ] {
            if let Some(name) = twice {
                return Err(format!("two of its {what} have the name {name:?}"));
            }
        }
        Ok(())
    }
}

fn twice<'a>(names: impl Iterator<Item = &'a Option<String>>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    let mut names = names.map(|name| name.as_deref().unwrap_or_default());
    names.find(|name| !seen.insert(*name))
}

impl User {
    /// There is something that says who it is.
    pub fn has_credentials(&self) -> bool {
        let texts = [
            &self.token_file,
            &self.username,
            &self.client_certificate,
            &self.client_certificate_data,
        ];
        texts.into_iter().any(|field| set(field).is_some())
            || secret(&self.token).is_some()
            || self.exec.is_some()
            || self.auth_provider.is_some()
    }
}

/// YAML is UTF-8 or, with a mark in front, UTF-16: PowerShell writes files so.
fn decode(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).ok()
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}
