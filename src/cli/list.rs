//! `herdctl jobs list`: which Jobs there are, newest first.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use self::columns::Columns;
use super::{
    Session,
    cluster::{Cluster, Lookup, Selection},
    created,
    error::CliError,
    exit::Exit,
    id,
    name::{self, Name},
    out::Out,
    time,
    view::{self, JobView},
};
use crate::api::{
    crds,
    reason::{Phase, Reason},
};

mod columns;
mod watching;

/// List Jobs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  herdctl jobs list --status running,pending -A
  herdctl jobs list --agent reviewer --since 7d -o wide
  herdctl jobs list --reason Suspended
  herdctl jobs list -w")]
pub struct List {
    /// Show only Jobs in these phases
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    status: Vec<Status>,
    /// Show only Jobs with these reasons, for example Suspended or MaxTurns: see docs/reasons.md
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reason)]
    reason: Vec<Reason>,
    /// Show only Jobs of this Agent
    #[arg(long, value_name = "NAME", value_parser = name::agent)]
    agent: Option<Name>,
    /// Show only Jobs created since then: 24h, 2024-01-15, 2024-01-15T10:30 (your own time), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<DateTime<Utc>>,
    /// List Jobs in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Watch for changes: on a terminal the table changes in place, elsewhere each change is a line
    #[arg(short, long)]
    watch: bool,
    /// What to print. Default: a table with short ids
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// The phases of a Job, as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    const ALL: [Status; 5] = [
        Status::Pending,
        Status::Running,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
    ];

    fn phase(self) -> Phase {
        match self {
            Status::Pending => Phase::Pending,
            Status::Running => Phase::Running,
            Status::Completed => Phase::Completed,
            Status::Failed => Phase::Failed,
            Status::Cancelled => Phase::Cancelled,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table with full names and more columns
    Wide,
    Json,
    Yaml,
    Name,
}

impl List {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        if self.watch {
            return self.watch(&cluster, out).await;
        }
        let mut jobs = cluster.list(&self.selection()).await?;
        jobs.retain(|job| self.wants(job));
        newest_first(&mut jobs);
        if jobs.is_empty() && matches!(self.output, None | Some(Format::Wide)) {
            return self.tell_none(&cluster, out).await;
        }
        match self.output {
            Some(Format::Name) => print_names(&jobs, out)?,
            Some(Format::Json) => out.json(&view::as_list(&jobs))?,
            Some(Format::Yaml) => out.yaml(&view::as_list(&jobs))?,
            None | Some(Format::Wide) => {
                let table = self.columns().table(&jobs, Utc::now(), out.style);
                for line in table.lines(out.style) {
                    out.line(&line)?;
                }
            }
        }
        Ok(Exit::Done)
    }

    async fn tell_none(&self, cluster: &Cluster, out: &mut Out) -> Result<Exit, CliError> {
        if !self.all_namespaces {
            cluster.check_namespace().await?;
        }
        let such = self.status.is_empty()
            && self.reason.is_empty()
            && self.agent.is_none()
            && self.since.is_none();
        let such = if such { "no Jobs" } else { "no such Jobs" };
        let place = match self.all_namespaces {
            true => "in any namespace".to_owned(),
            false => format!("in namespace {}", cluster.namespace),
        };
        let agent = self.absent_agent(cluster).await?;
        out.say(&format!("{such} {place}{}", agent.unwrap_or_default()));
        Ok(Exit::Done)
    }

    /// A name that no Job has may be mistyped.
    async fn absent_agent(&self, cluster: &Cluster) -> Result<Option<String>, CliError> {
        let Some(agent) = self.agent.as_ref().filter(|_| !self.all_namespaces) else {
            return Ok(None);
        };
        let Lookup::Absent = cluster.agent(agent.as_str()).await? else {
            return Ok(None);
        };
        let names = cluster.agent_names().await.unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let near = match id::nearest(agent.as_str(), &names)[..] {
            [] => String::new(),
            ref near => format!("; nearest: {}", near.join(", ")),
        };
        Ok(Some(format!(", and no Agent {agent}{near}")))
    }

    fn columns(&self) -> Columns {
        Columns {
            wide: self.output == Some(Format::Wide),
            namespaces: self.all_namespaces,
        }
    }

    /// What the API server can sort out.
    fn selection(&self) -> Selection {
        let agent = self.agent.iter().map(|agent| format!("spec.agent={agent}"));
        // Selectors know no "or".
        let reason = match self.reason[..] {
            [reason] => Some(format!("status.reason={reason}")),
            _ => None,
        };
        let fields: Vec<String> = agent
            .chain(phase_selectors(&self.status))
            .chain(reason)
            .collect();
        Selection {
            everywhere: self.all_namespaces,
            fields: (!fields.is_empty()).then(|| fields.join(",")),
        }
    }

    /// What it can't.
    fn wants(&self, job: &JobView) -> bool {
        let phase = job.phase_word();
        let status = self.status.is_empty()
            || self
                .status
                .iter()
                .any(|status| status.phase().to_string() == phase);
        let reason = self.reason.is_empty()
            || job
                .reason()
                .is_some_and(|reason| self.reason.contains(&reason));
        let since = self
            .since
            .is_none_or(|since| job.created().is_some_and(|made| made >= since));
        status && reason && since
    }
}

