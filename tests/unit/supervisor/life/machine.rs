//! The state machine: tables of transitions, and random sequences of events.

use nix::sys::signal::Signal;
use proptest::prelude::*;

use super::*;
use crate::config::{Backoff, Restart, StopPlan, StopTarget};
use crate::supervisor::life::action::Note;
use crate::supervisor::life::ending::MAX_CHECKS;
use crate::supervisor::life::event::{Answer, Excess, Need};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        process: true,
        probed: true,
        deadline: 60 * SECOND,
        live_failures: 3,
        restart: Restart::Always,
        backoff: Backoff { min: Duration::from_millis(500), max: 30 * SECOND },
        max_restarts: 10,
        window: 600 * SECOND,
        success: vec![0],
        critical: false,
        oneshot: false,
        sleeps: false,
        stop: StopPlan { signal: Signal::SIGTERM, target: StopTarget::Group, timeout: 5 * SECOND },
    }
}

/// A state machine and a clock.
struct World {
    life: Life,
    now: Instant,
}

impl World {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        Self { life: Life::new(settings, || 0.0), now: Instant::now() }
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.life.on(event, self.now)
    }

    /// Up to the moment when the process runs.
    fn started(mut self) -> Self {
        self.on(Event::Start);
        assert_eq!(self.on(Event::Proceed), [Action::Spawn(1)]);
        self.on(Event::Spawned(1));
        self
    }

    fn ready(self) -> Self {
        let mut world = self.started();
        world.on(Event::Ready(1, Answer::Yes));
        assert_eq!(world.life.phase(), Phase::Ready);
        world
    }

    fn exit(&mut self, code: i32) -> Vec<Action> {
        let generation = self.life.generation;
        self.on(Event::Exited { generation, exit: Exit::Code(code), survivors: false })
    }

    /// Advances the clock to the next timer.
    fn wait(&mut self) -> Vec<Action> {
        self.now = self.life.due().expect("no timer is running");
        self.on(Event::Tick)
    }

    /// From one crash to the next spawn; returns the pause between them.
    fn crash(&mut self) -> Duration {
        let died = self.now;
        self.exit(1);
        assert_eq!(self.life.phase(), Phase::Backoff);
        self.wait();
        let generation = self.life.generation;
        self.on(Event::Spawned(generation));
        self.now - died
    }
}

#[test]
fn an_app_starts_becomes_ready_and_stops() {
    let mut world = World::new(|_| {});
    world.on(Event::Start);
    assert_eq!(world.life.phase(), Phase::Waiting);
    assert_eq!(world.on(Event::Proceed), [Action::Spawn(1)]);
    assert!(!world.life.has_started());
    assert_eq!(world.on(Event::Spawned(1)), [Action::StartReadyProbe(1)]);
    assert!(world.life.has_started() && world.life.phase() == Phase::Starting);
    world.now += SECOND;
    let actions = world.on(Event::Ready(1, Answer::Yes));
    assert_eq!(actions, [Action::Log(Note::Ready { after: SECOND }), Action::StartLiveProbe(1)]);
    let actions = world.on(Event::Stop { within: Duration::MAX });
    assert_eq!(actions, [Action::StopProbes, Action::Terminate(1)]);
    assert_eq!(world.life.phase(), Phase::Stopping);
    assert_eq!(world.exit(0), [Action::Log(Note::Stopped)]);
    assert_eq!(world.life.phase(), Phase::Stopped);
}

#[test]
fn a_stop_may_come_before_the_process_runs() {
    for (event, phase) in [
        (Event::NotSpawned(1, None), Phase::Stopped),
        (Event::NotSpawned(1, Some(127)), Phase::Stopped),
        (Event::Spawned(1), Phase::Stopping),
    ] {
        let mut world = World::new(|_| {});
        world.on(Event::Start);
        world.on(Event::Proceed);
        let actions = world.on(Event::Stop { within: SECOND });
        assert_eq!(actions, [Action::StopProbes, Action::Terminate(1)]);
        let actions = world.on(event);
        assert!(!actions.contains(&Action::StartReadyProbe(1)), "{event:?}");
        assert_eq!(world.life.phase(), phase, "{event:?}");
    }
}

