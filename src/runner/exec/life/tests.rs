//! Orders of events, each with the end that it must have.

use super::*;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(100),
    stall: Duration::from_secs(20),
    grace: Duration::from_secs(5),
};

const GOOD: ProcessExit = ProcessExit::Code(0);
const TERMINATED: ProcessExit = ProcessExit::Code(143);
const KILLED: ProcessExit = ProcessExit::Signal(9);

/// Plays events at seconds and collects what is to be done about them.
struct Play {
    state: State,
    actions: Vec<Action>,
    tools: usize,
}

impl Play {
    fn new() -> Play {
        Play {
            state: State::new(),
            actions: Vec::new(),
            tools: 0,
        }
    }

    fn tools(mut self, tools: usize) -> Play {
        self.tools = tools;
        self
    }

    fn at(mut self, second: u64, event: Event) -> Play {
        let now = Duration::from_secs(second);
        let (state, action) = self.state.step(event, now, self.tools, &LIMITS);
        self.state = state;
        if action != Action::Nothing {
            self.actions.push(action);
        }
        self
    }

    #[track_caller]
    fn ends(self, by: StoppedBy, exit: Option<ProcessExit>, actions: &[Action]) {
        assert_eq!(self.state, State::Over(End::Ended { by, exit }));
        assert_eq!(self.actions, actions);
    }
}

#[test]
fn a_cli_that_exits_ends_the_run_and_takes_what_is_left_with_it() {
    Play::new()
        .at(1, Event::Exited(GOOD))
        .at(1, Event::Alone)
        .ends(StoppedBy::Nobody, Some(GOOD), &[Action::KillAll]);
}

#[test]
fn those_who_stay_are_killed_again_until_nobody_is_left() {
    Play::new()
        .at(1, Event::Exited(GOOD))
        .at(1, Event::Tick)
        .at(2, Event::Tick)
        .at(2, Event::Alone)
        .ends(StoppedBy::Nobody, Some(GOOD), &[Action::KillAll; 3]);
}

#[test]
fn who_survives_two_seconds_of_kill_is_immortal() {
    let play = Play::new().at(1, Event::Exited(GOOD)).at(2, Event::Tick);
    assert!(matches!(play.state, State::Clearing { .. }));
    assert_eq!(play.at(3, Event::Tick).state, State::Over(End::Immortal));
}

#[test]
fn a_stop_gives_the_cli_its_grace() {
    let stop = Action::Terminate(StoppedBy::Signal);
    Play::new()
        .at(1, Event::StopAsked)
        .at(5, Event::Tick)
        .at(5, Event::Exited(TERMINATED))
        .at(5, Event::Alone)
        .ends(
            StoppedBy::Signal,
            Some(TERMINATED),
            &[stop, Action::KillAll],
        );
}

#[test]
fn after_the_grace_everybody_is_killed_and_the_cause_stays() {
    let stop = Action::Terminate(StoppedBy::Signal);
    Play::new()
        .at(1, Event::StopAsked)
        .at(6, Event::Tick)
        .at(6, Event::Exited(KILLED))
        .at(6, Event::Alone)
        .ends(StoppedBy::Signal, Some(KILLED), &[stop, Action::KillAll]);
}

#[test]
fn a_second_stop_neither_renews_the_grace_nor_ends_it() {
    let stop = Action::Terminate(StoppedBy::Signal);
    let play = Play::new()
        .at(1, Event::StopAsked)
        .at(3, Event::StopAsked)
        .at(5, Event::Tick);
    assert_eq!(play.actions, [stop]);
    assert_eq!(play.at(6, Event::Tick).actions, [stop, Action::KillAll]);
}

#[test]
fn the_first_cause_wins_over_a_later_one() {
    let timeout = Action::Terminate(StoppedBy::Timeout);
    Play::new()
        .at(99, Event::Line)
        .at(100, Event::Tick)
        .at(101, Event::StopAsked)
        .at(101, Event::Exited(TERMINATED))
        .at(101, Event::Alone)
        .ends(
            StoppedBy::Timeout,
            Some(TERMINATED),
            &[timeout, Action::KillAll],
        );
}

#[test]
fn a_cli_that_had_ended_before_was_stopped_by_nobody() {
    Play::new()
        .at(100, Event::Exited(GOOD))
        .at(100, Event::StopAsked)
        .at(100, Event::Alone)
        .ends(StoppedBy::Nobody, Some(GOOD), &[Action::KillAll]);
}

#[test]
fn silence_is_a_stall_and_a_line_is_not() {
    let stall = Action::Terminate(StoppedBy::Stall);
    let play = Play::new()
        .at(19, Event::Tick)
        .at(19, Event::Line)
        .at(38, Event::Tick);
    assert_eq!(play.actions, []);
    assert_eq!(play.at(39, Event::Tick).actions, [stall]);
}

#[test]
fn a_tool_may_be_silent_until_the_timeout() {
    let timeout = Action::Terminate(StoppedBy::Timeout);
    let play = Play::new().tools(1).at(99, Event::Tick);
    assert_eq!(play.actions, []);
    assert_eq!(play.at(100, Event::Tick).actions, [timeout]);
}

