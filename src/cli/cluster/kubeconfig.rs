//! Finds, reads and merges kubeconfigs by kubectl's rules, and picks what the context names. kube has this
//! too, by other rules: there a missing file of the list is an error, an empty current-context wins, and a
//! context without a cluster makes the whole file unreadable.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use self::file::{Cluster, Context, File, User};
use crate::cli::error::CliError;

pub mod file;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// This file, which must exist.
    File(PathBuf),
    /// Those of these that exist.
    List(Vec<PathBuf>),
}

/// What all files say together.
#[derive(Debug, Default)]
pub struct Kubeconfig {
    read: Vec<PathBuf>,
    current_context: Option<String>,
    clusters: BTreeMap<String, Entry<Cluster>>,
    users: BTreeMap<String, Entry<User>>,
    contexts: BTreeMap<String, Entry<Context>>,
}

#[derive(Clone, Debug, Default)]
pub struct Entry<T> {
    pub value: T,
    /// The file that it comes from; its relative paths begin there.
    pub file: PathBuf,
}

/// A context with its cluster and its user.
#[derive(Debug)]
pub struct Chosen {
    pub context: String,
    pub namespace: Option<String>,
    pub cluster_name: String,
    pub cluster: Entry<Cluster>,
    pub user_name: String,
    /// None where the context names none, or one that no file has.
    pub user: Option<Entry<User>>,
    pub context_file: PathBuf,
}

impl Sources {
    /// `flag` is `--kubeconfig`, where it is given.
    pub fn find(flag: Option<&Path>) -> Result<Self, CliError> {
        if let Some(file) = flag.filter(|file| !file.as_os_str().is_empty()) {
            return Ok(Sources::File(file.to_owned()));
        }
        let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
        Sources::of(env::var_os("KUBECONFIG"), home).ok_or_else(|| {
            CliError::new("there is no kubeconfig: neither KUBECONFIG nor HOME is set")
                .next(NAME_ONE)
        })
    }

    fn of(list: Option<OsString>, home: Option<PathBuf>) -> Option<Self> {
        let Some(list) = list.filter(|list| !list.is_empty()) else {
            return Some(Sources::List(vec![home?.join(".kube").join("config")]));
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for file in env::split_paths(&list) {
            if !file.as_os_str().is_empty() && !files.contains(&file) {
                files.push(file);
            }
        }
        Some(Sources::List(files))
    }

    fn files(&self) -> &[PathBuf] {
        match self {
            Sources::File(file) => std::slice::from_ref(file),
            Sources::List(files) => files,
        }
    }
}

/// What to do where nothing says which cluster.
const NAME_ONE: &str = "name one: --kubeconfig FILE, or KUBECONFIG=FILE; your cluster's documentation says how to get it";

impl Kubeconfig {
    pub fn read(sources: &Sources) -> Result<Self, CliError> {
        let mut all = Kubeconfig::default();
        for path in sources.files() {
            let bytes = match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => match sources {
                    Sources::File(file) => return Err(missing(std::slice::from_ref(file))),
                    Sources::List(_) => continue,
                },
                Err(error) => {
                    return Err(CliError::new(format!(
                        "can't read the kubeconfig {}",
                        path.display()
                    ))
                    .because(error)
                    .next("make it a readable file, or name another: --kubeconfig FILE"));
                }
            };
            let file = File::parse(&bytes).map_err(|why| {
                CliError::new(format!("the kubeconfig {} can't be used", path.display()))
                    .because(why)
                    .next(format!(
                        "correct it; what kubectl makes of it: kubectl config view --kubeconfig {}",
                        path.display()
                    ))
            })?;
            all.add(file, path);
        }
        Ok(all)
    }

    /// The first file that says something wins.
    fn add(&mut self, file: File, path: &Path) {
        self.read.push(path.to_owned());
        let current = file.current_context.filter(|name| !name.is_empty());
        self.current_context = self.current_context.take().or(current);
        for named in file.clusters.unwrap_or_default() {
            add(&mut self.clusters, named.name, named.cluster, path);
        }
        for named in file.users.unwrap_or_default() {
            add(&mut self.users, named.name, named.user, path);
        }
        for named in file.contexts.unwrap_or_default() {
            add(&mut self.contexts, named.name, named.context, path);
        }
    }

