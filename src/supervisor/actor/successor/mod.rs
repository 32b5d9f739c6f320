//! Replaces the process of a changed app. Where the changed app has a setup that still has to run, and
//! nothing that runs can use what the setup makes, the setup runs first: the app serves meanwhile, and
//! goes on serving if the setup fails.

pub(super) mod preparation;

use std::time::Duration;

use tracing::error;

use super::incarnation::Subject;
use super::supervised::Supervised;
use super::supervisor::Supervisor;
use super::turn::Start;
use crate::config::{App, Phase};
use crate::supervisor::life::event::{Event, Generation};
use crate::supervisor::setup::has_setup;
use preparation::Preparation;

impl Supervised {
    /// Whether the setup of the changed app may run before the process is stopped. The setup itself looks
    /// whether it still has to run and can run beside the process.
    fn prepares(&self) -> bool {
        let serves = matches!(self.life.phase(), Phase::Ready | Phase::Unready);
        self.successor.as_ref().is_some_and(|successor| {
            serves && has_setup(successor) && is_reached_alike(&self.app, successor)
        })
    }
}

impl Supervisor {
    /// Replaces the process of an app that runs and has a successor.
    pub(super) fn replace(&mut self, index: usize) {
        let one = &mut self.apps[index];
        let successor = one.successor.clone().filter(|_| one.prepares());
        let Some(app) = successor else { return self.replace_process(index) };
        one.preparations += 1;
        let subject = Subject { app, ..one.subject(one.preparations) };
        let setup = self.launcher.set_up_apart(subject);
        one.preparation = Some(Preparation::Runs { number: one.preparations, _setup: setup });
        self.publish(index);
    }

    /// The setup of a changed app has ended while the app ran.
    pub(super) fn successor_set_up(&mut self, index: usize, number: Generation, done: bool) {
        let one = &mut self.apps[index];
        let is_newest =
            matches!(&one.preparation, Some(Preparation::Runs { number: of, .. }) if *of == number);
        if !is_newest {
            return;
        }
        one.preparation = (!done).then_some(Preparation::Failed);
        if !done {
            error!(app = %one.name(), "the app runs as before: correct its setup and reload, or restart the app to run the setup again");
            self.publish(index);
        } else if one.life.is_running() && self.stopping.is_none() {
            self.replace_process(index);
        }
    }

    /// Replaces the process as the kind of the app wants it.
    fn replace_process(&mut self, index: usize) {
        let one = &self.apps[index];
        let is_scheduled = one.latest().schedule.is_some();
        if is_scheduled && one.app.schedule.is_none() {
            // Another service becomes an app that waits for its time.
            self.apply(index, Event::Stop { within: Duration::MAX });
        } else if one.name().is_replica() {
            let id = one.id;
            self.roll_one(id, Start::InOrder);
        } else {
            self.apply(index, Event::Restart);
        }
    }
}

/// Whether a request that is sent as the changed app wants it is right for the running process, too.
fn is_reached_alike(before: &App, after: &App) -> bool {
    let reached = |app: &App| {
        app.route.as_ref().map(|route| {
            let (path, host) = (route.path.clone(), route.host.clone());
            let forms = (route.strip_prefix, route.raw_path, route.identity.clone());
            (path, host, forms, route.upstreams.clone())
        })
    };
    (before.port, reached(before)) == (after.port, reached(after))
}
