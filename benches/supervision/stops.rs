//! A thousand stops of apps that do not want to end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::Appliance;
use crate::{kernel, ms};

const STOPS: u32 = 1000;
const BUDGET: Duration = Duration::from_millis(500);
const OVER: Duration = Duration::from_millis(500);
/// At the same time.
const LANES: u32 = 4;

const APPS: &str = r#"
[apps.prompt]
command = ["sleep", "1000"]
[apps.late]
command = ["sh", "-c", "trap 'sleep 0.1; exit 0' TERM; sleep 1000 & wait"]
[apps.deaf]
command = ["sh", "-c", "trap '' TERM; sleep 1000 & setsid sleep 1000 & wait; wait"]
stop_timeout = "1m"
[apps.hangs]
command = ["sh", "-c", "kill -STOP $$; exec sleep 1000"]
stop_timeout = "1m"
after = ["deaf"]
"#;

pub async fn within_the_budget() {
    let lanes: Vec<_> = (0..LANES)
        .map(|_| tokio::task::spawn_blocking(|| (0..STOPS / LANES).map(stop).collect::<Vec<_>>()))
        .collect();
    let mut times = Vec::new();
    for lane in lanes {
        times.extend(lane.await.unwrap());
    }
    let limit = (BUDGET + OVER).as_secs_f64() * 1000.0;
    let over = times.iter().filter(|ms| **ms > limit).count();
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!(
        "| of {STOPS} stops within {} ms, those over {limit} ms (the longest: {worst:.0} ms) | 0 | {over} | |",
        BUDGET.as_millis()
    );
}

fn stop(round: u32) -> f64 {
    let head = format!("shutdown_timeout = \"{}ms\"\n", BUDGET.as_millis());
    let appliance = Appliance::start(&(head + APPS));
    kernel::until_children(appliance.pid(), 4);
    // At another moment of the start each time.
    std::thread::sleep(Duration::from_millis(u64::from(round % 20) * 5));
    let began = Instant::now();
    appliance.signal(Signal::SIGTERM);
    kernel::until_end(appliance.pid());
    ms(began)
}
