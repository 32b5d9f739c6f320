//! Whose notifications count. A message on the socket of an app may come from any process of the
//! machine that shares its network: only one from root, from the only app of a user, or from a
//! process of this app counts.

use nix::unistd::Pid;

use crate::config::AppName;
use crate::supervisor::process::kin::{Descent, descent};
use crate::supervisor::process::reaper::Reaper;

/// The app that may say that it is ready.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    pub(crate) app: AppName,
    /// The user that the app runs as.
    pub(crate) uid: u32,
    /// The app's main process.
    pub(crate) leader: Pid,
    pub(crate) reaper: Reaper,
}

/// The process that has sent a message, as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) uid: u32,
    /// 0 for a process outside of the appliance's PID namespace.
    pub(crate) pid: i32,
}

impl Notifier {
    /// Whether a message of this sender counts.
    pub(crate) fn accepts(&self, sender: Sender) -> bool {
        if sender.uid != self.uid {
            return sender.uid == 0;
        }
        // A sender may have ended meanwhile, so that nothing but its user is known.
        if sender.pid <= 0 || self.reaper.runs_alone(&self.app, self.uid) {
            return true;
        }
        match descent(sender.pid) {
            Descent::Own { child } => self.owns(child, sender.pid),
            // It may have been a process of another app.
            Descent::Gone => false,
            Descent::Other => true,
        }
    }

    /// Whether a process is one of the app; `child` is the child of the appliance that it descends from.
    fn owns(&self, child: i32, pid: i32) -> bool {
        if let Some(app) = self.reaper.app_of(child) {
            return app == self.app;
        }
        // A process that has left its app, as a daemon does.
        self.reaper.glance().of_leader(self.leader.as_raw()).contains(&pid)
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{geteuid, getppid};

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::kin::Mark;
    use crate::supervisor::sample_apps::shell_command;

    #[tokio::test]
    async fn where_apps_share_a_user_only_processes_of_the_app_count() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let uid = geteuid().as_raw();
        let start = |app: &str| {
            let mut mark = Mark::sample(AppName::new(app).unwrap());
            mark.uid = uid;
            reaper.spawn(&mut shell_command("sleep 100 & wait"), Some(mark)).unwrap()
        };
        let app = AppName::new("a").unwrap();
        let one = start("a");
        let notifier = Notifier { app, uid, leader: one.pid, reaper: reaper.clone() };
        let accepts = |pid| notifier.accepts(Sender { uid, pid });
        assert!(accepts(i32::MAX), "no other app has the user");
        let other = start("b");
        assert!(accepts(one.pid.as_raw()));
        assert!(!accepts(other.pid.as_raw()), "another app");
        assert!(!accepts(i32::MAX), "it may have been a process of another app");
        assert!(accepts(getppid().as_raw()) && accepts(0), "no process of an app");
        for process in [one, other] {
            reaper.kill(process.pid);
        }
    }
}
