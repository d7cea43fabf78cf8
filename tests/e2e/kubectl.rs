//! kubectl and herdctl as `dev` types them.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::cluster;

/// No command of a test takes longer, but for those that wait and say how long themselves.
const LONGEST: Duration = Duration::from_secs(240);

/// What a command left.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs kubectl as dev, and returns what it said, however it ended.
pub async fn kubectl(arguments: &[&str], input: &str) -> Said {
    run(Path::new("kubectl"), arguments, input).await
}

/// Runs herdctl as dev, and returns what it said, however it ended.
pub async fn herdctl(arguments: &[&str]) -> Said {
    run(&cluster::herdctl(), arguments, "").await
}

async fn run(program: &Path, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", cluster::dev_kubeconfig())
        // What kubectl remembers of an earlier cluster at the same address is wrong for this one.
        .env("KUBECACHEDIR", cluster::kubectl_cache());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    // A program that doesn't read its input has gone by then: its own words tell why.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let Ok(ended) = timeout(LONGEST, child.wait_with_output()).await else {
        panic!(
            "{} {arguments:?} did not end within {LONGEST:?}",
            program.display()
        );
    };
    let ended = ended.unwrap();
    Said {
        code: ended.status.code().unwrap_or(-1),
        out: String::from_utf8(ended.stdout).unwrap(),
        err: String::from_utf8(ended.stderr).unwrap(),
    }
}

/// Runs kubectl as dev; it must succeed. Returns its standard output.
pub async fn kubectl_ok(arguments: &[&str], input: &str) -> String {
    let said = kubectl(arguments, input).await;
    assert_eq!(
        said.code, 0,
        "kubectl {arguments:?}: {}{}",
        said.out, said.err
    );
    said.out
}
