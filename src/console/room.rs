//! Answers the front door.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tracing::info;

use super::shown::Shown;
use super::{app, list, log, twins};
use crate::config::{App, Phase};
use crate::control::Overview;
use crate::control::protocol::{AppState, Status};
use crate::proxy::{Console, Initiator, NoAnswer, Order, Scope, View};
use crate::supervisor::CommandError;

/// The console of a running appliance.
#[derive(Debug, Default)]
pub(crate) struct Room(OnceLock<Arc<Overview>>);

impl Room {
    /// Opens the console. Before, it answers nothing.
    pub(crate) fn open(&self, overview: Arc<Overview>) {
        let _ = self.0.set(overview);
    }

    fn overview(&self) -> Result<&Overview, NoAnswer> {
        let overview = self.0.get().map(|overview| &**overview);
        overview.ok_or(NoAnswer::Unavailable(Phase::Starting))
    }

    async fn list_for(&self, view: View<'_>) -> Result<String, NoAnswer> {
        let overview = self.overview()?;
        let status = within(overview.status().await, view.scope);
        let config = overview.config.borrow().clone();
        Ok(match view.frame {
            Some(frame) => list::page(frame, &config, &status, &view.refusals),
            None => twins::list(&status, &view.refusals),
        })
    }

    async fn app_for(&self, name: &str, view: View<'_>) -> Result<String, NoAnswer> {
        let overview = self.overview()?;
        let config = overview.config.borrow().clone();
        let app = config.app(name).ok_or(NoAnswer::Unknown)?;
        let mut status = within(overview.status().await, view.scope);
        status.apps.retain(|state| belongs_to(state, app));
        let lines = match view.frame {
            Some(_) => log::newest(&overview.log, name),
            None => Vec::new(),
        };
        let shown = Shown {
            config: &config,
            app,
            states: &status.apps,
            lines: &lines,
            refusals: &view.refusals,
        };
        Ok(match view.frame {
            Some(frame) => app::page(frame, &shown),
            None => twins::app(&shown),
        })
    }

    async fn carry_out(&self, app: &str, order: Order, by: Initiator<'_>) -> Result<(), NoAnswer> {
        let overview = self.overview()?;
        if overview.config.borrow().app(app).is_none_or(|app| app.run.is_none()) {
            return Err(NoAnswer::Unknown);
        }
        let Initiator { user, request_id } = by;
        info!(app, order = order.as_str(), user, request_id, "order of an operator");
        let supervisor = &overview.supervisor;
        let begun = match order {
            Order::Start => supervisor.start(app, false).await,
            Order::Stop => supervisor.stop(app, false).await,
            Order::Restart => supervisor.restart(app, false).await,
        };
        match begun {
            // An app without a process has nothing to stop: what was ordered is so.
            Ok(_) | Err(CommandError::NotRunning(_)) => Ok(()),
            Err(CommandError::Unknown(_)) => Err(NoAnswer::Unknown),
            Err(CommandError::Stopping) => Err(NoAnswer::Unavailable(Phase::Stopping)),
        }
    }
}

impl Console for Room {
    fn log(&self, app: &str) -> Result<BoxStream<'static, String>, NoAnswer> {
        let overview = self.overview()?;
        overview.config.borrow().app(app).ok_or(NoAnswer::Unknown)?;
        Ok(log::stream(&overview.log, app))
    }

    fn list<'a>(&'a self, view: View<'a>) -> BoxFuture<'a, Result<String, NoAnswer>> {
        self.list_for(view).boxed()
    }

    fn app<'a>(&'a self, name: &'a str, view: View<'a>) -> BoxFuture<'a, Result<String, NoAnswer>> {
        self.app_for(name, view).boxed()
    }

    fn order<'a>(
        &'a self,
        app: &'a str,
        order: Order,
        by: Initiator<'a>,
    ) -> BoxFuture<'a, Result<(), NoAnswer>> {
        self.carry_out(app, order, by).boxed()
    }
}

/// The part of the status that an operator may see. Only operators of all apps learn why the issuer does
/// not respond: the reason may name machines.
fn within(mut status: Status, scope: &Scope) -> Status {
    status.apps.retain(|app| scope.includes(&app.name));
    if let (Scope::Only(_), Some(issuer)) = (scope, &mut status.issuer) {
        issuer.reason = None;
    }
    status
}

fn belongs_to(state: &AppState, app: &App) -> bool {
    app.each_process().iter().any(|process| process.name.as_str() == state.name)
}
