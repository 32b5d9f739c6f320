//! Serves the console to those who may use it.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::super::endpoints::EndpointRequest;
use super::super::operators::admit;
use super::paths::{self, Order, Place};
use super::room::{Console, Initiator, NoAnswer, Scope, View};
use crate::proxy::Proxy;
use crate::proxy::answer::compose::{self, ResponseFormat};
use crate::proxy::answer::pages::Frame;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::shield::{NO_OPENER, OPENER_POLICY};
use crate::texts::{Message, Text};

/// No page of another origin embeds the response.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Serves one request of a person who is signed in, except for a log.
pub(in crate::proxy::own) async fn serve(
    proxy: &Proxy,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let place = paths::find(request.raw_path).ok_or(Refusal::NotFound)?;
    let (operators, person) = (&proxy.console.operators, caller.person.as_deref());
    let verdict = match place.app() {
        Some(app) => operators.verdict_for(app, person),
        None => operators.verdict_for_any(person),
    };
    admit(verdict, caller, request)?;
    let console = proxy.console.room.as_deref().ok_or(Refusal::NotFound)?;
    let scope = operators.scope(person);
    let refuse = |why| refusal(why, request.format);
    let response = match place {
        Place::List => {
            let view = view(proxy, caller, request, &scope, Text::Console, None);
            let text = console.list(view).await.map_err(refuse)?;
            document(text, request)
        }
        Place::App(app) => {
            let view = view(proxy, caller, request, &scope, Message::plain(app), Some(app));
            let text = console.app(app, view).await.map_err(refuse)?;
            document(text, request)
        }
        Place::Log(_) => return Err(Refusal::NotFound),
        Place::Order(app, order) => give(console, (app, order), caller, request).await?,
    };
    Ok(sealed(response))
}

fn view<'a>(
    proxy: &'a Proxy,
    caller: &'a Caller,
    request: EndpointRequest<'a>,
    scope: &'a Scope,
    title: impl Into<Message>,
    app: Option<&str>,
) -> View<'a> {
    let user = caller.person.as_ref().map(|person| person.user.as_str());
    let frame = request.format.page.then(|| Frame { user, ..request.format.frame(title) });
    let is_shown = |refused: &str| scope.includes(refused) && app.is_none_or(|app| app == refused);
    let refusals = proxy.console.refusals.newest(|of| match of {
        Some(of) => is_shown(of),
        None => *scope == Scope::All && app.is_none(),
    });
    View { frame, scope, refusals }
}

async fn give(
    console: &dyn Console,
    (app, order): (&str, Order),
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let user = caller.person.as_ref().map_or("", |person| person.user.as_str());
    let by = Initiator { user, request_id: request.format.id.to_str().unwrap_or_default() };
    console.order(app, order, by).await.map_err(|why| refusal(why, request.format))?;
    if !request.format.page {
        let text = json!({ "app": app, "order": order.as_str() }).to_string();
        return Ok(compose::json(StatusCode::ACCEPTED, text));
    }
    let page = HeaderValue::from_str(&format!("{}/{app}", paths::LIST));
    let mut response = compose::empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, page.map_err(|_| Refusal::Internal)?);
    Ok(response)
}

fn document(text: String, request: EndpointRequest<'_>) -> Response<Bytes> {
    if request.format.page {
        compose::html_text(StatusCode::OK, text, request.format)
    } else {
        compose::json(StatusCode::OK, text)
    }
}

/// No page of an app that has opened the console keeps a handle of its window, and none embeds it.
pub(in crate::proxy) fn sealed<T>(mut response: Response<T>) -> Response<T> {
    response.headers_mut().insert(OPENER_POLICY, NO_OPENER);
    response.headers_mut().insert(RESOURCE_POLICY, SAME_ORIGIN);
    response
}

pub(super) fn refusal(why: NoAnswer, format: ResponseFormat<'_>) -> Refusal {
    match why {
        NoAnswer::Unknown => Refusal::NotFound,
        NoAnswer::Unavailable(phase) => {
            Refusal::NotReady { app: Text::Console.to(format.language).to_owned(), phase }
        }
    }
}
