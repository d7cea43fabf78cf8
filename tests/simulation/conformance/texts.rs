//! Whatever stands in a prompt arrives in a status as it is, and whatever an agent says is taken, by a real API
//! server: our own write of a status, with every character that may cost it its way through YAML.

use herdctl::{
    api::{
        agent::AgentSpec,
        job::{CapturedAgent, Job, JobSpec, JobStatus},
        reason::{Phase, Reason},
        text::Clean,
        verdict::Text,
    },
    controller::cluster::Cluster,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{NAMESPACE, SEED, client};

/// Random texts, beside those that are tried one by one.
const RANDOM: usize = 200;

/// Each class of character at both of its ends, and what stands beside them.
fn alone() -> Vec<char> {
    let ranges = [
        0..=0xa1,
        0x061b..=0x061d,
        0x200b..=0x2010,
        0x2027..=0x202f,
        0x2065..=0x206a,
        0xd7ff..=0xe000,
        0xfdcf..=0xfdf0,
        0xfefe..=0xff00,
        0xfff8..=0x1_0001,
        0x1_f600..=0x1_f601,
        0x1_fffd..=0x2_0000,
        0x10_fffd..=0x10_ffff,
    ];
    ranges
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .collect()
}

fn texts() -> Vec<String> {
    let each = alone();
    // In the middle, at both ends, and between blanks, which YAML would fold with a line's end.
    let mut texts: Vec<String> = each
        .iter()
        .flat_map(|c| [format!("a{c}b"), format!("{c} {c}{c}\\{c}\"")])
        .collect();
    texts.push(each.iter().collect());
    texts.push(each.iter().rev().flat_map(|c| [*c, '\n']).collect());
    let seed = [u8::try_from(SEED).unwrap(); 32];
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
    );
    let any = prop::collection::vec(any::<char>(), 1..100).prop_map(String::from_iter);
    texts.extend((0..RANDOM).map(|_| any.new_tree(&mut runner).unwrap().current()));
    texts
}

/// What the controller would write of an Agent with this prompt that said this.
fn status(text: &str) -> JobStatus {
    JobStatus {
        phase: Some(Phase::Running),
        reason: Some(Reason::Working),
        observed_generation: Some(1),
        message: Some(Clean::line(text, 1024)),
        result: Some(Text {
            text: Clean::lines(text, 2048),
            truncated: false,
        }),
        agent: Some(CapturedAgent {
            spec: AgentSpec {
                append_system_prompt: Some(text.to_owned()),
                ..AgentSpec::default()
            },
            ..CapturedAgent::default()
        }),
        ..JobStatus::default()
    }
}

#[tokio::test]
#[ignore = "needs a cluster without the operator: tests/e2e/run"]
async fn every_text_arrives_in_a_status_as_it_was_written() {
    let client = client().await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), NAMESPACE);
    let spec = JobSpec {
        agent: "nobody".into(),
        ..JobSpec::default()
    };
    let name = format!("texts-{}", chrono::Utc::now().timestamp());
    let (params, new) = (PostParams::default(), Job::new(&name, spec));
    let mut job = jobs.create(&params, &new).await.unwrap();
    let cluster = Cluster::new(client);
    let mut wrong = Vec::new();
    for text in texts() {
        let status = status(&text);
        match cluster.write_status(&job, &status).await {
            Ok(written) => {
                job = written;
                if job.status.as_ref() != Some(&status) {
                    wrong.push(format!("{text:?} became {:?}", job.status));
                }
            }
            Err(error) => wrong.push(format!("{text:?}: {error:?}")),
        }
    }
    jobs.delete(&name, &DeleteParams::default()).await.unwrap();
    assert!(
        wrong.is_empty(),
        "{} are wrong, such as {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}
