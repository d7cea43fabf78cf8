//! How people name a Job: by its name, of a minted one by any beginning of its UUID that only one has, with
//! or without `job-`, or as the last one that was created. A name that a person chose is never found by its beginning:
//! who wants to stop `nightly`, which is gone, does not mean `nightly-2`. What finds nothing names the
//! nearest, since an id is typed by hand.

use std::{fmt, str::FromStr};

use chrono::Utc;
use kube::api::ObjectMeta;

use super::{
    cluster::{Cluster, Selection},
    created,
    error::CliError,
    name::{self, Name},
    view::{self, JobView, MINTED, short},
};
use crate::api::text::Clean;

/// So many neighbours help; more are a list.
const NEAREST: usize = 3;
/// Candidates of an ambiguous beginning that are named.
const CANDIDATES: usize = 10;
/// What may stand before a name, as kubectl prints and takes it: `job.herdctl.dev/NAME`.
const KINDS: [&str; 5] = ["hj", "job", "jobs", "job.herdctl.dev", "jobs.herdctl.dev"];

/// A Job, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobId {
    /// A name, or the beginning of a minted one.
    Named(String),
    /// The one that was made last, of this Agent if one is named.
    Last(Option<Name>),
}

impl FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = name::without_kind(text, &KINDS);
        if let Some(last) = text.strip_prefix("@last") {
            return match last.strip_prefix(':') {
                Some(agent) => Ok(JobId::Last(Some(name::agent(agent)?))),
                None if last.is_empty() => Ok(JobId::Last(None)),
                None => Err(format!("{text:?} is neither @last nor @last:AGENT")),
            };
        }
        // A beginning may end with a dash, a name may not.
        let begins = text.trim_end_matches('-');
        begins.parse::<Name>().map_err(|_| no_id(text))?;
        Ok(JobId::Named(text.to_owned()))
    }
}

fn no_id(text: &str) -> String {
    let is_name = |text: &str| text.parse::<Name>().is_ok();
    if let Some((namespace, name)) = text.split_once('/')
        && is_name(namespace)
        && is_name(name)
        && !KINDS.contains(&namespace)
    {
        return format!("a namespace is given with -n: -n {namespace} {name}");
    }
    format!(
        "{text:?} is not a Job's id: use its name, any prefix of its UUID, @last or @last:AGENT"
    )
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobId::Named(text) => f.write_str(text),
            JobId::Last(None) => f.write_str("@last"),
            JobId::Last(Some(agent)) => write!(f, "@last:{agent}"),
        }
    }
}

/// The Job that is meant, to change it. As `@last` it is only found by the user who created it: somebody
/// else may have created one since this user last looked.
pub async fn find_to_change(
    cluster: &Cluster,
    id: &JobId,
    verb: &str,
) -> Result<JobView, CliError> {
    let job = find(cluster, id).await?;
    if let JobId::Last(_) = id {
        check_creator(cluster, id, &job, verb).await?;
    }
    Ok(job)
}

async fn check_creator(
    cluster: &Cluster,
    id: &JobId,
    job: &JobView,
    verb: &str,
) -> Result<(), CliError> {
    let name = short(job.name());
    let is = format!("{id} is {name} ({})", job.in_passing(Utc::now()));
    let Some(creator) = created::by(&job.0.metadata) else {
        return Err(CliError::new(format!(
            "{is}, and it is not known who created it: it was not created with herdctl"
        ))
        .next(format!(
            "if you mean it, name it: {{program}} jobs {verb} {name}"
        )));
    };
    match cluster.user().await {
        Some(user) if user == creator => Ok(()),
        user => {
            let creator = Clean::line(creator, 64);
            let what = match user {
                Some(_) => format!("{is}, created by {creator} and not by you"),
                None => format!(
                    "{is}, created by {creator}, and the API server does not say who you are"
                ),
            };
            Err(CliError::new(what).next(format!(
                "if you mean it, name it: {{program}} jobs {verb} {name}"
            )))
        }
    }
}

/// The Job that is meant.
pub async fn find(cluster: &Cluster, id: &JobId) -> Result<JobView, CliError> {
    let text = match id {
        JobId::Last(agent) => return last(cluster, agent.as_ref()).await,
        JobId::Named(text) => text,
    };
    if text.parse::<Name>().is_ok()
        && let Some(job) = cluster.job(text).await?
    {
        return Ok(job);
    }
    beginning(cluster, text).await
}

async fn last(cluster: &Cluster, agent: Option<&Name>) -> Result<JobView, CliError> {
    let selection = Selection {
        fields: agent.map(|agent| format!("spec.agent={agent}")),
        ..Selection::default()
    };
    let names = cluster.names(&selection).await?;
    let newest = created::last(&names);
    let found: Vec<&str> = newest
        .iter()
        .filter_map(|job| job.name.as_deref())
        .collect();
    let whose = agent.map_or(String::new(), |agent| format!(" of agent {agent}"));
    match found[..] {
        [name] => present(cluster, name).await,
        [] => {
            cluster.check_namespace().await?;
            let what = format!("there is no Job{whose} in namespace {}", cluster.namespace);
            Err(CliError::new(what)
                .next("create one: {program} run AGENT; another namespace: -n NAMESPACE"))
        }
        _ => {
            let what = format!(
                "the last {} Jobs{whose} in namespace {} were created in the same second:",
                found.len(),
                cluster.namespace
            );
            Err(CliError::new(what + &candidates(newest)).next("name the one that you mean"))
        }
    }
}

