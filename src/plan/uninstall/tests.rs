use super::*;

const ALL: Duration = Duration::from_secs(180);
const START: Duration = Duration::ZERO;

fn object(name: &str) -> Object {
    Object {
        namespace: "team-a".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        finalizers: vec!["ours".into()],
    }
}

fn pod(name: &str, live: bool, held: bool, deleting: bool) -> Pod {
    Pod {
        object: object(name),
        live,
        held,
        deleting,
    }
}

/// An install with one running Job.
fn working() -> Seen {
    Seen {
        api: Some(true),
        unasked: Some(vec![object("job")]),
        controller: Some(Controller::Leads),
        pods: Some(vec![pod("job-1", true, true, false)]),
        held: Some(vec![object("job")]),
    }
}

fn step(seen: &Seen, at: Duration) -> Step {
    step_with(seen, at, RunningJobs::Suspend, &Failures::default())
}

fn step_with(seen: &Seen, at: Duration, running: RunningJobs, failures: &Failures) -> Step {
    next(seen, at, Limits::within(ALL), running, failures)
}

fn release_of(pods: &[&str], jobs: &[&str]) -> Step {
    let objects = |names: &[&str]| names.iter().map(|name| object(name)).collect();
    Step::Release {
        pods: objects(pods),
        jobs: objects(jobs),
    }
}

#[test]
fn a_healthy_install_goes_in_order_and_finalizers_go_last() {
    let mut seen = working();
    assert_eq!(step(&seen, START), Step::Withdraw);
    seen.api = Some(false);
    assert_eq!(step(&seen, START), Step::Ask(vec![object("job")]));
    seen.unasked = Some(vec![]);
    assert_eq!(step(&seen, START), Step::Wait(For::Agents(1)));
    seen.pods = Some(vec![]);
    assert_eq!(step(&seen, START), Step::StopController);
    seen.controller = Some(Controller::Stopping);
    assert_eq!(step(&seen, START), Step::Wait(For::Controller));
    seen.controller = Some(Controller::Gone);
    assert_eq!(step(&seen, START), release_of(&[], &["job"]));
    seen.held = Some(vec![]);
    assert_eq!(step(&seen, START), Step::Done);
}

#[test]
fn without_a_controller_jobs_are_asked_and_their_pods_end_at_once() {
    let mut seen = Seen {
        api: Some(false),
        controller: Some(Controller::Gone),
        ..working()
    };
    assert_eq!(step(&seen, START), Step::Ask(vec![object("job")]));
    seen.unasked = Some(vec![]);
    assert_eq!(step(&seen, START), Step::End(vec![object("job-1")]));
    seen.pods = Some(vec![pod("job-1", true, true, true)]);
    assert_eq!(step(&seen, START), Step::Wait(For::Pods(1)));
    seen.pods = Some(vec![pod("job-1", false, true, true)]);
    assert_eq!(step(&seen, START), release_of(&["job-1"], &["job"]));
}

#[test]
fn a_controller_that_does_not_lead_is_stopped_without_waiting_for_it_to_stop_agents() {
    let seen = Seen {
        api: Some(false),
        unasked: Some(vec![]),
        controller: Some(Controller::Idle),
        ..working()
    };
    assert_eq!(step(&seen, START), Step::StopController);
}

#[test]
fn each_stage_ends_at_its_limit_with_pods_that_never_end() {
    let limits = Limits::within(ALL);
    let mut seen = Seen {
        api: Some(false),
        unasked: Some(vec![]),
        ..working()
    };
    assert_eq!(step(&seen, limits.jobs), Step::StopController);
    seen.controller = Some(Controller::Stopping);
    assert_eq!(
        step(&seen, limits.controller),
        Step::End(vec![object("job-1")])
    );
    seen.pods = Some(vec![pod("job-1", true, true, true)]);
    assert_eq!(step(&seen, limits.controller), Step::Wait(For::Pods(1)));
    assert_eq!(step(&seen, limits.pods), release_of(&["job-1"], &["job"]));
    assert_eq!(step(&seen, limits.all), Step::GiveUp);
}

#[test]
fn what_is_left_running_is_neither_asked_nor_ended_and_is_released() {
    let mut seen = Seen {
        api: Some(false),
        ..working()
    };
    let leave = |seen: &Seen| step_with(seen, START, RunningJobs::Leave, &Failures::default());
    assert_eq!(leave(&seen), Step::StopController);
    seen.controller = Some(Controller::Gone);
    assert_eq!(leave(&seen), release_of(&["job-1"], &["job"]));
    seen.pods = Some(vec![pod("job-1", true, false, false)]);
    seen.held = Some(vec![]);
    assert_eq!(leave(&seen), Step::Done);
}

#[test]
fn a_deed_that_is_refused_three_times_is_left_out() {
    let mut failures = Failures::default();
    let mut seen = working();
    for expected in [
        (Deed::Withdraw, Step::Withdraw),
        (Deed::Ask("uid-job".into()), Step::Ask(vec![object("job")])),
    ] {
        for _ in 0..TRIES {
            assert_eq!(
                step_with(&seen, START, RunningJobs::Cancel, &failures),
                expected.1
            );
            failures.add(expected.0.clone());
        }
    }
    let now = |seen: &Seen, failures: &Failures| {
        step_with(
            seen,
            Limits::within(ALL).jobs,
            RunningJobs::Cancel,
            failures,
        )
    };
    for expected in [
        (Deed::StopController, Step::StopController),
        (
            Deed::End("uid-job-1".into()),
            Step::End(vec![object("job-1")]),
        ),
    ] {
        for _ in 0..TRIES {
            assert_eq!(now(&seen, &failures), expected.1);
            failures.add(expected.0.clone());
        }
    }
    assert_eq!(now(&seen, &failures), release_of(&["job-1"], &["job"]));
    seen.pods = Some(vec![]);
    assert_eq!(now(&seen, &failures), release_of(&[], &["job"]));
}

#[test]
fn what_cannot_be_read_holds_nothing_else_up() {
    let limits = Limits::within(ALL);
    let blind = Seen::default();
    for at in [START, limits.jobs, limits.controller, limits.pods] {
        assert_eq!(step(&blind, at), Step::Wait(For::Sight), "{at:?}");
    }
    assert_eq!(step(&blind, limits.all), Step::GiveUp);
    let half = Seen {
        held: Some(vec![object("job")]),
        ..Seen::default()
    };
    assert_eq!(step(&half, limits.pods), release_of(&[], &["job"]));
    let done = Seen {
        pods: Some(vec![]),
        held: Some(vec![]),
        ..Seen::default()
    };
    assert_eq!(step(&done, limits.pods), Step::Done);
}

#[test]
fn it_ends_whatever_is_seen() {
    let every = [None, Some(Controller::Leads), Some(Controller::Idle)]
        .into_iter()
        .chain([Some(Controller::Stopping), Some(Controller::Gone)]);
    let flags = [false, true];
    for controller in every {
        for live in flags {
            for deleting in flags {
                let seen = Seen {
                    controller,
                    pods: Some(vec![pod("job-1", live, true, deleting)]),
                    ..working()
                };
                for running in [
                    RunningJobs::Suspend,
                    RunningJobs::Cancel,
                    RunningJobs::Leave,
                ] {
                    let last = step_with(&seen, ALL, running, &Failures::default());
                    assert_eq!(last, Step::GiveUp, "{controller:?} {live} {deleting}");
                }
            }
        }
    }
}
