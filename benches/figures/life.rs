//! Times of the supervisor: the replacement of a killed app, and the stop.

use std::time::{Duration, Instant};

use crate::harness::Appliance;
use crate::median;

/// Measures `kill -9` → start of the replacement, and TERM → exit, with one app.
pub async fn kill_and_stop() {
    let mut replaced = Vec::new();
    let mut ended = Vec::new();
    for _ in 0..5 {
        let mut appliance = Appliance::start(
            "[apps.one]\ncommand = [\"/bin/sh\", \"-c\", \"echo $$ >> {DIR}/pids; exec sleep 1000\"]\n\
             backoff = { min = \"0s\", max = \"0s\" }\n",
        );
        let pids = async |n: usize| loop {
            let text = std::fs::read_to_string(appliance.path("pids")).unwrap_or_default();
            let found: Vec<i32> = text.lines().filter_map(|pid| pid.parse().ok()).collect();
            if found.len() >= n {
                return found;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        let first = pids(1).await[0];
        tokio::time::sleep(Duration::from_millis(300)).await;
        let killed = Instant::now();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(first),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        pids(2).await;
        replaced.push(killed.elapsed().as_secs_f64() * 1000.0);
        let asked = Instant::now();
        appliance.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(appliance.end().await, 0);
        ended.push(asked.elapsed().as_secs_f64() * 1000.0);
    }
    println!(
        "| from `kill -9` to the replacement process (`backoff` 0) | {:.1} |",
        median(&replaced)
    );
    println!("| from TERM to exit, one app | {:.1} |", median(&ended));
}
