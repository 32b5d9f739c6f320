//! A read-only disk, no `/proc`, no entry of the user. Needs root.

use std::fs;
use std::process::Command;

use super::STEADY;
use crate::harness::processes::no_pid_namespace;
use crate::harness::{Appliance, eventually};

/// Starts the appliance as PID 1 after a script has changed its mounts. `{DIR}` is its folder.
fn with_mounts(script: &str, config: &str) -> Appliance {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "/bin/sh", "-ec"]);
    unshare.arg(format!("{script}; exec \"$0\" \"$@\""));
    Appliance::start_through(unshare, config)
}

/// An app that ends by itself after a moment is replaced, and everything ends within the namespace.
async fn supervises(mut appliance: Appliance) {
    let crashes = async || (appliance.log().matches("app exited").count() > 2).then_some(());
    eventually("restarts", crashes).await;
    appliance.wait_for_state("steady", "ready").await;
    let children = format!("/proc/{0}/task/{0}/children", appliance.pid());
    let init = fs::read_to_string(children).unwrap().split_whitespace().next().unwrap().parse();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(init.unwrap()), nix::sys::signal::SIGTERM)
        .unwrap();
    assert_eq!(appliance.end().await, 0, "{}", appliance.log());
    assert!(!appliance.log().contains("panicked"), "{}", appliance.log());
}

const CRASHES: &str = "[apps.crash]\ncommand = [\"sh\", \"-c\", \"setsid sleep 1000 & sleep 0.1; exit 1\"]\n\
    backoff = { min = \"10ms\" }\nmax_restarts = 100000\nstop_timeout = \"100ms\"\n";

#[tokio::test]
async fn a_read_only_root_is_enough_beside_the_state() {
    if no_pid_namespace("faults::machine::a_read_only_root_is_enough_beside_the_state") {
        return;
    }
    let read_only = "mount --bind \"$PWD\" \"$PWD\"; mount -o remount,bind,ro /; ! touch /etc/x 2>/dev/null; cd \"$PWD\"";
    supervises(with_mounts(read_only, &(CRASHES.to_owned() + STEADY))).await;
}

#[tokio::test]
async fn a_read_only_state_is_refused_in_words() {
    if no_pid_namespace("faults::machine::a_read_only_state_is_refused_in_words") {
        return;
    }
    let read_only =
        "mount --bind \"$PWD\" \"$PWD\"; mount -o remount,bind,ro \"$PWD\"; cd \"$PWD\"";
    let mut appliance = with_mounts(read_only, STEADY);
    assert_ne!(appliance.end().await, 0);
    let log = appliance.log();
    assert!(log.contains("Read-only file system") && !log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn without_proc_apps_are_supervised() {
    if no_pid_namespace("faults::machine::without_proc_apps_are_supervised") {
        return;
    }
    let no_proc = "mount -t tmpfs none /proc";
    supervises(with_mounts(no_proc, &(CRASHES.to_owned() + STEADY))).await;
}

#[tokio::test]
async fn without_a_passwd_file_apps_are_supervised() {
    if no_pid_namespace("faults::machine::without_a_passwd_file_apps_are_supervised") {
        return;
    }
    let no_entry = "mount --bind /dev/null /etc/passwd; mount --bind /dev/null /etc/group";
    supervises(with_mounts(no_entry, &(CRASHES.to_owned() + STEADY))).await;
}