#[test]
fn without_a_ready_probe_a_started_app_is_ready() {
    let world = World::new(|settings| settings.probed = false).started();
    assert_eq!(world.life.phase(), Phase::Ready);
}

#[test]
fn every_exit_against_every_restart_policy() {
    use Phase::{Backoff, Failed, Finished, Stopped};
    for (restart, oneshot, code, expected) in [
        (Restart::Always, false, 0, Backoff),
        (Restart::Always, false, 1, Backoff),
        (Restart::OnFailure, false, 0, Stopped),
        (Restart::OnFailure, false, 3, Stopped),
        (Restart::OnFailure, false, 1, Backoff),
        (Restart::Never, false, 0, Stopped),
        (Restart::Never, false, 1, Failed),
        (Restart::Always, true, 0, Finished),
        (Restart::Always, true, 1, Backoff),
        (Restart::Never, true, 0, Finished),
        (Restart::Never, true, 1, Failed),
    ] {
        let change = |settings: &mut Settings| {
            (settings.restart, settings.oneshot) = (restart, oneshot);
            settings.probed = !oneshot;
            settings.success = vec![0, 3];
        };
        let mut world = World::new(change).started();
        world.exit(code);
        assert_eq!(world.life.phase(), expected, "{restart:?} oneshot={oneshot} exit {code}");
    }
}

#[test]
fn the_back_off_doubles_up_to_its_maximum_and_recovers() {
    let mut world = World::new(|settings| settings.backoff.max = 3 * SECOND).ready();
    let pauses: Vec<_> = (0..4).map(|_| world.crash().as_millis()).collect();
    assert_eq!(pauses, [500, 1000, 2000, 3000]);
    world.on(Event::Ready(5, Answer::Yes));
    world.now += 9 * SECOND;
    assert_eq!(world.crash(), 3 * SECOND);
    world.on(Event::Ready(6, Answer::Yes));
    world.now += 10 * SECOND;
    assert_eq!(world.crash(), SECOND / 2);
    assert_eq!(world.life.restarts, 6);
}

#[test]
fn an_app_that_hangs_after_its_recovery_waits_for_the_shortest_back_off() {
    let mut world = World::new(|_| {}).ready();
    let pauses: Vec<_> = (0..3).map(|_| world.crash().as_millis()).collect();
    assert_eq!(pauses, [500, 1000, 2000]);
    world.on(Event::Ready(4, Answer::Yes));
    world.now += 10 * SECOND;
    // The `ready` probe fails before the `live` probe.
    world.on(Event::Ready(4, Answer::No));
    for _ in 0..3 {
        world.on(Event::Live(4, Answer::Timeout));
    }
    assert_eq!((world.life.phase(), world.crash()), (Phase::Stopping, SECOND / 2));
}

#[test]
fn jitter_never_goes_below_the_minimum() {
    for (jitter, expected) in
        [((|| -1.0) as fn() -> f64, [500, 800]), (|| 1.0, [600, 1200]), (|| 9.0, [600, 1200])]
    {
        let mut world = World::new(|_| {}).ready();
        world.life.jitter = jitter;
        assert_eq!([(); 2].map(|()| world.crash().as_millis()), expected);
    }
}

