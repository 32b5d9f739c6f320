//! Sends a request again that met the end of the process that should have served it, or an address that
//! cannot be reached.

use std::rc::Rc;
use std::sync::Arc;

use super::context::{ConnectionContext, RequestContext};
use super::granted::Granted;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::places::Waiter;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::phases::route::several::choice::Guest;
use crate::proxy::phases::route::{hold, readiness};
use crate::proxy::upstream::forward::{self, AppResponse, Failure};
use crate::proxy::upstream::upload::Progress;

/// What a further attempt needs.
pub(super) struct Again<'a> {
    pub(super) context: &'a ConnectionContext,
    pub(super) granted: &'a Granted,
    pub(super) guest: &'a mut Guest,
    pub(super) progress: Option<Rc<Progress>>,
    /// The request may wait for an app that restarts.
    pub(super) may_wait: bool,
}

impl Again<'_> {
    /// Sends the request to the other places of the app at once, one after the other, or to the same one
    /// when it is ready again.
    pub(super) async fn send(
        mut self,
        request: &mut RequestContext,
        app: &mut Arc<RoutedApp>,
        mut failure: Failure,
    ) -> Result<AppResponse, Refusal> {
        let parent = Arc::clone(self.granted.right.app());
        let mut tried = Vec::new();
        loop {
            let Failure { refusal, request: Some(message), sent } = failure else {
                return Err(failure.refusal);
            };
            tried.push(Arc::clone(app));
            // What a process has read may be what ended it.
            let is_harmless = !sent || hold::is_commanded(app);
            let other = if is_harmless { self.other(request, &parent, &tried) } else { None };
            let is_last = other.is_none();
            *app = match other {
                Some(other) => other,
                None if matches!(refusal, Refusal::UpstreamTimeout { .. }) => return Err(refusal),
                None => self
                    .wait(request, app, &parent, sent)
                    .await
                    .map_err(|not_ready| not_ready.filter(|_| !sent).unwrap_or(refusal))?,
            };
            let pool = &self.context.worker.pool;
            let (right, progress) = (&self.granted.right, self.progress.as_deref());
            let sent = forward::forward(pool, app, *message, progress, right, !is_last).await;
            failure = match sent {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
        }
    }

    /// A place that has not been tried. A reload may give the app new ones meanwhile: no more are tried
    /// than it had.
    fn other(
        &mut self,
        request: &mut RequestContext,
        parent: &Arc<RoutedApp>,
        tried: &[Arc<RoutedApp>],
    ) -> Option<Arc<RoutedApp>> {
        let several = parent.several.as_ref()?;
        if tried.len() >= several.places.len() || !self.is_allowed() {
            return None;
        }
        let newest = self.granted.right.newest_app(parent)?;
        self.choose(request, &newest, tried).ok()
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
                self.choose(request, &app, &[]).map_err(Some)
            }
            newest => Err(newest.and_then(|app| readiness::check_app(&app).err())),
        }
    }

    fn choose(
        &mut self,
        request: &mut RequestContext,
        app: &Arc<RoutedApp>,
        tried: &[Arc<RoutedApp>],
    ) -> Result<Arc<RoutedApp>, Refusal> {
        let chosen = self.guest.choose(app, tried, &mut request.cookies)?;
        Ok(request.serve_at(chosen, Arc::clone(app)))
    }

    fn is_allowed(&self) -> bool {
        self.granted.is_current() && self.granted.right.holds()
    }
}
