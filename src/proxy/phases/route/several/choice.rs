//! Chooses the place of an app for a request.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, ORIGIN, REFERER};
use tokio::time::Instant;

use super::pass::Pass;
use super::seats::{Mask, is_in};
use super::spread;
use crate::auth::Session;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::readiness::not_ready;
use crate::proxy::phases::route::routed_app::{RoutedApp, Several, Spread, Sticky};

/// Who sends a request to an app.
#[derive(Debug)]
pub(crate) struct Guest {
    session: Option<Arc<Session>>,
    pass: Option<Pass>,
    /// The session has used the app before, or the page of a visitor was opened before: with what
    /// the table does not know, the app had one place then.
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
        let Some(Spread::Sticky(sticky)) = app.several.as_ref().map(|several| &several.spread)
        else {
            return Self { session: None, pass: None, returns: has_used };
        };
        let is_of_page = || headers.contains_key(REFERER) || headers.contains_key(ORIGIN);
        let returns = has_used || session.is_none() && !page && is_of_page();
        let pass = sticky.cookie.find(headers, &sticky.seats.stamp);
        Self { session: session.cloned(), pass, returns }
    }

    /// The place that serves the request; `None` if the app has only one. `tried`: places that have just
    /// turned out not to serve. A visitor who gets another pass gets it in `cookies`.
    ///
    /// # Errors
    ///
    /// No place can take the request.
    pub(crate) fn choose(
        &mut self,
        app: &Arc<RoutedApp>,
        tried: &[Arc<RoutedApp>],
        cookies: &mut Vec<HeaderValue>,
    ) -> Result<Option<Arc<RoutedApp>>, Refusal> {
        let Some(several) = &app.several else { return Ok(None) };
        let now = Instant::now();
        let ready = ready(several, tried);
        let mut open = working(several, ready, now);
        // Of an address whose pause is over, one request finds out whether it works again.
        while let Some((at, place)) = self.place(several, open, cookies) {
            if place.standing().is_none_or(|standing| standing.begin(now)) {
                return Ok(Some(Arc::clone(place)));
            }
            open &= !(1 << at);
        }
        match self.place(several, ready, cookies) {
            Some((_, place)) => Ok(Some(Arc::clone(place))),
            None => Err(not_ready(app, app.phase())),
        }
    }

    fn place<'a>(
        &mut self,
        several: &'a Several,
        open: Mask,
        cookies: &mut Vec<HeaderValue>,
    ) -> Option<(usize, &'a Arc<RoutedApp>)> {
        let at = match &several.spread {
            Spread::Least(turn) => spread::least(&several.places, open, turn),
            Spread::Sticky(sticky) => self.seat(sticky, open, cookies),
        };
        at.and_then(|at| Some((at, several.places.get(at)?)))
    }

    fn seat(
        &mut self,
        sticky: &Sticky,
        open: Mask,
        cookies: &mut Vec<HeaderValue>,
    ) -> Option<usize> {
        // The only place before a reload is the first one now.
        let first = (self.returns && sticky.seats.followed_one()).then_some(0);
        if let Some(session) = &self.session {
            let before = first.or(self.pass.map(|pass| pass.process));
            return sticky.seats.of_session(session, open, before);
        }
        let pass = sticky.seats.of_visitor(self.pass, open, first);
        if let Some(pass) = pass.filter(|pass| self.pass != Some(*pass)) {
            cookies.extend(sticky.cookie.set(pass, &sticky.seats.stamp));
            self.pass = Some(pass);
        }
        pass.map(|pass| pass.process)
    }
}

/// The places whose process is ready.
fn ready(several: &Several, tried: &[Arc<RoutedApp>]) -> Mask {
    let is_tried = |one: &Arc<RoutedApp>| tried.iter().any(|tried| Arc::ptr_eq(one, tried));
    mask(several, |_, one| one.phase().is_ready() && !is_tried(one))
}

/// Those of them that work, as far as is known.
fn working(several: &Several, ready: Mask, now: Instant) -> Mask {
    let is_open = |one: &RoutedApp| one.standing().is_none_or(|standing| standing.is_open(now));
    mask(several, |at, one| is_in(ready, at) && is_open(one))
}

fn mask(several: &Several, belongs: impl Fn(usize, &Arc<RoutedApp>) -> bool) -> Mask {
    let places = several.places.iter().enumerate().filter(|(at, one)| belongs(*at, one));
    places.fold(0, |mask, (at, _)| mask | 1 << at)
}
