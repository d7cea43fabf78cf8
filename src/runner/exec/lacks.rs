//! What this run lacks that its agent may need, looked up once before it starts. The CLI would start without,
//! and every call of a tool fail for a reason that only the model reads.

use std::env;
use std::path::Path;

use super::child::is_there;
use crate::api::run::RunInputs;
use crate::plan::tools;

/// The shells that the CLI's Bash tool takes.
const SHELLS: [&str; 2] = ["bash", "zsh"];

/// A sentence for each thing.
pub fn of_run(inputs: &RunInputs) -> Vec<String> {
    let mut told = tools::slips(&inputs.tools);
    if tools::has(&inputs.tools, "Bash") && !has_shell() {
        told.push(
            "the image has no bash on its PATH, so each call of the tool Bash will fail: add bash to the image, or leave Bash out of spec.tools.available of the Agent"
                .to_owned(),
        );
    }
    if !is_there(Path::new("git")) {
        told.push(
            "the image has no git on its PATH: add it where the agent is to work with a repository"
                .to_owned(),
        );
    }
    told
}

/// The CLI looks at its variables first, then where every shell is.
fn has_shell() -> bool {
    let named = ["CLAUDE_CODE_SHELL", "SHELL"].iter().any(|name| {
        let path = env::var(name).unwrap_or_default();
        SHELLS.iter().any(|shell| path.ends_with(shell)) && is_there(Path::new(&path))
    });
    let found = SHELLS.iter().any(|shell| is_there(Path::new(shell)));
    named || found
}
