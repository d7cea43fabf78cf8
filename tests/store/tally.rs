//! Progress, counted over what the runner makes of recorded streams of the real CLI.

use std::{env, path::Path};

use chrono::Utc;
use herdctl::plan::progress::Tally;
use herdctl::runner::translate::{Ended, RunIdentity, Translator};

#[test]
fn of_every_recorded_run_progress_agrees_with_the_verdict() {
    let captures = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/captures");
    let mut seen = 0;
    for entry in std::fs::read_dir(captures).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        let mut translator = Translator::new(RunIdentity::default());
        let mut events = Vec::new();
        translator.start(Utc::now(), &mut events);
        translator.stdout(&std::fs::read(&path).unwrap(), Utc::now(), &mut events);
        let verdict = translator.finish(Ended::default(), &mut events);

        let mut tally = Tally::default();
        let mut lines: Vec<&[u8]> = events
            .trim_ascii_end()
            .split(|byte| *byte == b'\n')
            .collect();
        let last = lines.pop().unwrap();
        for line in lines {
            assert_eq!(tally.take(line), None, "{}", path.display());
        }
        let before = tally.progress();
        assert_eq!(before.turns, verdict.turns, "{}", path.display());
        if verdict.result.is_some() {
            let (cost, told) = (before.cost_usd.unwrap(), verdict.cost_usd.unwrap());
            assert!((cost - told).abs() < 0.0001, "{}: {cost}", path.display());
            seen += 1;
        }
        assert_eq!(tally.take(last), Some(verdict), "{}", path.display());
    }
    assert!(seen > 20, "{seen} runs with a result");
}
