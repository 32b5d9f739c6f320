//! Sends a request a second time that met the end of the process that should have served it.

use std::rc::Rc;
use std::sync::Arc;

use super::context::{ConnectionContext, RequestContext};
use super::granted::Granted;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::places::Waiter;
use crate::proxy::phases::route::replicas::choice::Guest;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::phases::route::{hold, readiness};
use crate::proxy::upstream::forward::{self, AppResponse, Failure};
use crate::proxy::upstream::upload::Progress;

/// What a second attempt needs.
pub(super) struct Again<'a> {
    pub(super) context: &'a ConnectionContext,
    pub(super) granted: &'a Granted,
    pub(super) guest: &'a mut Guest,
    pub(super) progress: Option<Rc<Progress>>,
    /// The request may wait for an app that restarts.
    pub(super) may_wait: bool,
}

impl Again<'_> {
    /// Sends the request to another process of the app at once, or to the same one when it is ready
    /// again.
    pub(super) async fn send(
        mut self,
        request: &mut RequestContext,
        app: &mut Arc<RoutedApp>,
        failure: Failure,
    ) -> Result<AppResponse, Refusal> {
        let Failure { refusal, request: Some(message), sent } = failure else {
            return Err(failure.refusal);
        };
        let parent = Arc::clone(self.granted.right.app());
        // What a process has read may be what ended it.
        let is_harmless = !sent || hold::is_commanded(app);
        let avoid = Arc::clone(app);
        let other = if is_harmless && parent.replicas.is_some() && self.is_allowed() {
            let newest = self.granted.right.newest_app(&parent);
            newest.and_then(|app| self.choose(request, &app, Some(&avoid)).ok())
        } else {
            None
        };
        *app = match other {
            Some(other) => other,
            None => self
                .wait(request, app, &parent, sent)
                .await
                .map_err(|not_ready| not_ready.filter(|_| !sent).unwrap_or(refusal))?,
        };
        let pool = &self.context.worker.pool;
        let (right, progress) = (&self.granted.right, self.progress.as_deref());
        let sent = forward::forward(pool, app, *message, progress, right, false).await;
        sent.map_err(|failure| failure.refusal)
    }

    /// Waits for the process that should have served the request.
    async fn wait(
        &mut self,
        request: &mut RequestContext,
        app: &RoutedApp,
        parent: &Arc<RoutedApp>,
        sent: bool,
    ) -> Result<Arc<RoutedApp>, Option<Refusal>> {
        let holds = &self.context.worker.proxy.holds;
        let (address, signed_in) = (request.record.client_ip, self.granted.right.has_session());
        let waiter = Waiter { address, signed_in };
        let ready = if !self.may_wait {
            false
        } else if sent {
            hold::is_commanded(app) && hold::wait(app, holds, waiter).await
        } else {
            hold::wait_unnoticed(app, holds, waiter).await
        };
        let newest = self.granted.right.newest_app(parent);
        match newest {
            Some(app) if ready && self.is_allowed() => {
                self.choose(request, &app, None).map_err(Some)
            }
            newest => Err(newest.and_then(|app| readiness::check_app(&app).err())),
        }
    }

    fn choose(
        &mut self,
        request: &mut RequestContext,
        app: &Arc<RoutedApp>,
        avoid: Option<&Arc<RoutedApp>>,
    ) -> Result<Arc<RoutedApp>, Refusal> {
        let chosen = self.guest.choose(app, avoid, &mut request.cookies)?;
        Ok(chosen.unwrap_or_else(|| Arc::clone(app)))
    }

    fn is_allowed(&self) -> bool {
        self.granted.is_current() && self.granted.right.holds()
    }
}
