//! `/_appliance/apps`: the state of every app, for operators.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::endpoints::Question;
use crate::auth::policy::{Verdict, decide};
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
    /// The issuer's state, and the reason if it is not up.
    issuer: Option<(&'static str, Option<String>)>,
}

#[derive(Debug)]
struct Row<'a> {
    name: &'a str,
    state: &'static str,
    critical: bool,
}

/// The page, for a person whom `[server] operators` admits.
pub(crate) fn serve(
    gate: &Gate,
    operators: Option<&Access>,
    caller: &Caller,
    question: Question<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let verdict = match operators {
        Some(access) => decide(access, None, caller.person.as_deref()),
        None => Verdict::Deny("to be an operator".to_owned()),
    };
    match verdict {
        Verdict::Allow => Ok(page(gate, caller, question)),
        Verdict::SignIn => {
            Err(authorise::sign_in(question.navigation, question.path_and_query, caller))
        }
        Verdict::Deny(missing) => Err(authorise::denied(caller, None, missing)),
    }
}

fn page(gate: &Gate, caller: &Caller, question: Question<'_>) -> Response<Bytes> {
    let pages = question.manner.pages;
    let user = caller.person.as_ref().map(|person| person.user.as_str());
    let rows = gate.apps().iter().map(|app| Row {
        name: app.name.as_str(),
        state: app.phase().as_str(),
        critical: app.critical,
    });
    let page = Page {
        frame: Frame { user, ..pages.frame("Apps", question.manner.id) },
        apps: rows.collect(),
        issuer: gate.issuer(),
    };
    compose::html(StatusCode::OK, &page, pages)
}