#[test]
fn too_many_restarts_in_the_window_fail_for_good() {
    let change = |settings: &mut Settings| {
        (settings.max_restarts, settings.window, settings.critical) = (3, 10 * SECOND, true);
    };
    let mut world = World::new(change).started();
    for _ in 0..3 {
        world.crash();
    }
    let actions = world.exit(7);
    assert!(actions.contains(&Action::FailCritical(7)), "{actions:?}");
    assert_eq!((world.life.phase(), world.life.restarts), (Phase::Failed, 3));

    let mut world = World::new(change).started();
    for _ in 0..20 {
        world.crash();
        world.now += 4 * SECOND;
    }
    assert_eq!(world.life.phase(), Phase::Starting, "the window slides");

    world.exit(1);
    world.on(Event::Start);
    assert_eq!(
        world.on(Event::Proceed),
        [Action::Spawn(22)],
        "a start command does not wait for the back-off"
    );
    for _ in 0..3 {
        world.crash();
    }
    assert_eq!(world.life.phase(), Phase::Starting, "the counters are fresh");
}

#[test]
fn a_critical_failure_has_the_exit_code_of_the_app() {
    for (exit, code) in [
        (Exit::Code(3), 3),
        (Exit::Code(255), 255),
        (Exit::Signal(9), 137),
        (Exit::Signal(11), 139),
    ] {
        let change = |settings: &mut Settings| {
            (settings.critical, settings.restart) = (true, Restart::Never);
        };
        let mut world = World::new(change).started();
        let actions = world.on(Event::Exited { generation: 1, exit, survivors: false });
        assert!(actions.contains(&Action::FailCritical(code)), "{exit:?}: {actions:?}");
    }
}

#[test]
fn a_missing_program_fails_with_127() {
    let change =
        |settings: &mut Settings| (settings.critical, settings.restart) = (true, Restart::Never);
    for (code, expected) in [(Some(127), 127), (Some(126), 126), (None, 70)] {
        let mut world = World::new(change);
        world.on(Event::Start);
        world.on(Event::Proceed);
        let actions = world.on(Event::NotSpawned(1, code));
        assert!(actions.contains(&Action::FailCritical(expected)), "{actions:?}");
        assert_eq!(world.life.phase(), Phase::Failed);
    }
}

#[test]
fn a_start_that_passes_its_deadline_is_ended_and_fails() {
    let change =
        |settings: &mut Settings| (settings.critical, settings.restart) = (true, Restart::Never);
    let mut world = World::new(change).started();
    let actions = world.wait();
    assert_eq!(actions[1..], [Action::StopProbes, Action::Terminate(1)]);
    let actions = world.exit(0);
    assert_eq!(world.life.phase(), Phase::Failed);
    assert!(
        actions.contains(&Action::FailCritical(70)),
        "the supervisor ended it, so there is no exit code of its own: {actions:?}"
    );
}

#[test]
fn readiness_follows_the_probe() {
    let mut world = World::new(|_| {}).ready();
    world.on(Event::Ready(1, Answer::No));
    assert_eq!(world.life.phase(), Phase::Unready);
    world.on(Event::Ready(1, Answer::Yes));
    assert_eq!(world.life.phase(), Phase::Ready);
    for phase in [Phase::Ready, Phase::Ready, Phase::Unready] {
        world.on(Event::Ready(1, Answer::Timeout));
        assert_eq!(world.life.phase(), phase, "a busy app is not down");
    }
}

#[test]
fn only_failures_in_a_row_end_a_hanging_app() {
    let mut world = World::new(|_| {}).ready();
    for _ in 0..5 {
        for answer in [Answer::No, Answer::Timeout, Answer::Yes] {
            assert!(world.on(Event::Live(1, answer)).is_empty());
        }
    }
    world.on(Event::Live(1, Answer::No));
    world.on(Event::Live(1, Answer::No));
    let actions = world.on(Event::Live(1, Answer::Timeout));
    assert_eq!(actions, [Action::Log(Note::Hangs(3)), Action::StopProbes, Action::Terminate(1)]);
    world.exit(0);
    assert_eq!(world.life.phase(), Phase::Backoff);
}

const EXCESS: Excess = Excess { used: 7, limit: 5 };

