//! No descriptors, no processes and threads.

use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;

use super::{apps, ends_well};
use crate::harness::processes::descendants;
use crate::harness::{Appliance, eventually};

/// A user without an entry in `/etc/passwd`.
const NUMBER: u32 = 54_321;

/// What the kernel gives a process no more of.
#[derive(Clone, Copy)]
enum Shortage {
    Descriptors,
    /// Threads as well.
    Processes,
}

impl Shortage {
    /// Sets the soft limit of a running process.
    fn limit(self, pid: i32, user: u32, value: u32) {
        let name = match self {
            Self::Descriptors => "nofile",
            Self::Processes => "nproc",
        };
        let (pid, user) = (pid.to_string(), user.to_string());
        // As the user of the appliance: root may lack the capability to change limits of others.
        let mut as_user = Command::new("setpriv");
        as_user.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        let set = as_user.args(["prlimit", "--pid", &pid, &format!("--{name}={value}:")]).status();
        assert!(set.unwrap().success(), "{name}={value}");
    }

    fn error(self) -> &'static str {
        match self {
            Self::Descriptors => "Too many open files",
            Self::Processes => "Resource temporarily unavailable",
        }
    }
}

/// Ends all apps during a shortage, and lets the shortage end when the log says that it keeps an app
/// from starting. All apps come back.
async fn comes_back(mut appliance: Appliance, user: u32, shortage: Shortage) {
    appliance.wait_for_state("x4", "ready").await;
    // Until all threads have ended that may end: each piece of work would need a new one.
    tokio::time::sleep(Duration::from_secs(11)).await;
    shortage.limit(appliance.pid(), user, 2);
    for app in descendants(appliance.pid()) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(app), nix::sys::signal::SIGKILL);
    }
    eventually("an app to be refused", async || {
        let log = appliance.log();
        let refused =
            |line: &str| line.contains("could not be started") && line.contains(shortage.error());
        log.lines().any(refused).then_some(())
    })
    .await;
    if matches!(shortage, Shortage::Processes) {
        for command in ["reload", "status", "healthcheck"] {
            let answer = appliance.cli(&[command]);
            assert!(answer.status.success(), "{command}: {answer:?}");
        }
    }
    shortage.limit(appliance.pid(), user, 256);
    for at in 0..5 {
        appliance.wait_for_state(&format!("x{at}"), "ready").await;
    }
    ends_well(&mut appliance).await;
}

fn sleepers() -> String {
    let rest = "command = [\"sleep\", \"1000\"]\nmax_restarts = 100000\n\
                backoff = { min = \"50ms\", max = \"100ms\" }";
    apps(5, rest)
}

#[tokio::test]
async fn apps_come_back_when_there_are_descriptors_again() {
    let user = geteuid().as_raw();
    comes_back(Appliance::start(&sleepers()), user, Shortage::Descriptors).await;
}

#[tokio::test]
async fn apps_come_back_when_there_are_processes_again() {
    if !geteuid().is_root() {
        return;
    }
    let appliance = Appliance::start_as(NUMBER, &sleepers());
    comes_back(appliance, NUMBER, Shortage::Processes).await;
}

#[tokio::test]
async fn a_limit_that_is_too_low_to_start_is_refused_with_the_one_that_is_enough() {
    let ports: Vec<_> = (0..60)
        .map(|at| {
            format!(
                "[apps.x{at}]\npath = \"/x{at}\"\naccess = \"public\"\n\
                 command = [\"sleep\", \"1000\", \"{{port}}\"]\n"
            )
        })
        .collect();
    let mut appliance = Appliance::start_with_open_files(40, &ports.concat());
    assert_eq!(appliance.end().await, 78, "{}", appliance.log());
    let log = appliance.log();
    let enough = 128 + 60 * 8 + 16;
    for part in ["the limit of open files is 40", "60 apps", &format!("`ulimit -n {enough}`")] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let mut appliance = Appliance::start_with_open_files(enough, &ports.concat());
    eventually(&format!("the start\n{}", appliance.log()), async || {
        appliance.log().contains("max_connections is lowered").then_some(())
    })
    .await;
    appliance.wait_for_state("x0", "starting").await;
    ends_well(&mut appliance).await;
}
