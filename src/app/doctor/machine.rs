//! Whether the machine has what the apps need: a folder for the state, disk and memory.

use std::fs;
use std::path::Path;

use nix::unistd::{AccessFlags, access, geteuid};
use rustix::fs::statvfs;

use super::finding::Finding;
use crate::config::Config;

/// Below this, the next installation of packages may fail, bytes.
const LITTLE_DISK: u64 = 1 << 30;
/// What the shipped stack takes in use, MB: docs/figures.md.
const OF_STACK: u64 = 520;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![state(&config.server.state_dir), disk(&config.server.state_dir)];
    if config.oidc.as_ref().is_some_and(|oidc| oidc.served_by.is_some()) {
        findings.push(memory());
    }
    findings
}

/// The nearest folder that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

fn state(state_dir: &Path) -> Finding {
    const QUESTION: &str = "state folder";
    let folder = existing(state_dir);
    let shown = state_dir.display();
    let uid = geteuid();
    if access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok() {
        let when = if folder == state_dir { "" } else { ", made at the first start" };
        return Finding::ok(QUESTION, format!("{shown}{when}"));
    }
    Finding::failed(
        QUESTION,
        format!("the user {uid} cannot write to {}", folder.display()),
        format!("run `chown -R {uid} {}`, or start as the user that owns it", folder.display()),
    )
}

fn disk(state_dir: &Path) -> Finding {
    const QUESTION: &str = "disk";
    let folder = existing(state_dir);
    let Ok(found) = statvfs(folder) else {
        return Finding::skipped(QUESTION, format!("{} does not say", folder.display()));
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} MB free for {}", free >> 20, state_dir.display());
    if free < LITTLE_DISK {
        Finding::warning(QUESTION, text, "make room: an environment of Python takes up to 1 GB")
    } else {
        Finding::ok(QUESTION, text)
    }
}

fn memory() -> Finding {
    const QUESTION: &str = "memory";
    let Some(megabytes) = available() else {
        return Finding::skipped(QUESTION, "the kernel does not say how much is available");
    };
    let text = format!("{megabytes} MB available; Keycloak and two small apps take {OF_STACK} MB");
    if megabytes < OF_STACK {
        let advice = "give the machine or the container 1 GB; Keycloak ends with code 137 if the memory is too small";
        Finding::warning(QUESTION, text, advice)
    } else {
        Finding::ok(QUESTION, text)
    }
}

/// What this process and its children can still use, MB: of the machine, and of its control group.
fn available() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.split_whitespace().next()?.parse::<u64>().ok()? >> 10;
    let number = |name: &str| {
        let text = fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let group = number("memory.max")
        .map(|most| most.saturating_sub(number("memory.current").unwrap_or(0)) >> 20);
    Some(group.map_or(machine, |group| group.min(machine)))
}