#[test]
fn an_app_with_too_much_memory_is_restarted_in_good_order_whatever_its_policy() {
    for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
        let mut world = World::new(|settings| settings.restart = restart).ready();
        assert_eq!(world.on(Event::TooMuchMemory(7, EXCESS)), [], "another incarnation");
        let actions = world.on(Event::TooMuchMemory(1, EXCESS));
        let note = Action::Log(Note::TooMuchMemory(EXCESS));
        assert_eq!(actions, [note, Action::StopProbes, Action::Terminate(1)]);
        assert_eq!(world.life.phase(), Phase::Stopping);
        assert_eq!(world.on(Event::TooMuchMemory(1, EXCESS)), [], "it is ending");
        world.exit(0);
        assert_eq!(world.life.due(), Some(world.now), "without a pause");
        assert_eq!(world.on(Event::Tick), [Action::Spawn(2)]);
        assert_eq!(world.life.restarts, 1);
    }
    // A stop during the restart counts.
    let mut world = World::new(|_| {}).ready();
    world.on(Event::TooMuchMemory(1, EXCESS));
    world.on(Event::Stop { within: SECOND });
    world.exit(0);
    assert_eq!(world.life.phase(), Phase::Stopped);
}

#[test]
fn an_app_that_needs_more_memory_than_it_may_have_fails_for_good() {
    let mut world = World::new(|settings| settings.max_restarts = 2).started();
    for generation in 1..=3 {
        world.on(Event::TooMuchMemory(generation, EXCESS));
        world.exit(0);
        world.on(Event::Tick);
        world.on(Event::Spawned(generation + 1));
    }
    assert_eq!(world.life.phase(), Phase::Failed);
    assert_eq!(world.life.restarts, 2);
}

#[test]
fn survivors_are_ended_before_the_next_start() {
    let mut world = World::new(|_| {}).ready();
    let exit = Exit::Signal(9);
    let actions = world.on(Event::Exited { generation: 1, exit, survivors: true });
    assert_eq!(actions, [Action::StopProbes, Action::Terminate(1)]);
    assert_eq!(world.life.phase(), Phase::Stopping);
    assert_eq!(world.wait(), [Action::Log(Note::Killed), Action::Kill(1)]);
    assert_eq!(world.wait(), [Action::Kill(1), Action::CheckGroup(1)]);
    world.on(Event::Gone(1));
    assert_eq!(world.life.phase(), Phase::Backoff);
    assert_eq!(world.wait(), [Action::Spawn(2)]);
}

#[test]
fn daemons_that_a_leader_leaves_behind_at_a_stop_are_terminated_and_then_killed() {
    let mut world = World::new(|_| {}).ready();
    assert_eq!(world.on(Event::Restart), [Action::StopProbes, Action::Terminate(1)]);
    let exited = Event::Exited { generation: 1, exit: Exit::Code(0), survivors: true };
    assert_eq!(world.on(exited), [Action::TerminateDaemons(1)]);
    assert_eq!(world.wait(), [Action::Log(Note::Killed), Action::Kill(1)]);
    world.on(Event::Gone(1));
    assert_eq!(world.life.phase(), Phase::Waiting);
    let mut world = World::new(|_| {}).ready();
    world.on(Event::Stop { within: SECOND });
    world.wait();
    assert_eq!(world.on(exited), [Action::Kill(1)], "the time to stop is over");
}

#[test]
fn an_app_without_its_leader_is_not_ready_and_no_late_answer_changes_that() {
    let mut world = World::new(|_| {}).ready();
    assert!(world.on(Event::LeaderEnded(1)).is_empty());
    assert_eq!(world.life.phase(), Phase::Unready);
    assert!(world.on(Event::Ready(1, Answer::Yes)).is_empty());
    assert_eq!(world.life.phase(), Phase::Unready);
    world.exit(1);
    assert_eq!(world.life.phase(), Phase::Backoff);
}

#[test]
fn a_stop_gives_up_on_a_process_that_cannot_be_killed() {
    let mut world = World::new(|_| {}).ready();
    world.on(Event::Stop { within: SECOND });
    assert_eq!(world.life.due(), Some(world.now + SECOND));
    assert_eq!(world.wait(), [Action::Log(Note::Killed), Action::Kill(1)]);
    for _ in 0..MAX_CHECKS {
        assert_eq!(world.life.phase(), Phase::Stopping);
        world.wait();
    }
    assert_eq!(world.life.phase(), Phase::Stopped);
}

