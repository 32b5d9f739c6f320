//! Chooses the process of an app for a request.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, ORIGIN, REFERER};

use super::pass::Pass;
use super::seats::Mask;
use crate::auth::Session;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::readiness::not_ready;
use crate::proxy::phases::route::routed_app::{Replicas, RoutedApp};

/// Who sends a request to an app.
#[derive(Debug)]
pub(crate) struct Guest {
    session: Option<Arc<Session>>,
    pass: Option<Pass>,
    /// The session has used the app before, or the page of a visitor was opened before: with what
    /// the table does not know, the app had one process then.
    returns: bool,
}

impl Guest {
    /// Must be called before the cookies of the appliance are removed from the request. `page`: the
    /// request is for a page.
    pub(crate) fn new(
        app: &RoutedApp,
        session: Option<&Arc<Session>>,
        headers: &HeaderMap,
        page: bool,
    ) -> Self {
        // Noted for every app: one with a single process can get more of them.
        let has_used = session.is_some_and(|session| session.visit(app.mark));
        let Some(replicas) = &app.replicas else {
            return Self { session: None, pass: None, returns: has_used };
        };
        let is_of_page = || headers.contains_key(REFERER) || headers.contains_key(ORIGIN);
        let returns = has_used || session.is_none() && !page && is_of_page();
        let pass = replicas.cookie.find(headers, &replicas.seats.stamp);
        Self { session: session.cloned(), pass, returns }
    }

    /// The process that serves the request; `None` if the app has only one. `avoid`: a process that
    /// has just turned out not to serve. A visitor who gets another pass gets it in `cookies`.
    ///
    /// # Errors
    ///
    /// No process is ready.
    pub(crate) fn choose(
        &mut self,
        app: &Arc<RoutedApp>,
        avoid: Option<&Arc<RoutedApp>>,
        cookies: &mut Vec<HeaderValue>,
    ) -> Result<Option<Arc<RoutedApp>>, Refusal> {
        let Some(replicas) = &app.replicas else { return Ok(None) };
        let ready = ready(replicas, avoid);
        // The only process before a reload is the first one now.
        let first = (self.returns && replicas.seats.followed_one()).then_some(0);
        let chosen = if let Some(session) = &self.session {
            let before = first.or(self.pass.map(|pass| pass.process));
            replicas.seats.of_session(session, ready, before)
        } else {
            let pass = replicas.seats.of_visitor(self.pass, ready, first);
            if let Some(pass) = pass.filter(|pass| self.pass != Some(*pass)) {
                cookies.extend(replicas.cookie.set(pass, &replicas.seats.stamp));
                self.pass = Some(pass);
            }
            pass.map(|pass| pass.process)
        };
        match chosen.and_then(|at| replicas.processes.get(at)) {
            Some(process) => Ok(Some(Arc::clone(process))),
            None => Err(not_ready(app, app.phase())),
        }
    }
}

/// The processes that can take a request.
fn ready(replicas: &Replicas, avoid: Option<&Arc<RoutedApp>>) -> Mask {
    let is_avoided = |one: &Arc<RoutedApp>| avoid.is_some_and(|avoid| Arc::ptr_eq(one, avoid));
    let processes = replicas.processes.iter().enumerate();
    let ready = processes.filter(|(_, one)| one.phase().is_ready() && !is_avoided(one));
    ready.fold(0, |mask, (at, _)| mask | 1 << at)
}
