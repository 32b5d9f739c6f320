//! Processes that end with their test, and what this machine can make of them.

use std::process::{Child, Command};

#[path = "not_run.rs"]
mod not_run;

pub(crate) use not_run::not_run;

/// A child that ends with the test, also with a failed one.
pub struct OwnChild(pub Child);

impl OwnChild {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        end_tree(&mut self.0);
    }
}

/// Ends a child and all its descendants.
pub fn end_tree(child: &mut Child) {
    let pid = child.id().cast_signed();
    let descendants =
        if matches!(child.try_wait(), Ok(None)) { descendants(pid) } else { Vec::new() };
    let _ = child.kill();
    let _ = child.wait();
    for pid in descendants {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
    }
}

/// How often all threads of a process have gone to sleep.
pub fn wake_ups(pid: i32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of = |task: std::fs::DirEntry| -> Option<u64> {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    tasks.filter_map(of).sum()
}

pub fn descendants(of: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, parent))
        })
        .collect();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

/// Whether this machine refuses PID namespaces. Then the test does not run, and says so; with
/// `TESTS_REQUIRE_ALL=1` it fails.
pub fn no_pid_namespace(test: &str) -> bool {
    let tried = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "true"])
        .output();
    let why = match tried {
        Ok(output) if output.status.success() => return false,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    not_run(
        test,
        &format!("no PID namespace can be made: {why}; needs root, in a container CAP_SYS_ADMIN"),
    );
    true
}

/// Whether this machine has no IPv6 loopback address, as containers of Docker. See
/// [`no_pid_namespace`].
pub fn no_ipv6(test: &str) -> bool {
    let is_missing = std::net::TcpListener::bind("[::1]:0").is_err();
    if is_missing {
        not_run(test, "this machine has no address ::1");
    }
    is_missing
}
