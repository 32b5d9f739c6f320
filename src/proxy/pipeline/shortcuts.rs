//! Responses of the appliance to requests that go no further, whatever they ask for.

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response};

use super::context::ConnectionContext;
use crate::proxy::Proxy;
use crate::proxy::answer::pages::STYLE_PATH;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::answer::{clear_cookies, compose};
use crate::proxy::own;
use crate::proxy::own::authority;
use crate::proxy::own::endpoints::{self, Endpoint};
use crate::proxy::phases::admit::client_address::RequestSource;
use crate::proxy::phases::admit::{admission, oversized};
use crate::proxy::socket::entrance::Entrance;

/// The response to a request that no route decides about.
pub(super) fn before_admission(
    context: &ConnectionContext,
    source: &RequestSource,
    head: &Parts,
) -> Result<Option<Response<Bytes>>, Refusal> {
    let proxy = &*context.worker.proxy;
    if let Some(response) = beside_the_limit(proxy, context.is_secure(source), head) {
        return Ok(Some(response));
    }
    match *context.entrance {
        Entrance::Redirect => on_redirects(proxy, head).map(Some),
        Entrance::Tls { .. } => has_certificate(proxy, head.uri.path()).map(|()| None),
        Entrance::Clear => Ok(None),
    }
}

/// The responses that a browser gets although its headers are too large: to the button that deletes
/// its cookies, and the style sheet of the page that has the button. `secure`: the browser uses https.
fn beside_the_limit(proxy: &Proxy, secure: bool, head: &Parts) -> Option<Response<Bytes>> {
    let Parts { method, uri, headers, .. } = head;
    let is_style = *method == Method::GET && uri.path() == STYLE_PATH;
    let max = proxy.max_header_bytes;
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if oversized::asks_to_clear_cookies(method, target, headers, secure, max) {
        Some(clear_cookies::respond(&oversized::cookie_jar(target, headers, secure)))
    } else if is_style && oversized::are_oversized(headers, max) {
        Some(own::assets::style(headers, &proxy.pages))
    } else {
        None
    }
}

/// The redirect of a browser that comes back from its sign-out at the issuer: the address loses what the
/// issuer has added to it.
pub(super) fn return_from_sign_out(
    proxy: &Proxy,
    head: &Parts,
    target: &PathAndQuery,
) -> Option<Response<Bytes>> {
    let query = target.query().filter(|_| head.method == Method::GET)?;
    let back = proxy.auth.as_deref()?.return_from_sign_out(target.path(), query)?;
    Some(compose::redirect(&back))
}

/// The response on the address of `redirect_http`: nearly always the same page of `public_url`.
fn on_redirects(proxy: &Proxy, head: &Parts) -> Result<Response<Bytes>, Refusal> {
    let (_, path) = admission::admit(head, proxy.max_header_bytes)?;
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let front = proxy.tls.as_deref().filter(|_| is_read);
    let sent = path.sent();
    if let Some(check) = front.and_then(|front| front.check_response(sent.path())) {
        return Ok(compose::octets(check));
    }
    match sent.path() {
        // A browser fetches it before it trusts the https address.
        authority::PATH if is_read => {
            if let Some(response) = authority::serve(proxy) {
                return Ok(response);
            }
        }
        // Of the page that says what the appliance waits for.
        STYLE_PATH if is_read && front.is_some_and(|front| front.awaited().is_some()) => {
            return Ok(own::assets::style(&head.headers, &proxy.pages));
        }
        _ => {}
    }
    has_certificate(proxy, sent.path())?;
    Ok(compose::moved_permanently(&format!("{}{sent}", proxy.public)))
}

/// Fails while the first certificate is on its way: people would send passwords over a connection
/// that anybody can read.
fn has_certificate(proxy: &Proxy, path: &str) -> Result<(), Refusal> {
    let awaited = proxy.tls.as_deref().and_then(|front| front.awaited());
    let is_open = || endpoints::find(path.as_bytes()).is_some_and(Endpoint::is_always_open);
    match awaited {
        Some(authority) if !is_open() => {
            Err(Refusal::NoCertificate { authority: authority.to_owned() })
        }
        _ => Ok(()),
    }
}
