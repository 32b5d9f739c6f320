//! Opens the log of an app for an operator, and says when the operator must not read it any longer.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::super::endpoints::EndpointRequest;
use super::super::operators::{Operators, admit};
use super::paths::{self, Place};
use super::serve::refusal;
use crate::auth::policy::Verdict;
use crate::auth::{Session, SessionState};
use crate::proxy::Proxy;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::right::Loss;

/// How many logs may be read at the same time. A reader that does not keep up costs 1 MiB.
pub(in crate::proxy) const MOST_READERS: usize = 32;
/// When a reader may ask again, seconds.
const TRY_AGAIN: u32 = 5;

/// A log that is being read.
pub(in crate::proxy) struct OpenLog {
    /// The lines, each as an object of the JSON log.
    pub lines: BoxStream<'static, String>,
    /// The right of the reader.
    pub right: LogRight,
    /// Its place among the readers.
    pub place: OwnedSemaphorePermit,
}

/// By what somebody may read the log of an app.
#[derive(Debug)]
pub(in crate::proxy) struct LogRight {
    session: Arc<Session>,
    app: String,
    /// The operators in force.
    operators: watch::Receiver<Arc<Operators>>,
}

/// Opens the log that the path names.
pub(in crate::proxy::own) fn open(
    proxy: &Proxy,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<OpenLog, Refusal> {
    let Some(Place::Log(app)) = paths::find(request.raw_path) else {
        return Err(Refusal::NotFound);
    };
    admit(proxy.console.operators.verdict_for(app, caller.person.as_deref()), caller, request)?;
    let console = proxy.console.room.as_deref().ok_or(Refusal::NotFound)?;
    let session = caller.session.clone().ok_or(Refusal::NotFound)?;
    let place = Arc::clone(&proxy.console.readers).try_acquire_owned();
    let place = place.map_err(|_| Refusal::TooManyRequests { seconds: TRY_AGAIN, login: false })?;
    let lines = console.log(app).map_err(|why| refusal(why, request.format))?;
    let operators = proxy.console.in_force.subscribe();
    let right = LogRight { session, app: app.to_owned(), operators };
    Ok(OpenLog { lines, right, place })
}

impl LogRight {
    /// Waits until the right is lost: the session ends, or the person is no operator of the app any more,
    /// also by a reload. Until then, the session is kept refreshed.
    pub(in crate::proxy) async fn lost(self) -> Loss {
        let Self { session, app, mut operators } = self;
        let (_kept_refreshed, mut states) = session.tunnel();
        loop {
            let person = match &*states.borrow_and_update() {
                SessionState::Live(person) if !session.is_over() => Arc::clone(person),
                _ => return Loss::Session,
            };
            let verdict = operators.borrow_and_update().verdict_for(&app, Some(&person));
            if verdict != Verdict::Allow {
                return Loss::Access;
            }
            let changed = tokio::select! {
                changed = states.changed() => changed,
                changed = operators.changed() => changed,
            };
            // The session owns one sender, the proxy the other, which ends with the process.
            if changed.is_err() {
                return Loss::Session;
            }
        }
    }
}

impl fmt::Debug for OpenLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenLog").field("right", &self.right).finish_non_exhaustive()
    }
}