#[test]
fn the_last_command_counts_while_the_app_stops() {
    use Event::{Restart, Start};
    let stop = Event::Stop { within: 5 * SECOND };
    for (words, expected) in [
        (&[stop, Start][..], Phase::Waiting),
        (&[Restart, stop], Phase::Stopped),
        (&[Restart, Restart], Phase::Waiting),
        (&[stop, Restart, stop], Phase::Stopped),
    ] {
        let mut world = World::new(|_| {}).ready();
        for word in words {
            world.on(*word);
        }
        world.exit(0);
        assert_eq!(world.life.phase(), expected, "{words:?}");
    }
}

#[test]
fn an_event_about_an_earlier_incarnation_changes_nothing() {
    let mut world = World::new(|_| {}).ready();
    world.crash();
    for event in [
        Event::Exited { generation: 1, exit: Exit::Code(0), survivors: false },
        Event::Gone(1),
        Event::Ready(1, Answer::Yes),
        Event::Live(1, Answer::No),
        Event::Spawned(1),
        Event::NotSpawned(1, None),
    ] {
        assert!(world.on(event).is_empty(), "{event:?}");
        assert_eq!(world.life.phase(), Phase::Starting, "{event:?}");
    }
}

#[test]
fn an_address_elsewhere_is_probed_and_never_ended() {
    let mut world = World::new(|settings| settings.process = false).started();
    assert_eq!((world.life.phase(), world.life.due()), (Phase::Starting, None));
    world.on(Event::Ready(1, Answer::Yes));
    for _ in 0..9 {
        assert!(world.on(Event::Live(1, Answer::No)).is_empty());
    }
    assert!(!world.life.is_alive());
    assert_eq!(
        world.on(Event::Stop { within: SECOND }),
        [Action::StopProbes, Action::Log(Note::Stopped)]
    );
}

#[test]
fn an_unused_app_rests_until_it_is_needed_and_that_is_no_failure() {
    let mut world = World::new(|settings| settings.sleeps = true).ready();
    assert_eq!(world.on(Event::Sleep), [Action::StopProbes, Action::Terminate(1)]);
    assert_eq!(world.exit(1), [Action::Log(Note::Asleep)]);
    assert_eq!((world.life.phase(), world.life.due()), (Phase::Idle, None));
    assert!(world.on(Event::Sleep).is_empty());
    assert_eq!(world.on(Event::Wake(Need::Request)), [Action::Log(Note::Wakes(Need::Request))]);
    assert!(world.on(Event::Wake(Need::Request)).is_empty(), "it is told once");
    assert_eq!(world.on(Event::Proceed), [Action::Spawn(2)]);
    assert!(world.on(Event::Sleep).is_empty(), "an app that starts is not stopped");
    assert_eq!((world.life.restarts, world.life.generation), (0, 2));
}

#[test]
fn a_process_that_waits_sleeps_with_the_others_of_its_app() {
    for (sleeps, waits, wanted) in [
        (true, State::Waiting, Phase::Idle),
        (true, State::Backoff { until: Instant::now() + SECOND }, Phase::Idle),
        // What an operator has stopped, and what has failed, is not started by requests.
        (true, State::Rest(Phase::Stopped), Phase::Stopped),
        (true, State::Rest(Phase::Failed), Phase::Failed),
        (true, State::SettingUp, Phase::Setup),
        (false, State::Waiting, Phase::Waiting),
    ] {
        let mut world = World::new(|settings| settings.sleeps = sleeps);
        world.life.state = waits;
        world.on(Event::Sleep);
        assert_eq!((world.life.phase(), world.life.due()), (wanted, None), "{waits:?}");
        world.on(Event::Wake(Need::Request));
        let wanted = if wanted == Phase::Idle { Phase::Waiting } else { wanted };
        assert_eq!(world.life.phase(), wanted, "{waits:?}");
    }
}

