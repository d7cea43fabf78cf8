//! `jobs list --watch`: on a terminal the table changes in place, in a pipe each change is a line of its
//! own that a program can read.

use std::collections::BTreeMap;

use chrono::Utc;
use futures::StreamExt;
use kube::{
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::Instant;

use super::{Format, List, newest_first};
use crate::cli::{
    cluster::{Cluster, GONE, PAGE},
    error::CliError,
    exit::Exit,
    out::Out,
    record::GRACE,
    stages::{WATCH_SECONDS, refusal},
    view::JobView,
};

/// The Jobs in view, by namespace and name.
type Jobs = BTreeMap<(String, String), JobView>;

impl List {
    pub(super) async fn watch(&self, cluster: &Cluster, out: &mut Out) -> Result<Exit, CliError> {
        // What is wrong with the question is told by a list; a watch would only try again.
        cluster.list_one(&self.selection()).await?;
        let mut view = View::new(self);
        let mut refused = None;
        let selection = self.selection();
        let mut config = watcher::Config::default()
            .timeout(WATCH_SECONDS)
            .page_size(PAGE);
        config.field_selector = selection.fields;
        let changes = watcher(cluster.jobs(selection.everywhere), config).default_backoff();
        let mut changes = std::pin::pin!(changes);
        while let Some(change) = changes.next().await {
            match change {
                Ok(change) => {
                    if !matches!(change, watcher::Event::Init | watcher::Event::InitApply(_)) {
                        refused = None;
                    }
                    view.take(change, out)?;
                }
                Err(error) => {
                    if let Some(refusal) = refusal(cluster, &error, self.all_namespaces) {
                        let since = *refused.get_or_insert_with(Instant::now);
                        if !view.watches || since.elapsed() >= GRACE {
                            return Err(refusal);
                        }
                    }
                    if !is_expired(&error) {
                        view.broken(&error, out);
                    }
                }
            }
        }
        Ok(Exit::Done)
    }
}

struct View<'a> {
    list: &'a List,
    jobs: Jobs,
    /// What a list that is coming in has; it replaces `jobs` when it is whole.
    coming: Option<Jobs>,
    /// Lines of the table on the terminal.
    drawn: usize,
    /// The table's columns, where its rows come one by one; empty until its head has been printed.
    widths: Vec<usize>,
    /// A change has come: so the watch is allowed.
    watches: bool,
    told_broken: bool,
}

impl<'a> View<'a> {
    fn new(list: &'a List) -> Self {
        View {
            list,
            jobs: Jobs::new(),
            coming: None,
            drawn: 0,
            widths: Vec::new(),
            watches: false,
            told_broken: false,
        }
    }

    fn is_table(&self) -> bool {
        matches!(self.list.output, None | Some(Format::Wide))
    }

    fn in_place(&self, out: &Out) -> bool {
        self.is_table() && out.style.cursor && out.style.size.is_some()
    }

    fn take(
        &mut self,
        change: watcher::Event<DynamicObject>,
        out: &mut Out,
    ) -> Result<(), CliError> {
        self.told_broken = false;
        match change {
            watcher::Event::Init => self.coming = Some(Jobs::new()),
            watcher::Event::InitApply(job) => {
                let job = JobView::from(job);
                let coming = self.coming.get_or_insert_default();
                coming.insert(key(&job), job);
                return Ok(());
            }
            watcher::Event::InitDone => {
                let coming = self.coming.take().unwrap_or_default();
                let mut new: Vec<JobView> = coming
                    .values()
                    .filter(|job| self.jobs.get(&key(job)) != Some(job))
                    .cloned()
                    .collect();
                newest_first(&mut new);
                self.jobs = coming;
                self.changed(&new, out)?;
            }
            watcher::Event::Apply(job) => {
                self.watches = true;
                let job = JobView::from(job);
                self.jobs.insert(key(&job), job.clone());
                self.changed(&[job], out)?;
            }
            watcher::Event::Delete(job) => {
                self.watches = true;
                self.jobs.remove(&key(&JobView::from(job)));
                self.changed(&[], out)?;
            }
        }
        Ok(())
    }

    fn changed(&mut self, jobs: &[JobView], out: &mut Out) -> Result<(), CliError> {
        if self.in_place(out) {
            return self.redraw(out);
        }
        let wanted: Vec<JobView> = jobs
            .iter()
            .filter(|job| self.list.wants(job))
            .cloned()
            .collect();
        match self.list.output {
            None | Some(Format::Wide) => self.lines(&wanted, out)?,
            Some(format) => {
                for job in &wanted {
                    match format {
                        Format::Json => out.json_line(&job.0)?,
                        Format::Yaml => {
                            out.line("---")?;
                            out.yaml(&job.0)?;
                        }
                        Format::Name | Format::Wide => {
                            out.line(&format!("job.herdctl.dev/{}", job.name()))?
                        }
                    }
                }
            }
        }
        out.flush()
    }

    /// Rows of the table as lines that follow each other, the first time with its head.
    fn lines(&mut self, jobs: &[JobView], out: &mut Out) -> Result<(), CliError> {
        let columns = self.list.columns();
        let (now, style) = (Utc::now(), out.style);
        let table = if self.widths.is_empty() {
            self.widths = columns.usual();
            columns.table(jobs, now, style)
        } else {
            columns.rows(jobs, now, style)
        };
        for line in table.below(&mut self.widths, style) {
            out.line(&line)?;
        }
        out.flush()
    }

    /// The table again, over the old one.
    fn redraw(&mut self, out: &mut Out) -> Result<(), CliError> {
        /// The cursor's line, and one that says how many rows do not fit.
        const BELOW: usize = 2;
        let mut jobs: Vec<JobView> = self
            .jobs
            .values()
            .filter(|job| self.list.wants(job))
            .cloned()
            .collect();
        newest_first(&mut jobs);
        let rows = out
            .style
            .size
            .map_or(usize::MAX, |(_, rows)| rows.saturating_sub(BELOW).max(1));
        let table = self.list.columns().table(&jobs, Utc::now(), out.style);
        let mut lines = table.lines(out.style);
        let hidden = lines.len().saturating_sub(rows);
        lines.truncate(rows);
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A"),
        };
        for line in &lines {
            text.push_str(&format!("{line}\x1b[K\n"));
        }
        // What is left of a longer table.
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        out.bytes(text.as_bytes())?;
        out.flush()
    }

    fn broken(&mut self, error: &watcher::Error, out: &mut Out) {
        if !std::mem::replace(&mut self.told_broken, true) {
            self.drawn = 0;
            out.warn(&format!(
                "the watch broke and is started again: {}",
                crate::cli::cluster::explain::deepest(error)
            ));
        }
    }
}

/// A page of the list has expired; the watcher begins the list again.
fn is_expired(error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else {
        return false;
    };
    status.code == GONE
}

fn key(job: &JobView) -> (String, String) {
    (job.namespace().to_owned(), job.name().to_owned())
}
