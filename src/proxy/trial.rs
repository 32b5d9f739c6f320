//! A request that the phases of the pipeline judge, and that is sent nowhere: `appliance can`.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, Request};

use super::answer::cause::Cause;
use super::answer::refusal::Refusal;
use super::links::AppLinks;
use super::own::console::paths::{self, Place};
use super::own::operators::Operators;
use super::phases::admit::admission;
use super::phases::route::requirements::{Act, Requirements};
use super::phases::route::routes::Routes;
use super::pipeline::destination::{self, Destination, Way};
use crate::auth::Person;
use crate::auth::policy::{Reason, Verdict, decide};
use crate::config::{Access, AppName, Config, Constraints};

/// A request to judge.
#[derive(Debug, Clone, Copy)]
pub struct TrialRequest<'a> {
    /// Method.
    pub method: &'a Method,
    /// `Host`
    pub host: &'a str,
    /// The path, with or without a query.
    pub path: &'a str,
}

/// What the proxy would decide about a request.
#[derive(Debug)]
pub enum Ruling {
    /// The request reaches no app, also with a session.
    Refused {
        /// The word for programs.
        reason: &'static str,
        /// The reason for people.
        text: String,
    },
    /// The appliance itself answers, and asks for a session where it needs one.
    Own,
    /// Policies decide, all of which must allow the request.
    Policies {
        /// The app that gets the request; `None` for a page of the operators.
        app: Option<AppName>,
        /// The policy of the path as it was sent comes first; those of other ways to read it follow.
        judged: Vec<Judged>,
    },
}

/// A policy, and what it decides.
#[derive(Debug)]
pub struct Judged {
    /// Where the policy is in the configuration.
    pub source: PolicySource,
    /// The people who have access.
    pub access: Access,
    /// The people who have no access although `access` admits them.
    pub deny: Vec<Constraints>,
    /// What the policy decides.
    pub verdict: Verdict,
}

/// Where a policy is in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicySource {
    /// The `access` of an app.
    App(AppName),
    /// A rule of an app, counted from 0.
    Rule(AppName, usize),
    /// `[server] operators`
    Operators,
    /// The `operators` of an app.
    AppOperators(AppName),
}

impl Judged {
    /// Why the policy decides like this.
    pub fn reason(&self) -> Reason {
        self.verdict.reason(&self.access)
    }
}

/// Judges a request of `person`, or of somebody who is not signed in.
pub fn judge(config: &Config, request: TrialRequest<'_>, person: Option<&Person>) -> Ruling {
    match destination_of(config, request) {
        Ok(Destination::App(requirements)) => Ruling::Policies {
            app: Some(requirements.app().name.clone()),
            judged: by_all(&requirements, person),
        },
        Ok(Destination::Endpoint(endpoint)) if endpoint.is_for_operators() => {
            of_operators(&Operators::new(config), |_| false, person)
        }
        Ok(Destination::Endpoint(endpoint)) if endpoint.is_console() => {
            let app = paths::find(request.path).and_then(Place::app);
            let is_asked = |name: &AppName| app.is_none_or(|app| name.as_str() == app);
            of_operators(&Operators::new(config), is_asked, person)
        }
        Ok(Destination::Endpoint(endpoint)) if endpoint.is_unknown() => refused(&Refusal::NotFound),
        Ok(Destination::Endpoint(_) | Destination::Resource(_)) => Ruling::Own,
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Ruling {
    let Cause { code, text } = Cause::of(refusal);
    Ruling::Refused { reason: code, text: text.into_owned() }
}

fn destination_of(config: &Config, request: TrialRequest<'_>) -> Result<Destination, Refusal> {
    let head = head(request).ok_or(Refusal::Malformed("the host or the path is not valid"))?;
    let (host, path) = admission::admit(&head, config.server.max_header_bytes)?;
    let routes = Routes::new(config, &AppLinks::default(), None);
    let act = Act { method: request.method, websocket: false };
    destination::find(&routes, Way::default(), host, act, &path)
}

fn head(TrialRequest { method, host, path }: TrialRequest<'_>) -> Option<Parts> {
    let host = HeaderValue::from_str(host).ok()?;
    let request = Request::builder().method(method).uri(path).header(HOST, host).body(());
    request.ok().map(|request| request.into_parts().0)
}

fn by_all(requirements: &Requirements, person: Option<&Person>) -> Vec<Judged> {
    let judge = |(source, access, deny): (PolicySource, &Access, &[Constraints])| Judged {
        source,
        access: access.clone(),
        deny: deny.to_vec(),
        verdict: decide(access, deny, person),
    };
    let sources = requirements.sources().map(|(app, rule)| match rule {
        Some(rule) => PolicySource::Rule(app.name.clone(), rule),
        None => PolicySource::App(app.name.clone()),
    });
    let policies = requirements.policies();
    sources
        .zip(policies)
        .map(|(source, policy)| judge((source, policy.access, policy.deny)))
        .collect()
}

/// By the policy for all apps, or by one of an app that is asked for if only this one lets the person in.
fn of_operators(
    operators: &Operators,
    is_asked: impl Fn(&AppName) -> bool,
    person: Option<&Person>,
) -> Ruling {
    let judged = operators.policies(is_asked).map(|(app, access)| {
        let source = app.cloned().map_or(PolicySource::Operators, PolicySource::AppOperators);
        let (access, verdict) = (access.clone(), decide(access, &[], person));
        Judged { source, access, deny: Vec::new(), verdict }
    });
    let mut judged: Vec<_> = judged.collect();
    // The first one decides if none lets the person in.
    judged.sort_by_key(|one| one.verdict != Verdict::Allow);
    match judged.into_iter().next() {
        Some(one) => Ruling::Policies { app: None, judged: vec![one] },
        None => Ruling::Refused {
            reason: Reason::NotAnOperator.as_str(),
            text: "`operators` names nobody".to_owned(),
        },
    }
}
