//! Promise: the agent's container is a place to work in, whoever runs there.

use herdctl::api::{
    pod_template::SecurityContext,
    reason::{ExitReason, Reason},
};

use crate::{
    status::{assert_ended, status, told},
    team::{Team, variable},
};

/// Runs these commands, one after the other, as this user, and returns what the last one printed.
async fn run(team: &Team, user: Option<i64>, commands: &[&str]) -> String {
    let agent = team
        .agent_with("bash", |spec| {
            let pod = spec.pod.get_or_insert_default();
            pod.security_context = user.map(|user| SecurityContext {
                run_as_user: Some(user),
                ..SecurityContext::default()
            });
        })
        .await;
    printed(team, &agent, commands).await
}

async fn printed(team: &Team, agent: &str, commands: &[&str]) -> String {
    let commands = commands.iter().map(|command| format!("RUN: {command}"));
    let prompt = commands.collect::<Vec<_>>().join("\n");
    let job = team
        .job_with(agent, |spec| spec.prompt = Some(prompt))
        .await;
    let done = team.finished(&job).await;
    assert_ended(&done, ExitReason::Success, Reason::Completed);
    let result = status(&done).result;
    result
        .unwrap_or_else(|| panic!("{}", told(&done)))
        .text
        .into()
}

#[tokio::test]
async fn git_works_where_the_agent_starts_as_any_user() {
    let team = Team::shared().await;
    // The image's own user, and one that its /etc/passwd does not know.
    let users = [None, Some(1_234_560_000)];
    let runs = users.map(|user| {
        run(
            &team,
            user,
            &[
                "git init -q . && mkdir -p deep/er && echo 'echo hooked; git status --short >/dev/null && echo in-hook' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit",
                "cd deep/er && date > file && git add . && git -c user.name=bh -c user.email=bh@example.invalid commit -qm first 2>&1 && git clone -q /workspace copy && git -C copy log --format=%s && git rev-parse --show-toplevel && id -u && stat -c %u /workspace && echo $USER $LOGNAME",
            ],
        )
    });
    for (user, said) in users.iter().zip(futures::future::join_all(runs).await) {
        for words in ["hooked", "in-hook", "first", "/workspace", "agent agent"] {
            assert!(said.contains(words), "{user:?}: no {words:?} in {said}");
        }
        let id = user.unwrap_or(1000).to_string();
        assert_eq!(said.matches(&id).count(), 2, "{user:?}: {said}");
    }
}

#[tokio::test]
async fn the_value_of_a_variable_arrives_as_it_stands_in_the_agent() {
    let team = Team::shared().await;
    let values = [
        "$(HOME)/bin:$(V1)",
        "pa$$w0rd$$$$x",
        "$(NOPE) $((1+1)) $$(HOME)",
        "100$",
        "$ü $( $) ${HOME} `id` \\n \"'",
    ];
    let agent = team
        .agent_with("bash", |spec| {
            let env = spec.env.get_or_insert_default();
            for (number, value) in values.iter().enumerate() {
                env.push(variable(&format!("V{number}"), value));
            }
        })
        .await;
    let said = printed(&team, &agent, &["env | grep '^V[0-9]='"]).await;
    for (number, value) in values.iter().enumerate() {
        let line = format!("V{number}={value}");
        assert!(said.contains(&line), "no {line:?} in {said}");
    }
}
