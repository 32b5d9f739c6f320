//! `/_appliance/session` and `/_appliance/sessions`: where people are signed in. Everybody sees and ends
//! their own sessions, operators those of all.

use askama::Template;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::browser_name::browser_name;
use super::endpoints::{Endpoint, EndpointRequest};
use super::operators::{Operators, admit};
use super::session_paths::{ALL, OWN, ended_id};
use crate::auth::{Auth, EndOrder, Session, SessionRow, intent};
use crate::proxy::answer::compose;
use crate::proxy::answer::pages::Frame;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::authorise;
use crate::telemetry::to_the_minute;
use crate::texts::{Language, Text};

/// What an order to end has in place of an id for all own sessions but the one of the request.
const OTHERS: &str = "others";
/// How many sessions a page shows.
const MAX_ROWS: usize = 500;

#[derive(Debug, Template)]
#[template(path = "own/pages/sessions.html")]
struct Page<'a> {
    frame: Frame<'a>,
    rows: Vec<Row<'a>>,
    /// The page of an operator.
    all: bool,
    /// Where the forms go.
    base: &'static str,
    /// Sessions that are not on the page.
    left_out: usize,
}

#[derive(Debug)]
struct Row<'a> {
    session: &'a SessionRow,
    since: String,
    last_used: String,
    browser: String,
}

/// Whether a page of this origin sends an order. Asked before anything else of it.
pub(super) fn check_sender(auth: &Auth, request: EndpointRequest<'_>) -> Result<(), Refusal> {
    let own = auth.origin(request.headers);
    if intent::is_own_form(request.headers, own) { Ok(()) } else { Err(Refusal::CrossSite) }
}

/// Serves the lists and the orders, for a person who is signed in.
pub(super) async fn serve(
    auth: &Auth,
    operators: &Operators,
    endpoint: Endpoint,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let Some(session) = caller.session.as_deref() else {
        return Err(authorise::sign_in(request.navigation, request.path_and_query, caller));
    };
    match endpoint {
        Endpoint::EndOwnSession => end_own(auth, session, request).await,
        Endpoint::OwnSessions => {
            Ok(list(&auth.own_sessions(session).await, false, caller, request))
        }
        _ => {
            admit(operators.verdict(caller.person.as_deref()), caller, request)?;
            if endpoint == Endpoint::EndSession {
                return end_any(auth, caller, request).await;
            }
            Ok(list(&auth.all_sessions(Some(session)).await, true, caller, request))
        }
    }
}

async fn end_own(
    auth: &Auth,
    session: &Session,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let id = ended_id(request.raw_path, OWN).ok_or(Refusal::NotFound)?;
    if id == OTHERS {
        let ended = auth.end_sessions(EndOrder::Others(session)).await;
        return Ok(done(ended, OWN, request));
    }
    match auth.end_sessions(EndOrder::Own { session, id }).await {
        0 => Err(Refusal::NotFound),
        ended => Ok(done(ended, OWN, request)),
    }
}

async fn end_any(
    auth: &Auth,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let id = ended_id(request.raw_path, ALL).ok_or(Refusal::NotFound)?;
    let by = caller.person.as_ref().map_or("", |person| person.user.as_str());
    match auth.end_sessions(EndOrder::One { id, by }).await {
        0 => Err(Refusal::NotFound),
        ended => Ok(done(ended, ALL, request)),
    }
}

/// A browser goes back to the list, a program learns the number.
fn done(ended: usize, list: &'static str, request: EndpointRequest<'_>) -> Response<Bytes> {
    if !request.format.page {
        return compose::json(StatusCode::ACCEPTED, json!({ "ended": ended }).to_string());
    }
    let mut response = compose::empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(list));
    response
}

fn list(
    rows: &[SessionRow],
    all: bool,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Response<Bytes> {
    if !request.format.page {
        return compose::json(StatusCode::OK, json!({ "sessions": rows }).to_string());
    }
    let format = request.format;
    let user = caller.person.as_ref().map(|person| person.user.as_str());
    let title = if all { Text::Sessions } else { Text::YourSessions };
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    let shown = rows.iter().take(MAX_ROWS).map(|row| Row::new(row, format.language));
    let page = Page {
        frame: Frame { user, ..format.frame(title) },
        rows: shown.collect(),
        all,
        base: if all { ALL } else { OWN },
        left_out,
    };
    compose::html(StatusCode::OK, &page, format)
}

impl<'a> Row<'a> {
    fn new(session: &'a SessionRow, language: Language) -> Self {
        Self {
            session,
            since: to_the_minute(&session.since),
            last_used: to_the_minute(&session.last_used),
            browser: browser_name(session.user_agent.as_deref().unwrap_or_default()).to(language),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::with_marked_frame;
    use crate::texts::leftovers::leftovers;

    #[test]
    fn no_word_of_the_sessions_is_outside_of_the_texts() {
        let row = |current: bool| SessionRow {
            id: "1".into(),
            user: "2".into(),
            since: "2026-11-24T10:00:00Z".into(),
            last_used: "2026-11-24T10:00:00Z".into(),
            client_ip: Some("::1".into()),
            user_agent: Some("3".into()),
            sockets: 0,
            current,
        };
        let sessions = [row(true), row(false)];
        for all in [true, false] {
            let page = with_marked_frame(|frame| {
                let rows = sessions.iter().map(|row| Row::new(row, Language::Marks)).collect();
                let page = Page { frame, rows, all, base: OWN, left_out: 4 };
                page.render().unwrap()
            });
            assert_eq!(leftovers(&page), [""; 0], "{page}");
        }
    }
}
