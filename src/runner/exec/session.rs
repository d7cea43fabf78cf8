//! How the CLI's session begins: anew, or where another pod's left off.

use std::path::Path;

use crate::api::run::{Resume, RunInputs};
use crate::runner::session::{Content, Transcript, Trouble};

/// How it begins.
#[derive(Debug, PartialEq)]
pub enum Begin<'a> {
    /// With the run's own prompt.
    Anew,
    GoOn {
        prompt: &'a String,
        /// What it has cost so far, if its transcript says so.
        cost_usd: Option<f64>,
    },
    /// It must not begin anew, and can't go on; with why.
    Impossible(String),
}

impl<'a> Begin<'a> {
    /// Decides by the transcript that `ship` has restored, before the agent's first process.
    pub fn of(inputs: &'a RunInputs, workspace: &Path, home: &Path) -> Begin<'a> {
        let Some(Resume { prompt, required }) = &inputs.resume else {
            return Begin::Anew;
        };
        let transcript = Transcript::of(&inputs.session_id, workspace, home);
        let why = match read(&transcript) {
            Ok(Some(Content {
                has_begun: true,
                cost_usd,
            })) => return Begin::GoOn { prompt, cost_usd },
            Ok(Some(_)) => "its transcript holds no message".to_owned(),
            Ok(None) => "no attempt before this one left a transcript".to_owned(),
            Err(trouble) => format!("its transcript can't be used: {trouble}"),
        };
        if *required {
            let session = &inputs.session_id;
            return Begin::Impossible(format!("session {session}: {why}"));
        }
        // What is left there the CLI finds itself, and says so.
        let _ = transcript.remove();
        Begin::Anew
    }

    /// What the agent is told; none where it does not start.
    pub fn prompt(&self, inputs: &'a RunInputs) -> Option<&'a str> {
        match self {
            Begin::Anew => Some(&inputs.prompt),
            Begin::GoOn { prompt, .. } => Some(prompt),
            Begin::Impossible(_) => None,
        }
    }
}

fn read(transcript: &Transcript) -> Result<Option<Content>, Trouble> {
    let file = transcript.open()?;
    Ok(file.map(Content::read).transpose()?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn inputs(resume: serde_json::Value) -> RunInputs {
        serde_json::from_value(json!({
            "job": "job-1", "agent": "reviewer", "attempt": 2, "prompt": "the run's",
            "sessionId": "5f0c", "resume": resume,
            "timeout": 60, "stallTimeout": 60, "cancelGrace": 10,
        }))
        .unwrap()
    }

    #[test]
    fn the_transcript_and_what_was_asked_decide() {
        let said = "{\"type\":\"user\"}\n{\"type\":\"cost-state\",\"totalCostUSD\":0.5}\n";
        let resume = |required| json!({ "prompt": "go on", "required": required });
        let go_on = |cost_usd| Ok((Some("go on"), cost_usd));
        let anew = Ok((None, None));
        for (left, asked, expected) in [
            (None, json!(null), anew),
            (Some(said), json!(null), anew),
            (Some(said), resume(true), go_on(Some(0.5))),
            (Some("{\"type\":\"user\"}\n"), resume(false), go_on(None)),
            (None, resume(false), anew),
            (None, resume(true), Err("left a transcript")),
            (Some(""), resume(false), anew),
            (Some("\0\0"), resume(true), Err("holds no message")),
        ] {
            let (home, workspace) = (tempfile::tempdir().unwrap(), Path::new("/workspace"));
            let transcript = Transcript::of("5f0c", workspace, home.path());
            if let Some(text) = left {
                transcript
                    .create()
                    .unwrap()
                    .write_all(text.as_bytes())
                    .unwrap();
            }
            let inputs = inputs(asked);
            let begin = Begin::of(&inputs, workspace, home.path());
            match (&begin, expected) {
                (Begin::Anew, Ok((None, _))) => {}
                (Begin::GoOn { prompt, cost_usd }, Ok((Some(text), cost))) => {
                    assert_eq!((prompt.as_str(), *cost_usd), (text, cost));
                }
                (Begin::Impossible(why), Err(part)) => assert!(why.contains(part), "{why}"),
                _ => panic!("{left:?} {:?}: {begin:?}", inputs.resume),
            }
        }
    }

    #[test]
    fn what_keeps_the_cli_from_beginning_is_taken_away() {
        let (home, workspace) = (tempfile::tempdir().unwrap(), Path::new("/workspace"));
        let transcript = Transcript::of("5f0c", workspace, home.path());
        transcript.create().unwrap();
        let inputs = inputs(json!({ "prompt": "go on", "required": false }));
        assert_eq!(Begin::of(&inputs, workspace, home.path()), Begin::Anew);
        assert!(transcript.open().unwrap().is_none());
        // A home that is not there is no reason not to begin.
        fs::remove_dir_all(home.path()).unwrap();
        assert_eq!(Begin::of(&inputs, workspace, home.path()), Begin::Anew);
    }
}
