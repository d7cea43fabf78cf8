//! The columns of a list of Jobs, by the names that kubectl shows for them.

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
    pub fn table(self, jobs: &[JobView], now: DateTime<Utc>, style: Style) -> Vec<String> {
        let mut table = Table::default();
        table.row(
            self.head()
                .into_iter()
                .map(|name| name.to_owned().into())
                .collect(),
        );
        for job in jobs {
            table.row(self.row(job, now, style));
        }
        table.lines(style)
    }

    fn head(self) -> Vec<&'static str> {
        let mut head = Vec::new();
        head.extend(self.namespaces.then_some("NAMESPACE"));
        head.extend([
            if self.wide { "NAME" } else { "ID" },
            "STATUS",
            "EXIT",
            "AGENT",
            "TURNS",
            "COST",
            "AGE",
        ]);
        if self.wide {
            head.extend(["REASON", "SESSION", "POD", "STARTED", "DURATION"]);
        }
        head
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
            job.text("/status/exitReason").into(),
            job.agent().into(),
            job.text("/status/progress/turns").into(),
            job.cost().into(),
            age(job.created()).into(),
        ]);
        if self.wide {
            let attempts = job.attempts();
            let pod = attempts.last().map(|attempt| attempt.pod.clone());
            row.extend([
                job.text("/status/reason").into(),
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
