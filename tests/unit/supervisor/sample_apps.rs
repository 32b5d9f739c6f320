//! Sample apps for the tests of the supervisor.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::config::{
    After, App, AppName, Backoff, Folders, Limits, Probe, ProbeKind, Restart, Run, StopPlan,
    StopTarget, Until,
};

pub(super) fn name(text: &str) -> AppName {
    AppName::new(text).unwrap()
}

/// An app with short times and otherwise default settings.
pub(super) fn app(text: &str, command: &[&str]) -> App {
    App {
        name: name(text),
        run: Some(run(command)),
        route: None,
        replicas: 1,
        processes: Vec::new(),
        port: None,
        second_port: None,
        port_is_given: false,
        after: Vec::new(),
        ready: None,
        live: None,
        live_failures: 3,
        autostart: true,
        restart: Restart::Always,
        backoff: Backoff { min: Duration::from_millis(10), max: Duration::from_millis(20) },
        max_restarts: 10,
        window: Duration::from_mins(10),
        max_memory: None,
        success_exit_codes: vec![0],
        critical: false,
        oneshot: false,
        schedule: None,
        restart_at: None,
        idle_stop: None,
        keep_warm: None,
        stop: StopPlan {
            signal: Signal::SIGTERM,
            target: StopTarget::Group,
            timeout: Duration::from_secs(1),
        },
        title: None,
        icon: None,
        description: None,
        hidden: false,
        operators: None,
    }
}

pub(super) fn run(command: &[&str]) -> Run {
    Run {
        command: command.iter().map(ToString::to_string).collect(),
        cwd: PathBuf::from("/"),
        env: Vec::new(),
        pass_env: Vec::new(),
        env_file: None,
        user: None,
        group: None,
        own_user: None,
        folders: Folders::default(),
        home: None,
        token_url: None,
        umask: None,
        limits: Limits::default(),
        no_new_privs: false,
        setup: Vec::new(),
        needs: Vec::new(),
        log: true,
    }
}

/// An app that runs a shell script.
pub(super) fn shell(text: &str, script: &str) -> App {
    app(text, &["/bin/sh", "-c", script])
}

pub(super) fn after(mut app: App, need: &str, until: Until) -> App {
    app.after.extend(AppName::new(need).map(|app| After { app, until }));
    app
}

pub(super) fn probe(kind: ProbeKind) -> Probe {
    Probe {
        kind,
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(300),
        deadline: Duration::from_secs(5),
    }
}

pub(super) fn shell_command(script: &str) -> std::process::Command {
    let mut command = std::process::Command::new("/bin/sh");
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.args(["-c", script]);
    command
}