/// One phase is asked for as it is; several by ruling out the others, since selectors know no "or". A Job
/// that nobody has looked at has no phase and counts as pending, so pending too is what the others are not.
fn phase_selectors(wanted: &[Status]) -> Vec<String> {
    match wanted {
        [] => Vec::new(),
        [one] if *one != Status::Pending => vec![format!("status.phase={}", one.phase())],
        several => Status::ALL
            .into_iter()
            .filter(|status| !several.contains(status))
            .map(|status| format!("status.phase!={}", status.phase()))
            .collect(),
    }
}

/// A reason, in whatever case it was typed.
fn reason(text: &str) -> Result<Reason, String> {
    let all = reasons();
    let found = all
        .iter()
        .find(|reason| reason.to_string().eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| unknown_reason(text, &all))
}

fn unknown_reason(text: &str, all: &[Reason]) -> String {
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let near = id::nearest(&text.to_lowercase(), &lower);
    let near = near.first().and_then(|near| {
        let name = names.iter().find(|name| name.eq_ignore_ascii_case(near));
        name.map(|name| format!("; the nearest is {name}"))
    });
    let near = near.unwrap_or_default();
    format!("there is no such reason{near}; all stand in docs/reasons.md")
}

/// All that a Job's status may have, as its schema says.
fn reasons() -> Vec<Reason> {
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/reason/enum";
    let definitions = crds::all().unwrap_or_default();
    let mut jobs = definitions.iter().filter(|(file, _)| *file == "jobs.yaml");
    let offered = jobs.find_map(|(_, definition)| definition.pointer(path));
    offered
        .and_then(|offered| Vec::deserialize(offered).ok())
        .unwrap_or_default()
}

fn newest_first(jobs: &mut [JobView]) {
    jobs.sort_by(|a, b| {
        b.created()
            .cmp(&a.created())
            .then_with(|| created::at(&b.0.metadata).cmp(&created::at(&a.0.metadata)))
            .then_with(|| a.name().cmp(b.name()))
    });
}

fn print_names(jobs: &[JobView], out: &mut Out) -> Result<(), CliError> {
    for job in jobs {
        out.line(&format!("job.herdctl.dev/{}", job.name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_become_selectors_that_a_server_knows() {
        assert_eq!(phase_selectors(&[Status::Failed]), ["status.phase=failed"]);
        assert_eq!(
            phase_selectors(&[Status::Pending, Status::Running]),
            [
                "status.phase!=completed",
                "status.phase!=failed",
                "status.phase!=cancelled"
            ]
        );
        assert_eq!(phase_selectors(&[Status::Pending]).len(), 4);
        assert_eq!(phase_selectors(&Status::ALL), [""; 0]);
    }
}