    /// The context that is asked for, or the current one; none where nothing names one.
    pub fn choose(&self, asked: Option<&str>) -> Result<Option<Chosen>, CliError> {
        let asked = asked.filter(|name| !name.is_empty());
        let Some(name) = asked.or(self.current_context.as_deref()) else {
            return Ok(None);
        };
        let Some(context) = self.contexts.get(name) else {
            let what = match asked {
                Some(_) => format!("the kubeconfig has no context {name}"),
                None => {
                    format!("the kubeconfig has no context {name}, which is its current-context")
                }
            };
            return Err(CliError::new(what)
                .because(format!("{} {}", self.files(), self.known_contexts()))
                .next("name another: --context NAME; see which there are: kubectl config get-contexts"));
        };
        let within = |what: &str| {
            CliError::new(format!(
                "the context {name} in {} {what}",
                context.file.display()
            ))
        };
        let Some(cluster_name) = context
            .value
            .cluster
            .clone()
            .filter(|name| !name.is_empty())
        else {
            return Err(within("names no cluster").next(format!(
                "name one: kubectl config set-context {name} --cluster=NAME"
            )));
        };
        let Some(cluster) = self.clusters.get(&cluster_name) else {
            let error = within(&format!(
                "names the cluster {cluster_name}, which is not there"
            ));
            return Err(error
                .because(format!("{} {}", self.files(), names("clusters", &self.clusters)))
                .next("name another context: --context NAME; or fetch the kubeconfig of this cluster again"));
        };
        let user_name = context.value.user.clone().unwrap_or_default();
        Ok(Some(Chosen {
            context: name.to_owned(),
            namespace: context
                .value
                .namespace
                .clone()
                .filter(|name| !name.is_empty()),
            cluster_name,
            cluster: cluster.clone(),
            user: self.users.get(&user_name).cloned(),
            user_name,
            context_file: context.file.clone(),
        }))
    }

    /// Nothing names a context, and this is no pod.
    pub fn names_nothing(&self, sources: &Sources) -> CliError {
        if self.read.is_empty() {
            return missing(sources.files());
        }
        CliError::new("the kubeconfig names no current context")
            .because(format!("{} {}", self.files(), self.known_contexts()))
            .next("name one: --context NAME, or kubectl config use-context NAME")
    }

    fn known_contexts(&self) -> String {
        names("contexts", &self.contexts)
    }

    /// The files that were read.
    fn files(&self) -> String {
        let files = self.read.iter().map(|file| file.display().to_string());
        files.collect::<Vec<_>>().join(" and ")
    }
}

impl<T> Entry<T> {
    /// A path as the file means it.
    pub fn path(&self, path: &str) -> PathBuf {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let path = folder.join(path);
        std::path::absolute(&path).unwrap_or(path)
    }
}

fn add<T: Default>(
    all: &mut BTreeMap<String, Entry<T>>,
    name: Option<String>,
    value: Option<T>,
    path: &Path,
) {
    let entry = || Entry {
        value: value.unwrap_or_default(),
        file: path.to_owned(),
    };
    all.entry(name.unwrap_or_default()).or_insert_with(entry);
}

fn names<T>(what: &str, all: &BTreeMap<String, T>) -> String {
    /// A kubeconfig may hold hundreds.
    const SHOWN: usize = 8;
    if all.is_empty() {
        return format!("has no {what} at all");
    }
    let shown: Vec<&str> = all.keys().take(SHOWN).map(String::as_str).collect();
    let more = if all.len() > SHOWN { ", …" } else { "" };
    format!("has the {what} {}{more}", shown.join(", "))
}

fn missing(files: &[PathBuf]) -> CliError {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let what = match &files[..] {
        [] => "there is no kubeconfig: KUBECONFIG names no file".to_owned(),
        files => format!("there is no kubeconfig at {}", files.join(" or ")),
    };
    CliError::new(what).next(NAME_ONE)
}

#[cfg(test)]
mod tests;
