//! The columns of a list of Jobs: by the names that kubectl shows for them, and with the reason, which tells
//! a paused Job from one that waits for its image.

use chrono::{DateTime, Utc};

use crate::{
    api::reason::Phase,
    cli::{
        style::{Colour, Style},
        table::{Cell, Table},
        time,
        view::{self, JobView},
    },
};

/// Which columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns {
    pub wide: bool,
    pub namespaces: bool,
}

impl Columns {
    pub fn table(self, jobs: &[JobView], now: DateTime<Utc>, style: Style) -> Table {
        let mut table = Table::default();
        table.row(
            self.head()
                .map(|(name, _)| name.to_owned().into())
                .collect(),
        );
        for job in jobs {
            table.row(self.row(job, now, style));
        }
        table
    }

    /// The same without its head.
    pub fn rows(self, jobs: &[JobView], now: DateTime<Utc>, style: Style) -> Table {
        let mut table = Table::default();
        for job in jobs {
            table.row(self.row(job, now, style));
        }
        table
    }

    /// Widths that hold what most Jobs have, so that rows that come one by one stand below each other.
    pub fn usual(self) -> Vec<usize> {
        self.head().map(|(_, usual)| usual).collect()
    }

    /// The columns' names, and how wide they usually are.
    fn head(self) -> impl Iterator<Item = (&'static str, usize)> {
        let namespace = self.namespaces.then_some(("NAMESPACE", 12));
        let name = if self.wide { ("NAME", 40) } else { ("ID", 8) };
        let main = [
            name,
            ("STATUS", 9),
            ("REASON", 20),
            ("AGENT", 12),
            ("TURNS", 5),
            ("COST", 7),
            ("AGE", 4),
        ];
        let more = [
            ("EXIT", 13),
            ("SESSION", 36),
            ("POD", 42),
            ("STARTED", 7),
            ("DURATION", 8),
        ];
        let more = more.into_iter().filter(move |_| self.wide);
        namespace.into_iter().chain(main).chain(more)
    }

    fn row(self, job: &JobView, now: DateTime<Utc>, style: Style) -> Vec<Cell> {
        let mut row: Vec<Cell> = Vec::new();
        row.extend(self.namespaces.then(|| job.namespace().to_owned().into()));
        let name = if self.wide {
            job.name()
        } else {
            view::short(job.name())
        };
        let phase = job.phase_word();
        let painted = style.paint(colour(job.phase()), &phase);
        row.push(name.to_owned().into());
        row.push(Cell::painted(phase, painted));
        let age = |time: Option<DateTime<Utc>>| {
            time.map(|time| time::age(now - time)).unwrap_or_default()
        };
        row.extend([
            job.telling_reason().into(),
            job.agent().into(),
            job.text("/status/progress/turns").into(),
            job.cost().into(),
            age(job.created()).into(),
        ]);
        if self.wide {
            let attempts = job.attempts();
            let pod = attempts.last().map(|attempt| attempt.pod.clone());
            row.extend([
                job.text("/status/exitReason").into(),
                job.text("/status/sessionId").into(),
                pod.unwrap_or_default().into(),
                age(job.started()).into(),
                job.took(now).map(time::span).unwrap_or_default().into(),
            ]);
        }
        row
    }
}

fn colour(phase: Option<Phase>) -> Colour {
    match phase {
        None | Some(Phase::Pending) => Colour::Dim,
        Some(Phase::Running) => Colour::Cyan,
        Some(Phase::Completed) => Colour::Green,
        Some(Phase::Failed) => Colour::Red,
        Some(Phase::Cancelled) => Colour::Yellow,
    }
}
