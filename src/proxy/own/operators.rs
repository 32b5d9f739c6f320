//! `/_appliance/apps`: the state of every app, for operators.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::endpoints::EndpointRequest;
use crate::auth::Person;
use crate::auth::policy::{Lack, Reason, Verdict, decide};
use crate::config::Access;
use crate::proxy::answer::compose;
use crate::proxy::answer::pages::Frame;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::route::readiness::Gate;

#[derive(Debug, Template)]
#[template(path = "own/pages/operators.html")]
struct Page<'a> {
    frame: Frame<'a>,
    apps: Vec<Row<'a>>,
    /// The state of sign-in, and the reason if nobody can sign in.
    sign_in: Option<(&'static str, Option<String>)>,
}

#[derive(Debug)]
struct Row<'a> {
    name: &'a str,
    state: &'static str,
    critical: bool,
}

/// The page, for a person who is one of `[server] operators`.
pub(super) fn serve(
    gate: &Gate,
    operators: Option<&Access>,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    admit(operators, caller, request)?;
    Ok(page(gate, caller, request))
}

/// Refuses everybody who is not one of `[server] operators`.
pub(super) fn admit(
    operators: Option<&Access>,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<(), Refusal> {
    match verdict(operators, caller.person.as_deref()) {
        Verdict::Allow => Ok(()),
        Verdict::SignIn => {
            Err(authorise::sign_in(request.navigation, request.path_and_query, caller))
        }
        Verdict::Deny(lack) => Err(authorise::denied(caller, None, lack)),
    }
}

/// Whether a person is one of `[server] operators`; without the setting, nobody is.
pub(in crate::proxy) fn verdict(operators: Option<&Access>, person: Option<&Person>) -> Verdict {
    match operators {
        Some(access) => decide(access, &[], person),
        None => Verdict::Deny(Lack::new(Reason::NotAnOperator, "the rights of an operator")),
    }
}

fn page(gate: &Gate, caller: &Caller, request: EndpointRequest<'_>) -> Response<Bytes> {
    let pages = request.format.pages;
    let user = caller.person.as_ref().map(|person| person.user.as_str());
    let rows = gate.apps().iter().map(|app| Row {
        name: app.name.as_str(),
        state: app.phase().as_str(),
        critical: app.critical,
    });
    let page = Page {
        frame: Frame { user, ..pages.frame("Apps", request.format.id) },
        apps: rows.collect(),
        sign_in: gate.issuer().map(|(state, reason)| (sign_in_state(state), reason)),
    };
    compose::html(StatusCode::OK, &page, pages)
}

/// The word of the page for a state of the issuer.
fn sign_in_state(issuer: &'static str) -> &'static str {
    if issuer == "right" { "up" } else { issuer }
}
