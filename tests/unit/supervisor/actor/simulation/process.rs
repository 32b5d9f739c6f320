//! A process of the simulated kernel.

use std::io::PipeWriter;

use crate::supervisor::exit::Exit;

/// What a process is for its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    /// In the leader's process group.
    Member,
    /// Outside of it.
    Daemon,
    Probe,
    Setup,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// 0 for the appliance.
    pub(super) parent: i32,
    pub(super) group: i32,
    /// The leader that it descends from.
    pub(super) incarnation: i32,
    pub(super) app: String,
    pub(super) role: Role,
    pub(super) version: u64,
    /// It ends by itself when everything works.
    pub(super) is_job: bool,
    pub(super) ended: Option<Exit>,
    /// By SIGSTOP, and whether TERM waits for its continuation.
    pub(super) suspended: bool,
    pub(super) asked: bool,
    pub(super) health: Health,
    pub(super) creates: Option<String>,
    pub(super) outputs: Vec<PipeWriter>,
}

/// What a probe finds.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) is_ready: bool,
    pub(super) hangs: bool,
}

impl Process {
    /// Runs on its own, as the leader of its group and as a child of the appliance.
    pub(super) fn new(
        pid: i32,
        app: &str,
        role: Role,
        version: u64,
        outputs: Vec<PipeWriter>,
    ) -> Self {
        Self {
            pid,
            parent: 0,
            group: pid,
            incarnation: pid,
            app: app.to_owned(),
            role,
            version,
            is_job: false,
            ended: None,
            suspended: false,
            asked: false,
            health: Health::default(),
            creates: None,
            outputs,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// A process of an incarnation of its app.
    pub(super) fn is_of_app(&self) -> bool {
        matches!(self.role, Role::Leader | Role::Member | Role::Daemon)
    }
}

/// What a process will do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Exit(Exit),
    Fork(Role),
    Report,
    BecomeReady,
    Hang(bool),
}
