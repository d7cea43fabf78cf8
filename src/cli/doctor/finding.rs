//! What the doctor says of one thing: whether it is well, and the command that mends it.

use serde::Serialize;

use super::look::Gap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Good,
    /// It works, or it can't be seen whether it does.
    Warning,
    Bad,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word that stays the same.
    pub check: &'static str,
    pub health: Health,
    pub message: String,
    /// What to do, most often a command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// `doctor --fix` mends it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fixable: bool,
}

impl Finding {
    fn new(check: &'static str, health: Health, message: impl Into<String>) -> Self {
        Finding {
            check,
            health,
            message: message.into(),
            next: Vec::new(),
            fixable: false,
        }
    }

    pub fn good(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Health::Good, message)
    }

    pub fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Health::Warning, message)
    }

    pub fn bad(check: &'static str, message: impl Into<String>) -> Self {
        Finding::new(check, Health::Bad, message)
    }

    /// A check that could not be made.
    pub fn unseen(check: &'static str, what: &str, gap: &Gap) -> Self {
        match gap {
            Gap::Hidden(right) => {
                Finding::warning(check, format!("can't tell {what}: you may not {right}"))
                    .next("ask an administrator of the cluster to run herdctl doctor")
            }
            Gap::Failed(why) => {
                Finding::warning(check, format!("can't tell {what}: {why}")).next("try again")
            }
        }
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    #[must_use]
    pub fn fixable(mut self) -> Self {
        self.fixable = true;
        self.next("{program} doctor --fix")
    }
}