#[test]
fn what_follows_a_rest_depends_on_what_comes_meanwhile() {
    use Event::{Restart, Sleep, Start};
    let (stop, wake) = (Event::Stop { within: SECOND }, Event::Wake(Need::Request));
    // Before the process has ended, and after that.
    for (before, after, expected) in [
        (&[Sleep][..], &[][..], Phase::Idle),
        (&[Sleep, wake], &[], Phase::Waiting),
        (&[Sleep, wake, stop], &[], Phase::Stopped),
        (&[Sleep, stop, wake], &[wake], Phase::Stopped),
        (&[Sleep], &[wake], Phase::Waiting),
        (&[Sleep], &[stop, wake], Phase::Stopped),
        (&[Sleep], &[Start], Phase::Waiting),
        (&[Sleep], &[Restart], Phase::Waiting),
        (&[stop], &[wake], Phase::Stopped),
        (&[Restart, Sleep], &[], Phase::Waiting),
        // A crash is a crash.
        (&[wake], &[wake], Phase::Backoff),
    ] {
        let mut world = World::new(|settings| settings.sleeps = true).ready();
        for event in before {
            world.on(*event);
        }
        world.exit(1);
        for event in after {
            world.on(*event);
        }
        assert_eq!(world.life.phase(), expected, "{before:?} {after:?}");
        assert!(world.life.restarts <= 1, "{before:?} {after:?}");
    }
    let mut world = World::new(|settings| {
        (settings.sleeps, settings.restart) = (true, crate::config::Restart::OnFailure);
    });
    world = world.ready();
    world.exit(0);
    assert_eq!(world.life.phase(), Phase::Idle, "it has ended by itself because nobody uses it");
}

#[test]
fn a_freeze_moves_the_timers() {
    let mut world = World::new(|_| {}).started();
    let due = world.life.due().unwrap();
    world.life.postpone(3 * SECOND);
    assert_eq!(world.life.due().unwrap(), due + 3 * SECOND);
}

/// What can happen to an app, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start,
    SetUp,
    SetUpEnds(bool),
    Proceed,
    Stop,
    Restart,
    Kill,
    SpawnFails,
    LeaderEnds(i32),
    GroupEnds,
    Ready(Answer),
    Live(Answer),
    TooMuchMemory,
    Sleep,
    Wake,
    Wait,
    Stale,
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![Just(Answer::Yes), Just(Answer::No), Just(Answer::Timeout)];
    prop_oneof![
        1 => Just(Step::Start),
        1 => Just(Step::SetUp),
        2 => any::<bool>().prop_map(Step::SetUpEnds),
        3 => Just(Step::Proceed),
        1 => Just(Step::Stop),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => Just(Step::SpawnFails),
        2 => (0..3).prop_map(Step::LeaderEnds),
        2 => Just(Step::GroupEnds),
        2 => answer.clone().prop_map(Step::Ready),
        1 => answer.prop_map(Step::Live),
        1 => Just(Step::TooMuchMemory),
        1 => Just(Step::Sleep),
        1 => Just(Step::Wake),
        3 => Just(Step::Wait),
        1 => Just(Step::Stale),
    ]
}

/// The processes that would exist.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fact")]
struct Processes {
    generation: Generation,
    leader: bool,
    members: bool,
    unkillable: bool,
    /// The next spawn fails.
    fails: bool,
    /// The first-time setup that is running.
    setup: Option<Generation>,
}

