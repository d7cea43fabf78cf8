//! `herdctl doctor`: what is wrong with an install, line by line, with the command that mends it.

mod finding;
mod fix;
mod install;
mod leftovers;
mod look;
mod place;
mod probe;
mod waiting;

use chrono::Utc;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use self::{
    finding::{Finding, Health},
    look::Seen,
};
use super::{
    Session,
    error::CliError,
    exit::Exit,
    out::Out,
    style::{Colour, Sign},
};
use crate::api::text::Clean;

/// Say what is wrong with this install, and what mends it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  herdctl doctor
  herdctl doctor -n team-a -o json
  herdctl doctor --fix

It checks the operator, your rights, and one namespace or all (-A). A check that you may not make is a
warning that names the missing right. The exit code is 1 when something is broken; it is 0 when all is well
or there are only warnings.

With --fix it removes what a failed uninstall left, in all namespaces: an APIService without a Service,
agents' pods, and the operator's finalizers. It lists the changes and asks first. It changes nothing while an
operator is installed.")]
pub struct Doctor {
    /// Look at all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Remove what a failed uninstall left
    #[arg(long)]
    fix: bool,
    /// Do not ask before --fix changes something
    #[arg(short, long, requires = "fix")]
    yes: bool,
    /// What to print. Default: a line for each check
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "fix")]
    output: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Json,
}

impl Doctor {
    pub async fn run(self, session: &Session, out: &mut Out) -> Result<Exit, CliError> {
        let cluster = session.cluster().await?;
        // What an uninstall left is everywhere.
        let seen = look::look(&cluster, self.all_namespaces || self.fix).await?;
        let findings = examine(&seen);
        let broken = findings.iter().any(|one| one.health == Health::Bad);
        if self.output == Some(Format::Json) {
            let findings: Vec<Finding> = findings
                .into_iter()
                .map(|finding| named(finding, out.program))
                .collect();
            out.json(&json!({"healthy": !broken, "checks": findings}))?;
        } else {
            for finding in findings {
                print(&named(finding, out.program), out)?;
            }
        }
        if self.fix {
            out.flush()?;
            return fix::fix(&seen, &cluster, self.yes, out).await;
        }
        Ok(if broken { Exit::Error } else { Exit::Done })
    }
}

/// Every check, in the order in which one thing rests on another.
fn examine(seen: &Seen) -> Vec<Finding> {
    let (now, instant) = (Utc::now(), Timestamp::now());
    let mut found: Vec<Finding> = install::kubernetes(seen).into_iter().collect();
    found.push(install::crds(seen));
    found.extend(install::versions(seen));
    found.extend(install::parts(seen, instant));
    found.push(install::api_service(seen));
    found.extend(install::certificate(seen, now));
    found.push(leftovers::finalizers(seen, now, instant));
    found.extend(place::namespace(seen));
    found.extend(place::rights(seen));
    found.extend(place::jobs(seen, now));
    found.extend(place::kubectl(seen));
    found
}

/// In clean words, and the commands under the name by which this program was called.
fn named(mut finding: Finding, program: &str) -> Finding {
    finding.message = Clean::line(&finding.message, usize::MAX).into();
    for step in &mut finding.next {
        *step = step.replace("{program}", program);
    }
    finding
}

fn print(finding: &Finding, out: &mut Out) -> Result<(), CliError> {
    let (sign, colour) = match finding.health {
        Health::Good => (Sign::Done, Colour::Green),
        Health::Warning => (Sign::Warning, Colour::Yellow),
        Health::Bad => (Sign::Failed, Colour::Red),
    };
    let sign = out.style.paint(colour, out.style.sign(sign));
    out.line(&format!("{sign} {}: {}", finding.check, finding.message))?;
    for step in &finding.next {
        out.line(&format!("  next: {step}"))?;
    }
    Ok(())
}
