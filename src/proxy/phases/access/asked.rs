//! What a request has asked for, so that it can be judged again: a reload may change the rules, or give
//! the path to another app, while the request waits or its transfer lasts.

use std::sync::Arc;

use http::{HeaderValue, Method};

use super::page_origin::HandshakePage;
use crate::proxy::phases::admit::host::parse_host;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::route::in_force::RoutesInForce;
use crate::proxy::phases::route::raw_path;
use crate::proxy::phases::route::requirements::{Act, Requirements};
use crate::proxy::phases::route::routes::Routes;
use crate::proxy::phases::route::second_path::{Naming, SecondPaths};

/// What a request has asked for, and the routes by which it was judged.
#[derive(Debug)]
pub(crate) struct Asked {
    pub method: Method,
    /// The effective `Host` header.
    pub host: Option<HeaderValue>,
    pub path: AdmittedPath,
    pub second: SecondPaths,
    pub judged_by: Arc<Routes>,
    pub in_force: Arc<RoutesInForce>,
    /// Of a WebSocket handshake.
    pub page: Option<Box<HandshakePage>>,
}

impl Asked {
    /// Whether a reload has changed the routes since the request was judged. Cheap.
    pub(crate) fn is_stale(&self) -> bool {
        !self.in_force.are(&self.judged_by)
    }

    /// What the routes in force require; `None` if they do not lead to an app.
    pub(crate) fn judge(&self) -> Option<Requirements> {
        self.judge_by(&self.in_force.newest())
    }

    /// What the routes in force require, if they lead to the same app, and the app takes requests as
    /// before.
    pub(crate) fn judged_like(&self, before: &Requirements) -> Option<Requirements> {
        self.judge().filter(|again| again.app().takes_requests_like(before.app()))
    }

    fn judge_by(&self, routes: &Routes) -> Option<Requirements> {
        let host = self.host.as_ref().and_then(|host| parse_host(host.to_str().ok()?))?;
        let found = routes.find(host, self.path.decoded())?;
        raw_path::check(Some(found), &self.path).ok()?;
        let act = Act { method: &self.method, websocket: self.page.is_some() };
        let requirements = Requirements::new(found, act, &self.path)?;
        let naming = Naming { host, method: &self.method, path: &self.path };
        let requirements = self.second.require(routes, naming, requirements).ok()?;
        let page = self.page.as_ref();
        page.is_none_or(|page| page.is_accepted_by(requirements.app())).then_some(requirements)
    }

    /// Waits until other routes are in force than `last`, then returns them with what they require.
    pub(super) async fn judged_after(
        &self,
        last: &Arc<Routes>,
    ) -> (Arc<Routes>, Option<Requirements>) {
        self.in_force.replaced(last).await;
        let newest = self.in_force.newest();
        let requirements = self.judge_by(&newest);
        (newest, requirements)
    }
}
