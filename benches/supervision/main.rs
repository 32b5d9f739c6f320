//! Measures the supervisor and its peer supervisord in the same run:
//! `cargo bench --bench supervision`.
//!
//! All times are measured from outside: by the processes that the kernel lists, by the end of a
//! process, and by the end of a command. So they include the start of that command.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    unreachable_pub,
    dead_code,
    reason = "a benchmark starts processes, prints, and ends at the first error"
)]

mod contestant;
#[path = "../../tests/it/harness.rs"]
mod harness;
mod kernel;
mod ours;
#[path = "../figures/peers.rs"]
mod peers;
mod requests;
mod stops;
mod supervisord;

use std::time::{Duration, Instant};

use contestant::Contestant;
use nix::sys::signal::Signal;
use supervisord::Supervisord;

use harness::Appliance;
use harness::processes::wake_ups;

/// Of most figures.
const RUNS: usize = 20;
/// In the configuration that is reloaded.
const APPS: usize = 50;
/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() {
    supervisord::install();
    println!("# Supervision\n\nMedian and worst of {RUNS}, ms.\n");
    println!("| | goal | appliance | worst | supervisord | worst |\n|---|---|---|---|---|---|");
    compare("exec → first process", "25", first_process::<Appliance>, first_process::<Supervisord>);
    let rows = reload::<Appliance>().into_iter().zip(reload::<Supervisord>());
    let names =
        ["reload with one changed app of 50 → the command ends", "… → its new process runs"];
    for (name, (ours, theirs)) in names.into_iter().zip(rows) {
        row(name, "50", &ours, &theirs);
    }
    compare("`kill -9` → replacement", "–", replacement::<Appliance>, replacement::<Supervisord>);
    compare("TERM → exit, 10 apps", "100", stop::<Appliance>, stop::<Supervisord>);
    row("an app is ready → its dependent runs", "20", &ours::dependent().await, &[]);
    row("`kill -9` → `status` shows it", "100", &ours::status().await, &[]);
    println!("\n| | goal | appliance | supervisord |\n|---|---|---|---|");
    println!(
        "| wake-ups a second, 10 apps | 0 | {:.2} | {:.2} |",
        idle::<Appliance>(),
        idle::<Supervisord>()
    );
    requests::during_reloads().await;
    stops::within_the_budget().await;
}

fn compare(name: &str, goal: &str, ours: impl Fn() -> Vec<f64>, theirs: impl Fn() -> Vec<f64>) {
    row(name, goal, &ours(), &theirs());
}

fn row(name: &str, goal: &str, ours: &[f64], theirs: &[f64]) {
    let figures = |ms: &[f64]| {
        let mut sorted = ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(worst) = sorted.last() else { return "– | –".to_owned() };
        format!("{:.1} | {worst:.1}", sorted[sorted.len() / 2])
    };
    println!("| {name} | {goal} | {} | {} |", figures(ours), figures(theirs));
}

/// Milliseconds since a moment.
pub fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn repeat(run: impl Fn() -> f64) -> Vec<f64> {
    (0..RUNS).map(|_| run()).collect()
}

fn first_process<C: Contestant>() -> Vec<f64> {
    repeat(|| {
        let began = Instant::now();
        let one = C::start(1);
        kernel::until_children(one.pid(), 1);
        ms(began)
    })
}

/// Until the command ends, and until the new process of the changed app runs.
fn reload<C: Contestant>() -> [Vec<f64>; 2] {
    let one = C::start(APPS);
    kernel::until_children(one.pid(), APPS);
    std::thread::sleep(Duration::from_secs(2));
    let mut times = [Vec::new(), Vec::new()];
    for number in 1..=RUNS {
        let before = kernel::children(one.pid());
        one.write(APPS, number);
        let began = Instant::now();
        let mut reload = one.reload();
        let pid = one.pid();
        let replaced = std::thread::spawn(move || {
            while kernel::children(pid).iter().all(|pid| before.contains(pid)) {
                std::thread::sleep(Duration::from_micros(100));
            }
            ms(began)
        });
        assert!(reload.wait().unwrap().success());
        times[0].push(ms(began));
        times[1].push(replaced.join().unwrap());
        kernel::until_children(pid, APPS);
    }
    times
}

fn replacement<C: Contestant>() -> Vec<f64> {
    let one = C::start(1);
    kernel::until_children(one.pid(), 1);
    repeat(|| {
        std::thread::sleep(Duration::from_millis(500));
        let before = kernel::children(one.pid());
        let began = Instant::now();
        kernel::signal(before[0], Signal::SIGKILL);
        while !kernel::children(one.pid()).iter().any(|pid| !before.contains(pid)) {
            std::thread::sleep(Duration::from_micros(100));
        }
        ms(began)
    })
}

fn stop<C: Contestant>() -> Vec<f64> {
    repeat(|| {
        let one = C::start(10);
        kernel::until_children(one.pid(), 10);
        std::thread::sleep(Duration::from_millis(700));
        let began = Instant::now();
        kernel::signal(one.pid(), Signal::SIGTERM);
        kernel::until_end(one.pid());
        ms(began)
    })
}

fn idle<C: Contestant>() -> f64 {
    let one = C::start(10);
    kernel::until_children(one.pid(), 10);
    std::thread::sleep(Duration::from_secs(12));
    let before = wake_ups(one.pid());
    std::thread::sleep(IDLE);
    (wake_ups(one.pid()) - before) as f64 / IDLE.as_secs_f64()
}
