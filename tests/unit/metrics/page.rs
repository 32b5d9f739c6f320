//! The page of the metrics.

use std::time::{Duration, SystemTime};

use super::*;
use crate::auth::AuthFigures;
use crate::config::Phase;
use crate::metrics::figures::{LastReload, ProcessFigures};

fn figures() -> Figures {
    let traffic = TrafficFigures {
        codes: vec![(200, 3), (404, 1), (0, 2)],
        in_flight: 1,
        tunnels: 2,
        durations: vec![(0.1, 3), (1.0, 0), (f64::INFINITY, 1)],
        seconds: 2.5,
        people: 6,
    };
    Figures {
        process: ProcessFigures { cpu_seconds: 1.5, open_files: 12, ..ProcessFigures::default() },
        traffic: vec![("appliance".into(), traffic.clone()), ("app1".into(), traffic)],
        auth: Some(AuthFigures {
            sessions: 4,
            active_people: 3,
            logins: vec![("success", 5), ("failure", 1)],
            refreshes: vec![("success", 6), ("failure", 0), ("ended", 0)],
        }),
        issuer_up: Some(true),
        apps: vec![
            AppFigures {
                name: "app1".into(),
                phase: Phase::Ready,
                restarts: 2,
                start: Some(Duration::from_millis(1_250)),
                memory: Some(1 << 20),
                cpu: Some(Duration::from_secs(7)),
            },
            AppFigures {
                name: "app2".into(),
                phase: Phase::Failed,
                restarts: 0,
                start: None,
                memory: None,
                cpu: None,
            },
        ],
        log_bytes: vec![("app1".into(), 99)],
        certificates: vec![(
            "apps.example".into(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        )],
        last_reload: LastReload {
            successful: false,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        },
    }
}

#[test]
fn names_and_labels_are_those_of_the_contract() {
    let text = page(figures()).unwrap();
    for line in [
        concat!("appliance_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "process_cpu_seconds_total 1.5",
        "process_open_fds 12",
        "appliance_requests_total{app=\"app1\",code=\"200\"} 3",
        "appliance_requests_total{app=\"appliance\",code=\"404\"} 1",
        "appliance_requests_total{app=\"app1\",code=\"other\"} 2",
        "appliance_requests_in_flight{app=\"app1\"} 1",
        "appliance_request_duration_seconds_bucket{le=\"0.1\",app=\"app1\"} 3",
        "appliance_request_duration_seconds_bucket{le=\"+Inf\",app=\"app1\"} 4",
        "appliance_request_duration_seconds_sum{app=\"app1\"} 2.5",
        "appliance_request_duration_seconds_count{app=\"app1\"} 4",
        "appliance_tunnels{app=\"app1\"} 2",
        "appliance_app_users{app=\"app1\"} 6",
        "appliance_sessions 4",
        "appliance_users_active 3",
        "appliance_logins_total{result=\"failure\"} 1",
        "appliance_refreshes_total{result=\"success\"} 6",
        "appliance_app_state{app=\"app1\",state=\"ready\"} 1",
        "appliance_app_state{app=\"app2\",state=\"ready\"} 0",
        "appliance_app_state{app=\"app2\",state=\"failed\"} 1",
        "appliance_app_restarts_total{app=\"app1\"} 2",
        "appliance_log_bytes_total{app=\"app1\"} 99",
        "appliance_app_start_seconds{app=\"app1\"} 1.25",
        "appliance_app_memory_bytes{app=\"app1\"} 1048576",
        "appliance_app_cpu_seconds_total{app=\"app1\"} 7",
        "appliance_certificate_expiry_seconds{host=\"apps.example\"} 9",
        "appliance_issuer_up 1",
        "appliance_config_last_reload_successful 0",
        "appliance_config_last_reload_timestamp_seconds 1000",
    ] {
        assert!(text.lines().any(|found| same(found, line)), "{line}\n{text}");
    }
    for absent in [
        "appliance_requests_in_flight{app=\"appliance\"}",
        "appliance_app_users{app=\"appliance\"}",
        "memory_bytes{app=\"app2\"}",
    ] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

/// Whether two lines say the same: the order of labels does not count, and neither does the way that
/// a number is written.
fn same(one: &str, other: &str) -> bool {
    let parts = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let mut labels: Vec<_> =
            labels.trim_end_matches('}').split(',').map(str::to_owned).collect();
        labels.sort();
        Some((name.to_owned(), labels, value.parse::<f64>().ok()?.to_bits()))
    };
    parts(one).is_some() && parts(one) == parts(other)
}

#[test]
fn every_phase_has_its_state() {
    let phases = [
        Phase::Waiting,
        Phase::Setup,
        Phase::Starting,
        Phase::Ready,
        Phase::Unready,
        Phase::Stopping,
        Phase::Stopped,
        Phase::Finished,
        Phase::Backoff,
        Phase::Failed,
    ];
    for phase in phases {
        assert!(STATES.contains(&phase.as_str()), "{phase:?}");
    }
}

#[test]
fn each_phase_is_one_of_the_states() {
    let phases = [
        (Phase::Waiting, "waiting"),
        (Phase::Setup, "setup"),
        (Phase::Starting, "starting"),
        (Phase::Ready, "ready"),
        (Phase::Unready, "unready"),
        (Phase::Stopping, "stopping"),
        (Phase::Stopped, "stopped"),
        (Phase::Idle, "idle"),
        (Phase::Finished, "finished"),
        (Phase::Backoff, "backoff"),
        (Phase::Failed, "failed"),
    ];
    for (phase, state) in phases {
        assert_eq!(state_of(phase), state);
        assert!(STATES.contains(&state), "{state}");
    }
    assert_eq!(phases.len(), STATES.len());
}