#[test]
fn a_spool_that_fails_kills_at_once_and_leaves_no_verdict() {
    let play = Play::new().at(1, Event::SpoolFailed);
    assert_eq!(play.actions, [Action::KillAll]);
    assert_eq!(
        play.at(1, Event::Alone).state,
        State::Over(End::SpoolFailed)
    );
}

#[test]
fn a_spool_that_fails_at_the_end_leaves_no_verdict_either() {
    let before = Play::new()
        .at(1, Event::Exited(GOOD))
        .at(1, Event::SpoolFailed);
    assert_eq!(
        before.at(1, Event::Alone).state,
        State::Over(End::SpoolFailed)
    );
    let after = Play::new().at(1, Event::Exited(GOOD)).at(1, Event::Alone);
    assert_eq!(
        after.at(1, Event::SpoolFailed).state,
        State::Over(End::SpoolFailed)
    );
}

#[test]
fn a_pid_that_comes_back_does_not_change_how_the_cli_ended() {
    Play::new()
        .at(1, Event::Exited(GOOD))
        .at(1, Event::Exited(KILLED))
        .at(1, Event::Alone)
        .ends(StoppedBy::Nobody, Some(GOOD), &[Action::KillAll]);
}

#[test]
fn the_loop_sleeps_until_the_next_deadline_and_no_longer() {
    let next = |state: State, tools| state.next_tick(Duration::from_secs(30), tools, &LIMITS);
    let running = State::Running {
        last_line: Duration::from_secs(30),
    };
    assert_eq!(next(running, 0), Duration::from_secs(50));
    assert_eq!(next(running, 1), LIMITS.timeout);
    let late = State::Running {
        last_line: Duration::from_secs(90),
    };
    assert_eq!(next(late, 0), LIMITS.timeout);
    let kill_at = Duration::from_secs(33);
    assert_eq!(
        next(
            State::Terminating {
                by: StoppedBy::Stall,
                kill_at
            },
            0
        ),
        kill_at
    );
    let by = StoppedBy::Nobody;
    let clearing = State::Clearing {
        by,
        exit: None,
        give_up_at: Duration::from_secs(32),
    };
    assert_eq!(next(clearing, 0), Duration::from_secs(30) + LOOK_AGAIN);
}

#[test]
fn a_fence_ends_a_run_like_a_stop() {
    Play::new()
        .at(1, Event::Fenced)
        .at(2, Event::Exited(TERMINATED))
        .at(2, Event::Alone)
        .ends(
            StoppedBy::Fence,
            Some(TERMINATED),
            &[Action::Terminate(StoppedBy::Fence), Action::KillAll],
        );
}

#[test]
fn a_full_spool_pauses_the_agent_until_there_is_room() {
    let play = Play::new()
        .at(1, Event::Spool(Fill::Middle))
        .at(2, Event::Spool(Fill::High))
        .at(3, Event::Spool(Fill::High))
        .at(4, Event::Spool(Fill::Middle))
        .at(5, Event::Spool(Fill::Low))
        .at(6, Event::Spool(Fill::Middle));
    assert_eq!(play.actions, [Action::Pause, Action::Resume]);
}

#[test]
fn who_writes_on_while_he_is_paused_is_killed_at_the_spools_limit() {
    Play::new()
        .at(1, Event::Spool(Fill::High))
        .at(2, Event::Spool(Fill::High))
        .at(3, Event::Spool(Fill::Brim))
        .at(3, Event::Exited(KILLED))
        .at(3, Event::Alone)
        .ends(
            StoppedBy::Nobody,
            Some(KILLED),
            &[Action::Pause, Action::Overrun],
        );
}

#[test]
fn the_stall_clock_stands_during_a_pause() {
    let play = Play::new()
        .at(10, Event::Line)
        .at(25, Event::Spool(Fill::High))
        .at(60, Event::Tick)
        .at(61, Event::Spool(Fill::Low))
        .at(65, Event::Tick);
    assert_eq!(play.actions, [Action::Pause, Action::Resume]);
    let stalled = play.at(66, Event::Tick);
    assert_eq!(
        stalled.actions.last(),
        Some(&Action::Terminate(StoppedBy::Stall))
    );
}

#[test]
fn the_timeout_goes_on_during_a_pause() {
    let play = Play::new()
        .at(99, Event::Spool(Fill::High))
        .at(100, Event::Tick);
    assert_eq!(
        play.actions,
        [Action::Pause, Action::Terminate(StoppedBy::Timeout)]
    );
}

#[test]
fn who_is_to_end_gets_no_grace_beyond_the_spools_limit() {
    Play::new()
        .at(1, Event::StopAsked)
        .at(2, Event::Spool(Fill::High))
        .at(2, Event::Spool(Fill::Brim))
        .at(2, Event::Exited(KILLED))
        .at(2, Event::Alone)
        .ends(
            StoppedBy::Signal,
            Some(KILLED),
            &[Action::Terminate(StoppedBy::Signal), Action::KillAll],
        );
}