/// The only Job whose minted name begins so.
pub async fn beginning(cluster: &Cluster, text: &str) -> Result<JobView, CliError> {
    let all = cluster.names(&Selection::default()).await?;
    let names: Vec<&str> = all.iter().filter_map(|job| job.name.as_deref()).collect();
    let found: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| begins(name, text))
        .collect();
    match found[..] {
        [name] => present(cluster, name).await,
        [] => Err(unknown(cluster, text, &names).await?),
        _ => Err(ambiguous(cluster, text, &all, &found)),
    }
}

async fn present(cluster: &Cluster, name: &str) -> Result<JobView, CliError> {
    let gone = || CliError::new(format!("Job {name} has just been deleted"));
    cluster.job(name).await?.ok_or_else(gone)
}

/// The UUID of a minted name begins so.
fn begins(name: &str, text: &str) -> bool {
    let text = text.strip_prefix(MINTED).unwrap_or(text);
    !text.is_empty() && view::uuid(name).is_some_and(|id| id.starts_with(text))
}

async fn unknown(cluster: &Cluster, text: &str, names: &[&str]) -> Result<CliError, CliError> {
    if names.is_empty() {
        cluster.check_namespace().await?;
    }
    let mut near = Vec::new();
    for name in nearest(text, names) {
        if let Some(job) = cluster.job(name).await? {
            near.push(format!("{} ({})", short(name), job.in_passing(Utc::now())));
        }
    }
    let what = format!("no job {text} in namespace {}", cluster.namespace);
    let what = if near.is_empty() {
        what
    } else {
        format!("{what}; nearest: {}", near.join(", "))
    };
    Ok(CliError::new(what).next("{program} jobs list shows all; another namespace: -n NAME"))
}

fn ambiguous(cluster: &Cluster, text: &str, all: &[ObjectMeta], found: &[&str]) -> CliError {
    let named = |job: &&ObjectMeta| {
        let name = job.name.as_deref();
        name.is_some_and(|name| found.contains(&name))
    };
    let what = format!(
        "{text} is the beginning of {} Jobs in namespace {}:",
        found.len(),
        cluster.namespace
    );
    let all = all.iter().filter(named).collect();
    CliError::new(what + &candidates(all)).next("type more of it")
}

/// A line for each of these Jobs, newest first.
fn candidates(mut jobs: Vec<&ObjectMeta>) -> String {
    jobs.sort_by_key(|job| std::cmp::Reverse(view::created(job)));
    let mut lines = String::new();
    for job in jobs.iter().take(CANDIDATES) {
        let name = job.name.as_deref().unwrap_or_default();
        let made = view::created(job).map_or(String::new(), |made| {
            format!(", created {} ago", super::time::age(Utc::now() - made))
        });
        lines.push_str(&format!("\n  {name}{made}"));
    }
    if jobs.len() > CANDIDATES {
        lines.push_str(&format!("\n  and {} more", jobs.len() - CANDIDATES));
    }
    lines
}

/// The names that differ least from what was typed, the best first; none that differs too much.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = names
        .iter()
        .map(|name| {
            let without = name.strip_prefix(MINTED).unwrap_or(name);
            (distance(text, name).min(distance(text, without)), *name)
        })
        .filter(|(far, _)| *far <= text.len().div_ceil(2))
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(NEAREST)
        .map(|(_, name)| name)
        .collect()
}

/// How many letters must change so that `text` becomes the beginning of `name` (Levenshtein's distance to
/// the nearest beginning).
fn distance(text: &str, name: &str) -> usize {
    let name = name.as_bytes();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (typed, letter) in text.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = typed + 1;
        for at in 0..name.len() {
            let replaced = diagonal + usize::from(name[at] != letter);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row.into_iter().min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_beginnings_or_the_last() {
        assert_eq!("@last".parse(), Ok(JobId::Last(None)));
        assert_eq!(
            "@last:a".parse(),
            Ok(JobId::Last(Some("a".parse().unwrap())))
        );
        assert_eq!("7f3c-".parse(), Ok(JobId::Named("7f3c-".into())));
        for kind in KINDS {
            let named = Ok(JobId::Named("nightly".into()));
            assert_eq!(format!("{kind}/nightly").parse(), named);
        }
        for bad in [
            "", "-", "@first", "@lastly", "@last:", "a/b", "a b", "%2e", "hj/", "hj/a/b", "pod/a",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_minted_name_is_found_by_its_beginning() {
        let minted = "job-7f3c0a1b-0000-4000-8000-000000000000";
        for text in ["7f", "job-7f", "7f3c0a1b-", minted] {
            assert!(begins(minted, text), "{text}");
        }
        for text in ["f3", "job", "job-", "j", "jo"] {
            assert!(!begins(minted, text), "{text}");
        }
        for chosen in ["nightly-2", "job-nightly", "nightly"] {
            assert!(
                !begins(chosen, "nightly") && !begins(chosen, "job-n"),
                "{chosen}"
            );
        }
    }

    #[test]
    fn a_slip_finds_its_neighbours_and_nothing_else() {
        let names = ["job-7f3c1111", "job-7f012222", "nightly", "job-b4020000"];
        assert_eq!(nearest("7f3d", &names), ["job-7f3c1111", "job-7f012222"]);
        assert_eq!(nearest("nigthly", &names), ["nightly"]);
        assert_eq!(nearest("zzzz", &names), [""; 0]);
    }
}
