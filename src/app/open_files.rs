//! How the limit of open files is divided between client connections and everything else.

use std::io;

use nix::errno::Errno;
use tracing::{info, warn};

use super::refused::Refused;
use crate::config::Config;
use crate::proxy::MaxConnections;

/// Kept for the appliance itself: listeners and event queues of the worker threads, the log, the
/// control socket with its clients, calls to the issuer, connections that are being refused.
const OWN: u64 = 128;
/// Kept for one app: its output, a notification socket, probes, a restart.
const PER_APP: u64 = 8;
/// A client connection, and the connection to an app that serves its request. Idle connections to apps
/// get what is left of these.
const PER_CONNECTION: u64 = 2;
/// However low the limit is.
const LEAST: u64 = 8;
/// Fewer connections than this are worth a warning.
const FEW: usize = 1000;
const LOWERED: &str = "max_connections is lowered to what the limit of open files allows";

/// A start that has failed to open something.
pub(super) fn refused(error: &io::Error, config: &Config, open_files: u64) -> Refused {
    if error.raw_os_error() == Some(Errno::EMFILE as i32) {
        return Refused::configuration(too_few(open_files, processes(config)));
    }
    Refused::internal(error)
}

fn too_few(open_files: u64, apps: u64) -> String {
    let enough = reserve(apps).saturating_add(LEAST * PER_CONNECTION);
    format!(
        "the limit of open files is {open_files}, which is too low to start {apps} apps. Raise it to \
         at least {enough}: `ulimit -n {enough}` in the shell, `LimitNOFILE={enough}` in a unit of \
         systemd, or `--ulimit nofile={enough}` with Docker"
    )
}

/// `max_connections`, lowered to what the limit of open files allows.
pub(super) fn max_connections(config: &Config, open_files: u64) -> MaxConnections {
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let processes = processes(config);
    MaxConnections {
        clients: config.server.max_connections.min(size(allowed(open_files, processes))),
        descriptors: size(open_files.saturating_sub(reserve(processes))),
    }
}

/// Logs that fewer connections are admitted than the file says.
pub(super) fn log_lowered(config: &Config, open_files: u64) {
    let (wanted, max_connections) =
        (config.server.max_connections, max_connections(config, open_files).clients);
    if max_connections == wanted {
        return;
    }
    if max_connections < FEW {
        warn!(max_connections, wanted, open_files, "{LOWERED}");
    } else {
        info!(max_connections, wanted, open_files, "{LOWERED}");
    }
}

fn processes(config: &Config) -> u64 {
    u64::try_from(config.processes().count()).unwrap_or(u64::MAX)
}

fn allowed(open_files: u64, apps: u64) -> u64 {
    (open_files.saturating_sub(reserve(apps)) / PER_CONNECTION).max(LEAST)
}

fn reserve(apps: u64) -> u64 {
    OWN.saturating_add(apps.saturating_mul(PER_APP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_for_the_apps_says_which_is_enough() {
        let text = too_few(100, 101);
        for part in ["is 100,", "101 apps", "`ulimit -n 952`", "`LimitNOFILE=952`"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(allowed(952, 101), LEAST);
    }

    #[test]
    fn connections_leave_descriptors_for_everything_else() {
        for (open_files, apps, expected) in [
            (1 << 20, 3, 524_212),
            (20_152, 3, 10_000),
            (1024, 3, 436),
            (400, 2, 128),
            (100, 2, 8),
            (u64::MAX, u64::MAX, 8),
        ] {
            assert_eq!(allowed(open_files, apps), expected, "{open_files} {apps}");
        }
    }
}