impl World {
    /// Carries out a step as the actor would, and checks the invariants.
    fn take(&mut self, step: Step, there: &mut Processes) {
        let generation = there.generation;
        let event = match step {
            Step::Start => Event::Start,
            Step::SetUp => Event::SetUp,
            Step::SetUpEnds(done) => {
                let Some(generation) = there.setup.take() else { return };
                Event::SetUpEnded(generation, done)
            }
            Step::Proceed => Event::Proceed,
            Step::Stop => Event::Stop { within: SECOND },
            Step::Restart => Event::Restart,
            Step::Kill => Event::Kill,
            Step::LeaderEnds(code) if there.leader => {
                there.leader = false;
                assert!(self.on(Event::LeaderEnded(generation)).is_empty());
                assert!(!self.life.phase().is_ready());
                let exit = Exit::Code(code);
                Event::Exited { generation, exit, survivors: there.members }
            }
            Step::GroupEnds if !there.leader && there.members => {
                there.members = false;
                Event::Gone(generation)
            }
            Step::Ready(answer) => Event::Ready(generation, answer),
            Step::Live(answer) => Event::Live(generation, answer),
            Step::TooMuchMemory => Event::TooMuchMemory(generation, EXCESS),
            Step::Sleep => Event::Sleep,
            Step::Wake => Event::Wake(Need::Request),
            Step::Wait => {
                self.now = self.life.due().unwrap_or(self.now + SECOND);
                Event::Tick
            }
            Step::Stale => Event::Gone(generation.saturating_sub(1)),
            Step::SpawnFails => {
                there.fails = true;
                return;
            }
            Step::LeaderEnds(_) | Step::GroupEnds => return,
        };
        for action in self.on(event) {
            self.check(action, there);
        }
        // A stop gave up on the process: the only case in which a process may remain.
        there.unkillable |= self.life.phase() == Phase::Stopped && (there.leader || there.members);
    }

    fn check(&mut self, action: Action, there: &mut Processes) {
        match action {
            Action::Spawn(generation) => {
                assert!(
                    !there.leader && !there.members || there.unkillable,
                    "two incarnations at once"
                );
                assert!(generation > there.generation);
                assert!(there.setup.is_none(), "a start beside the first-time setup");
                let up = !there.fails;
                *there = Processes { generation, leader: up, members: up, ..Processes::default() };
                let event = if up {
                    Event::Spawned(generation)
                } else {
                    Event::NotSpawned(generation, None)
                };
                for action in self.on(event) {
                    assert!(!matches!(action, Action::Spawn(_)), "a respawn without a pause");
                    self.check(action, there);
                }
            }
            Action::Terminate(of)
            | Action::TerminateDaemons(of)
            | Action::Kill(of)
            | Action::CheckGroup(of)
            | Action::StartReadyProbe(of)
            | Action::StartLiveProbe(of) => {
                assert_eq!(of, there.generation, "a signal to another incarnation");
            }
            Action::SetUp(generation) => {
                assert!(there.setup.is_none(), "two setups at once");
                assert!(
                    !there.leader && !there.members || there.unkillable,
                    "a setup beside the app"
                );
                there.setup = Some(generation);
            }
            Action::StopSetup => there.setup = None,
            Action::StopProbes | Action::FailCritical(_) | Action::Log(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens(
        steps in proptest::collection::vec(step(), 0..200),
        process in any::<bool>(),
        oneshot in any::<bool>(),
        probed in any::<bool>(),
        sleeps in any::<bool>(),
    ) {
        let change = |settings: &mut Settings| {
            (settings.process, settings.oneshot, settings.probed) = (process, oneshot, probed && !oneshot);
            settings.sleeps = sleeps && process && !oneshot;
        };
        let (mut world, mut there) = (World::new(change), Processes::default());
        for step in steps {
            if process || !matches!(step, Step::LeaderEnds(_) | Step::GroupEnds) {
                world.take(step, &mut there);
            }
            if !process {
                (there.leader, there.members) = (false, false);
            }
        }
        world.take(Step::Stop, &mut there);
        for step in [Step::Wait, Step::LeaderEnds(0), Step::GroupEnds, Step::SetUpEnds(false)] {
            world.take(step, &mut there);
        }
        prop_assert_eq!(world.life.phase(), Phase::Stopped);
    }
}
