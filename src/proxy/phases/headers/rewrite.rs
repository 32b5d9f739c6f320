//! Rewrites the head of a request for its app.
//!
//! The order makes the result safe. Hop-by-hop headers are removed first, so that a client cannot
//! remove a header of the proxy through `Connection`. Then every header that only the proxy may set is
//! removed. Then the proxy sets its own values.

use http::header::{AUTHORIZATION, HOST, HeaderMap};
use http::{HeaderName, HeaderValue};

use super::cookies;
use super::hop_by_hop;
use super::spoofed_headers::SpoofedHeaders;
use super::token_handle::TOKEN_HANDLE;
use super::trace_context::TraceContext;
use crate::auth::{Person, Session};
use crate::proxy::answer::request_id::REQUEST_ID;
use crate::proxy::phases::admit::client_address::RequestSource;
use crate::proxy::phases::route::routed_app::{Attribute, RoutedApp};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The number of headers that [`set_forwarding`] sets.
const FORWARDING: usize = 6;
const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

/// The values for the headers that the proxy sets.
#[derive(Debug)]
pub(crate) struct HeaderSources<'a> {
    /// The client's address and protocol.
    pub client: &'a RequestSource,
    /// The scheme of `public_url` is https.
    pub secure: bool,
    /// `X-Request-Id`.
    pub id: &'a HeaderValue,
    /// `traceparent`.
    pub trace: &'a TraceContext,
    /// The signed-in person.
    pub person: Option<&'a Person>,
    /// The session of the person.
    pub session: Option<&'a Session>,
    /// With which the app gets access tokens of the session, for a request that may last.
    pub token_handle: Option<HeaderValue>,
}

/// Rewrites the headers of a request in place.
pub(crate) fn rewrite(
    headers: &mut HeaderMap,
    spoofed: &SpoofedHeaders,
    is_own_cookie: impl Fn(&str) -> bool,
    app: &RoutedApp,
    sources: &HeaderSources<'_>,
) {
    hop_by_hop::strip_request(headers);
    spoofed.remove_from(headers, sources.client.trusted);
    cookies::remove_own(headers, is_own_cookie);
    if app.route.bearer {
        headers.remove(AUTHORIZATION);
    }
    // The map grows once here: each growth rebuilds its whole index.
    headers.reserve(FORWARDING + app.identity.len());
    set_forwarding(headers, sources);
    if let Some(prefix) = &app.forwarded_prefix {
        headers.insert(FORWARDED_PREFIX, prefix.clone());
    }
    set_identity(headers, app, sources);
}

/// Sets `Host` for an address of the app: `configured` if the address has a `Host` of its own, else
/// `from_client`. With neither, the header stays as the client sent it. `from_client` is needed after
/// an attempt with another address, which may have replaced the header.
pub(crate) fn set_host(
    headers: &mut HeaderMap,
    configured: Option<&str>,
    from_client: Option<&HeaderValue>,
) {
    let configured = configured.and_then(|host| HeaderValue::from_str(host).ok());
    if let Some(host) = configured.or_else(|| from_client.cloned()) {
        headers.insert(HOST, host);
    }
}

fn set_forwarding(headers: &mut HeaderMap, sources: &HeaderSources<'_>) {
    if let Some(list) = &sources.client.forwarded_for {
        headers.insert(FORWARDED_FOR, list.clone());
    }
    let secure = sources.client.secure.unwrap_or(sources.secure);
    headers.insert(FORWARDED_PROTO, if secure { HTTPS } else { HTTP });
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(REQUEST_ID, sources.id.clone());
    sources.trace.set(headers);
}

fn set_identity(headers: &mut HeaderMap, app: &RoutedApp, sources: &HeaderSources<'_>) {
    let Some(person) = sources.person else { return };
    for (name, attribute) in &app.identity {
        let ready = &person.headers;
        let value = match attribute {
            Attribute::User => ready.user.clone(),
            Attribute::Email => ready.email.clone(),
            Attribute::Groups => ready.groups.clone(),
            Attribute::PreferredUsername => ready.preferred_username.clone(),
            Attribute::Name => ready.name.clone(),
            Attribute::AccessToken => sources.session.and_then(Session::access_token),
            Attribute::Assertion => {
                sources.session.and_then(|session| session.assertion(&app.name))
            }
        };
        if let Some(value) = value {
            headers.insert(name.clone(), value);
        }
    }
    if let Some(handle) = &sources.token_handle {
        headers.insert(TOKEN_HANDLE, handle.clone());
    }
}
