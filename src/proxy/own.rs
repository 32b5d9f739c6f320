//! Our own endpoints: `/oauth2/*` and `/_appliance/*`. Nothing below them ever reaches an app.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::Proxy;
use super::admission::Host;
use super::answer::{self, Manner};
use super::body::Content;
use super::caller::{self, Caller};
use super::gate::Gate;
use super::pages::{Pages, STYLE, STYLE_PATH};
use super::portal;
use super::refusal::Refusal;
use super::routes::is_below;
use crate::auth::Auth;
use crate::auth::policy::{Verdict, decide};

/// An endpoint of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// 200 while the process works.
    Live,
    /// 200 when all is ready.
    Ready,
    /// The style sheet of our pages.
    Style,
    /// The apps that I may open.
    Portal,
    /// The operators' table.
    Operators,
    /// A login begins.
    Start,
    /// It ends.
    Callback,
    /// A page with one button.
    SignIn,
    /// The session ends.
    SignOut,
    /// Who I am.
    Userinfo,
    /// For another proxy's `auth_request`.
    AuthRequest,
    /// The public keys of assertions.
    Keys,
    /// Not there.
    Unknown,
}

/// What an endpoint may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub path_and_query: &'a str,
    pub query: &'a str,
    pub navigation: bool,
    pub manner: Manner<'a>,
}

/// The endpoint of a canonical path.
pub(super) fn find(path: &str) -> Option<Own> {
    Some(match path {
        "/_appliance/live" => Own::Live,
        "/_appliance/ready" => Own::Ready,
        STYLE_PATH => Own::Style,
        "/_appliance" | "/_appliance/" => Own::Portal,
        "/_appliance/apps" => Own::Operators,
        "/oauth2/start" => Own::Start,
        "/oauth2/callback" => Own::Callback,
        "/oauth2/sign_in" => Own::SignIn,
        "/oauth2/sign_out" => Own::SignOut,
        "/oauth2/userinfo" => Own::Userinfo,
        "/oauth2/auth" => Own::AuthRequest,
        "/oauth2/jwks" => Own::Keys,
        _ if is_below(path, "/_appliance") || is_below(path, "/oauth2") => Own::Unknown,
        _ => return None,
    })
}

impl Own {
    /// Answered whatever state we are in.
    fn is_probe(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Style)
    }

    /// Whether it is served under a host: the probes also under a loopback name.
    pub(super) fn is_served_under(self, host: Host<'_>, known: bool) -> bool {
        known || host.is_loopback() && matches!(self, Self::Live | Self::Ready)
    }

    fn allows(self, method: &Method) -> bool {
        match self {
            Self::AuthRequest | Self::Unknown => true,
            Self::SignOut => matches!(*method, Method::GET | Method::POST),
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}

/// Answers. `cookies` are set with the answer, whatever it is.
pub(super) async fn serve(
    proxy: &Proxy,
    own: Own,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Response<Content>, Refusal> {
    if !own.allows(question.method) {
        return Err(Refusal::Method);
    }
    if !own.is_probe() {
        proxy.gate.check()?;
    }
    match own {
        Own::Live => Ok(answer::json(StatusCode::OK, r#"{"live":true}"#.to_owned())),
        Own::Ready => Ok(ready(&proxy.gate)),
        Own::Style => Ok(style(question.headers, &proxy.pages)),
        Own::Portal => {
            let caller = signed_in(proxy, question, cookies).await?;
            let id = question.manner.id;
            Ok(proxy.portal.page(&caller, proxy.routes.all(), &proxy.pages, id))
        }
        // Without a login nobody can be an operator.
        Own::Operators if proxy.auth.is_some() => {
            let caller = signed_in(proxy, question, cookies).await?;
            operators(proxy, &caller, question)
        }
        Own::Operators | Own::Unknown => Err(Refusal::NotFound),
        login => match proxy.auth.as_deref() {
            Some(auth) => self::login(auth, login, question).await,
            None => Err(Refusal::NotFound),
        },
    }
}

async fn login(
    auth: &Auth,
    own: Own,
    question: Question<'_>,
) -> Result<Response<Content>, Refusal> {
    let Question { query, headers, .. } = question;
    let reply = match own {
        Own::Start => auth.start(query, headers),
        Own::Callback => auth.callback(query, headers).await,
        Own::SignIn => auth.sign_in(query, headers),
        Own::SignOut if caller::is_cross_site(headers, auth.origin(headers)) => {
            return Err(Refusal::CrossSite);
        }
        Own::SignOut => auth.sign_out(query, headers).await,
        Own::Userinfo => auth.userinfo(headers).await,
        Own::AuthRequest => auth.auth_request(query, headers).await,
        Own::Keys => return Ok(keys(auth)),
        _ => return Err(Refusal::NotFound),
    };
    Ok(answer::reply(reply, question.manner))
}

/// Kept by whoever reads it: apps ask for a key that they do not know, not for each request.
fn keys(auth: &Auth) -> Response<Content> {
    let mut response = answer::json(StatusCode::OK, auth.assertion_keys().to_owned());
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}

/// Who asks, when somebody has to.
async fn signed_in(
    proxy: &Proxy,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Caller, Refusal> {
    let Some(auth) = proxy.auth.as_deref() else { return Ok(Caller::default()) };
    let mut caller = caller::identify(auth, question.headers).await?;
    *cookies = std::mem::take(&mut caller.cookies);
    if caller.person.is_none() {
        return Err(caller::sign_in(question.navigation, question.path_and_query));
    }
    Ok(caller)
}

fn operators(
    proxy: &Proxy,
    caller: &Caller,
    question: Question<'_>,
) -> Result<Response<Content>, Refusal> {
    let verdict = match &proxy.operators {
        Some(access) => decide(access, None, caller.person.as_deref()),
        None => Verdict::Deny("to be an operator".to_owned()),
    };
    match verdict {
        Verdict::Allow => {
            Ok(portal::operators(caller, &proxy.gate, &proxy.pages, question.manner.id))
        }
        Verdict::SignIn => Err(caller::sign_in(question.navigation, question.path_and_query)),
        Verdict::Deny(missing) => Err(caller::denied(caller, None, missing)),
    }
}

fn ready(gate: &Gate) -> Response<Content> {
    let ready = gate.is_ready();
    let apps: serde_json::Map<_, _> =
        gate.apps().iter().map(|app| (app.name.to_string(), app.phase().as_str().into())).collect();
    let issuer = gate.issuer().map(|(state, reason)| json!({ "state": state, "reason": reason }));
    let document = json!({ "ready": ready, "issuer": issuer, "apps": apps });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(status, document.to_string())
}

fn style(headers: &HeaderMap, pages: &Pages) -> Response<Content> {
    let tag = format!("\"{}\"", pages.version());
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Content::Empty);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Content::Own(STYLE.into()))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
