//! Serves the requests for the endpoints of the appliance.

use bytes::Bytes;
use http::{HeaderValue, Response};

use super::console::log::OpenLog;
use super::endpoints::{Endpoint, EndpointRequest};
use super::{assets, authority, console, embed, first_administrator, login, probes, sessions};
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::authorise;

/// Serves one request. `cookies` receives `Set-Cookie` values; they are sent also with a refusal.
pub(crate) async fn serve(
    proxy: &Proxy,
    endpoint: Endpoint,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Response<Bytes>, Refusal> {
    if !endpoint.allows(request.method) {
        return Err(Refusal::MethodNotAllowed);
    }
    if !endpoint.is_always_open() {
        proxy.gate.check()?;
    }
    match endpoint {
        Endpoint::Live => Ok(probes::live()),
        Endpoint::Ready => Ok(probes::ready(proxy, request, cookies).await),
        Endpoint::Authority => authority::serve(proxy).ok_or(Refusal::NotFound),
        Endpoint::Style => Ok(assets::style(request.headers, &proxy.pages)),
        Endpoint::SignInStyle => Ok(assets::sign_in_style(request.headers, &proxy.pages)),
        Endpoint::Script => Ok(assets::script(request.headers, &proxy.pages)),
        Endpoint::Embed => {
            let auth = proxy.auth.as_deref().ok_or(Refusal::NotFound)?;
            embed::serve(proxy, auth, request, cookies).await
        }
        Endpoint::Portal => {
            let caller = signed_in(proxy, request, cookies).await?;
            let operators = &proxy.console.operators;
            Ok(proxy.portal.serve(&caller, proxy.routes.all(), operators, request))
        }
        Endpoint::FirstAdministrator => first_administrator::page::serve(proxy, request).await,
        Endpoint::Home => Ok(compose::redirect(&proxy.pages.portal())),
        Endpoint::Console | Endpoint::Order => {
            // Without a login no request can come from an operator.
            let auth = proxy.auth.as_deref().ok_or(Refusal::NotFound)?;
            if endpoint == Endpoint::Order {
                console::guard::check_order(auth, request)?;
            } else {
                console::guard::check_reader(request)?;
            }
            let caller = signed_in(proxy, request, cookies).await?;
            console::serve::serve(proxy, &caller, request).await
        }
        // A log is no whole document: `open_log`.
        Endpoint::Log | Endpoint::Unknown => Err(Refusal::NotFound),
        Endpoint::OwnSessions
        | Endpoint::EndOwnSession
        | Endpoint::Sessions
        | Endpoint::EndSession => {
            let auth = proxy.auth.as_deref().ok_or(Refusal::NotFound)?;
            if matches!(endpoint, Endpoint::EndOwnSession | Endpoint::EndSession) {
                sessions::check_sender(auth, request)?;
            }
            let caller = signed_in(proxy, request, cookies).await?;
            sessions::serve(auth, &proxy.console.operators, endpoint, &caller, request).await
        }
        endpoint => match proxy.auth.as_deref() {
            Some(auth) => login::serve(proxy, auth, endpoint, request).await,
            None => Err(Refusal::NotFound),
        },
    }
}

/// Opens the log of an app. `cookies`: as for [`serve`].
pub(in crate::proxy) async fn open_log(
    proxy: &Proxy,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<OpenLog, Refusal> {
    if !Endpoint::Log.allows(request.method) {
        return Err(Refusal::MethodNotAllowed);
    }
    proxy.gate.check()?;
    if proxy.auth.is_none() {
        return Err(Refusal::NotFound);
    }
    console::guard::check_log(request)?;
    let caller = signed_in(proxy, request, cookies).await?;
    console::log::open(proxy, &caller, request)
}

/// Identifies the caller. If a login is configured, a request without a session is refused.
async fn signed_in(
    proxy: &Proxy,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Caller, Refusal> {
    let Some(auth) = proxy.auth.as_deref() else { return Ok(Caller::default()) };
    let mut caller = authenticate::identify(auth, request.visitor()).await?;
    *cookies = std::mem::take(&mut caller.cookies);
    if caller.person.is_none() {
        return Err(authorise::sign_in(request.navigation, request.path_and_query, &caller));
    }
    Ok(caller)
}
