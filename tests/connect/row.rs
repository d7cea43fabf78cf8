//! One row of the table: files, environment and flags, with which both programs list Jobs.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::world::{Seen, World};

/// No run takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Works,
    Fails,
    /// Without credentials kubectl asks for a user name, which needs a terminal; herdctl asks nothing, and says
    /// what the API server answers. And in a pod, kubectl forgets the service account when it acts as somebody.
    OnlyHerdctlWorks,
}

pub struct Row {
    pub name: &'static str,
    expected: Expected,
    /// In the home of the run, which stands for `{home}` in files and variables.
    files: Vec<(&'static str, String)>,
    variables: Vec<(&'static str, String)>,
    arguments: Vec<&'static str>,
    /// What herdctl must say of it.
    words: Vec<String>,
}

/// What one program did.
#[derive(Debug)]
pub struct Ran {
    works: bool,
    seen: Seen,
    /// What each run of the login plugin was told.
    plugin: Vec<Value>,
    stderr: String,
}

/// A login plugin: notes what it is told and whether it could read anything, and gives what is in the file
/// `credential`.
const PLUGIN: &str = "#!/bin/sh
read -r line && echo 'it could read standard input' >>{home}/plugin.log
printf '%s\\n' \"$KUBERNETES_EXEC_INFO\" >>{home}/plugin.log
printf '\"%s %s\"\\n' \"$PLUGIN_VARIABLE\" \"$*\" >>{home}/plugin.log
cat {home}/credential
";

impl Row {
    /// With this kubeconfig alone; it works.
    pub fn new(name: &'static str, kubeconfig: &Value) -> Self {
        Row::bare(name)
            .file("config", &kubeconfig.to_string())
            .set("KUBECONFIG", "{home}/config")
    }

    /// Without any.
    pub fn bare(name: &'static str) -> Self {
        Row {
            name,
            expected: Expected::Works,
            files: Vec::new(),
            variables: Vec::new(),
            arguments: Vec::new(),
            words: Vec::new(),
        }
    }

    pub fn file(mut self, path: &'static str, text: &str) -> Self {
        self.files.push((path, text.to_owned()));
        self
    }

    pub fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.retain(|(name, _)| *name != variable);
        self.variables.push((variable, value.to_owned()));
        self
    }

    pub fn with(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    pub fn fails(self) -> Self {
        self.expected(Expected::Fails)
    }

    /// It fails, and herdctl says this.
    pub fn says(mut self, words: &str) -> Self {
        self.words.push(words.to_owned());
        self.fails()
    }

    pub fn expected(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// With a login plugin that gives this status.
    pub fn plugin(self, version: &str, status: &Value) -> Self {
        let version = format!("client.authentication.k8s.io/{version}");
        let credential = json!({"apiVersion": version, "kind": "ExecCredential", "status": status});
        self.file("bin/plugin", PLUGIN)
            .file("credential", &credential.to_string())
    }

    pub async fn run_kubectl(&self, world: &World) -> Ran {
        let arguments = ["get", "jobs.herdctl.dev", "-o", "name"];
        self.run(world, &world.kubectl, &arguments).await
    }

    pub async fn run_herdctl(&self, world: &World) -> Ran {
        let program = Path::new(env!("CARGO_BIN_EXE_herdctl"));
        self.run(world, program, &["jobs", "list", "-o", "name"])
            .await
    }

    async fn run(&self, world: &World, program: &Path, arguments: &[&str]) -> Ran {
        let home = TempDir::new().unwrap();
        let here = |text: &str| text.replace("{home}", &home.path().display().to_string());
        for (path, text) in &self.files {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, here(text)).unwrap();
            let mode = if path.starts_with(home.path().join("bin")) {
                0o700
            } else {
                0o600
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        world.take();
        let ran = Command::new(program)
            .args(arguments)
            .args(&self.arguments)
            .env_clear()
            .env("HOME", home.path())
            .env(
                "PATH",
                format!("{}/bin:/usr/bin:/bin", home.path().display()),
            )
            .envs(
                self.variables
                    .iter()
                    .map(|(name, value)| (name, here(value))),
            )
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(PATIENCE, ran)
            .await
            .expect("it did not end")
            .unwrap();
        let log = fs::read_to_string(home.path().join("plugin.log")).unwrap_or_default();
        let log = log.replace(&home.path().display().to_string(), "{home}");
        let lines = log.lines().filter(|line| !line.is_empty());
        let plugin = lines.map(|line| match serde_json::from_str(line) {
            Ok(told) => without_null(told),
            Err(_) => line.into(),
        });
        Ran {
            works: output.status.success(),
            seen: world.take(),
            plugin: plugin.collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The difference, where there is one.
    pub fn compare(&self, kubectl: &Ran, herdctl: &Ran) -> Result<(), String> {
        let wanted = match self.expected {
            Expected::Works => (true, true),
            Expected::Fails => (false, false),
            Expected::OnlyHerdctlWorks => (false, true),
        };
        let same = kubectl.seen == herdctl.seen && kubectl.plugin == herdctl.plugin;
        let compared = match self.expected {
            Expected::Works => same && !herdctl.seen.requests.is_empty(),
            // What is asked before a failure is each program's own; which way it went is not.
            Expected::Fails => kubectl.seen.proxied == herdctl.seen.proxied,
            Expected::OnlyHerdctlWorks => true,
        };
        let said = self
            .words
            .iter()
            .all(|words| herdctl.stderr.contains(words));
        if (kubectl.works, herdctl.works) == wanted && compared && said {
            return Ok(());
        }
        Err(format!(
            "expected {:?} {:?}\nkubectl {kubectl:#?}\nherdctl {herdctl:#?}",
            self.expected, self.words
        ))
    }
}

/// A null means the same as nothing.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name, without_null(value)))
                .collect()
        }
        other => other,
    }
}
