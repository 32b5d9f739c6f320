//! A deterministic simulation: the real supervisor, state machine, reaper and probes over a
//! simulated kernel, on a clock that jumps, under random schedules.
//!
//! A seed says everything that happens: what processes do, which commands and reloads come, and
//! when. `SIMULATION_SEED=n cargo test --lib simulation` runs one seed again.
//!
//! Apps crash, hang, outgrow their memory and ignore signals; some sleep when nobody uses them, and
//! requests wake them. Some have several processes, and some run or restart at the times of a clock
//! that is set now and then.
//!
//! The pipes are real. A fork elsewhere in the process would hold their ends for a moment, in which the
//! clock jumps, so the tests are alone.
//!
//! The usual test makes 400 000 steps, so that it stays a small part of all tests.
//! `SIMULATION_STEPS=1000000` goes on with the seeds that come after, and `SIMULATION_RUNS=n` runs
//! other seeds.

mod apps;
mod calls;
mod checks;
mod clock;
mod events;
mod habits;
mod kernel;
mod process;
mod rest;
mod state;
mod trace;
mod world;

use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use kernel::SimulatedKernel;
use process::Role;
use world::{Outcome, World};

use crate::one_process::blocking_alone;
use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::sample_apps::name;

/// Events and calls of the kernel that the usual test makes at least.
const STEPS: u64 = 400_000;

fn run(seed: u64, is_traced: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(World::live(seed, is_traced))
}

/// Every second seed until there are enough steps.
fn run_half(first: u64, enough: impl Fn(u64, u64) -> bool) -> (u64, u64) {
    let (mut steps, mut runs) = (0, 0);
    while !enough(steps, runs) {
        let seed = first + 2 * runs;
        let outcome = run(seed, false);
        if !outcome.is_right() {
            run(seed, true).check(seed);
            outcome.check(seed);
        }
        (steps, runs) = (steps + outcome.steps, runs + 1);
    }
    (steps, runs)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_contract_holds_under_random_schedules() {
    let _alone = blocking_alone();
    if let Some(seed) = number("SIMULATION_SEED") {
        let outcome = run(seed, true);
        eprintln!("{}", outcome.trace);
        return outcome.check(seed);
    }
    let wanted = number("SIMULATION_RUNS");
    let enough = number("SIMULATION_STEPS").unwrap_or(STEPS);
    let first = wanted.map_or(0, |_| u64::from(std::process::id()) << 24);
    let halves = [first, first + 1].map(|first| {
        std::thread::spawn(move || {
            run_half(first, |steps, runs| {
                wanted.map_or(steps >= enough / 2, |wanted| runs >= wanted / 2)
            })
        })
    });
    let done = halves.map(|half| half.join().unwrap_or_else(|panic| resume_unwind(panic)));
    let (steps, runs) = (done[0].0 + done[1].0, done[0].1 + done[1].1);
    eprintln!("{steps} steps in {runs} runs");
}

/// A daemon keeps the record of its group alive. The kernel may give the number of the group to
/// another one as soon as it has no members.
#[tokio::test(start_paused = true)]
async fn the_number_of_an_empty_group_is_not_signalled_again() {
    for (kin, group_gets_it) in [(Role::Daemon, false), (Role::Member, true)] {
        let kernel = Arc::new(SimulatedKernel::new(1, true));
        let reaper = Reaper::over(kernel.clone());
        let mark = crate::supervisor::process::kin::Mark::sample(name("a"));
        let process = reaper.spawn(Command::new("/app").args(["a", "1", "0"]), Some(mark)).unwrap();
        let leader = process.pid;
        kernel.state().begin(leader, kin);
        assert!(reaper.signal_group(leader, Signal::SIGCONT));
        kernel.state().end(leader);
        reaper.reap();
        let asks: [fn(&Reaper, Pid) -> bool; 2] = [
            |reaper, leader| reaper.signal_group(leader, Signal::SIGTERM),
            |reaper, leader| {
                reaper.kill(leader);
                reaper.signal_group(leader, Signal::SIGCONT)
            },
        ];
        for ask in asks {
            assert_eq!(ask(&reaper, leader), group_gets_it, "{kin:?}");
        }
        assert_eq!(kernel.state().violations, Vec::<String>::new(), "{kin:?}");
    }
}

#[test]
fn a_seed_says_everything_that_happens() {
    let _alone = blocking_alone();
    for seed in 0..8 {
        let [first, second] = [run(seed, false), run(seed, true)];
        assert_eq!((first.steps, first.digest), (second.steps, second.digest), "seed {seed}");
    }
}
