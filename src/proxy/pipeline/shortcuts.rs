//! Responses of the appliance to requests that go no further, whatever they ask for.

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response};

use crate::proxy::Proxy;
use crate::proxy::answer::pages::STYLE_PATH;
use crate::proxy::answer::{clear_cookies, compose};
use crate::proxy::own;
use crate::proxy::phases::admit::oversized;

/// The responses that a browser gets although its headers are too large: to the button that deletes
/// its cookies, and the style sheet of the page that has the button. `secure`: the browser uses https.
pub(super) fn beside_the_limit(
    proxy: &Proxy,
    secure: bool,
    head: &Parts,
) -> Option<Response<Bytes>> {
    let Parts { method, uri, headers, .. } = head;
    let is_style = *method == Method::GET && uri.path() == STYLE_PATH;
    let max = proxy.max_header_bytes;
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if oversized::asks_to_clear_cookies(method, target, headers, secure, max) {
        Some(clear_cookies::respond(&oversized::cookie_jar(target, headers, secure)))
    } else if is_style && oversized::are_oversized(headers, max) {
        Some(own::style::serve(headers, &proxy.pages))
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
