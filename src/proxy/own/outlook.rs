//! Who may see the state of all apps beside the operator page: clients on this machine, and operators.

use std::net::SocketAddr;

use http::HeaderValue;
use http::header::{COOKIE, HOST};
use http::request::Parts;

use crate::auth::policy::{Verdict, decide};
use crate::auth::{Auth, Visitor};
use crate::config::Access;
use crate::proxy::Proxy;
use crate::proxy::phases::access::authenticate;
use crate::proxy::phases::admit::client_address::Peer;
use crate::proxy::phases::admit::host::parse_host;

impl Proxy {
    /// Whether a client of another listener may see the state of all apps; then with the
    /// `Set-Cookie` values for the response.
    pub async fn shows_state_to(
        &self,
        client: SocketAddr,
        request: &Parts,
    ) -> Option<Vec<HeaderValue>> {
        if Self::is_on_this_machine(client, request) {
            return Some(Vec::new());
        }
        let visitor = Visitor {
            method: &request.method,
            headers: &request.headers,
            path: request.uri.path(),
            client: Some(client.ip()),
        };
        self.operator(visitor).await
    }

    /// Whether a client of another listener runs on this machine, and its request names this machine's
    /// loopback.
    pub fn is_on_this_machine(client: SocketAddr, request: &Parts) -> bool {
        // No proxy in front forwards to that listener, so `trusted_proxies` does not count: programs of
        // this machine may have the address of such a proxy.
        Peer::new(Some(client), &[]).is_local(&request.headers)
    }

    /// Whether the request names one valid host, also where its target has one as well (RFC 9112
    /// section 3.2).
    pub fn names_one_host(request: &Parts) -> bool {
        let mut hosts = request.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Some(host) = host.to_str().ok().and_then(parse_host) else { return false };
        request.uri.authority().is_none_or(|target| host.is(target.as_str()))
    }

    /// The `Set-Cookie` values for an operator. A probe has no cookie, and then no session is looked
    /// up.
    pub(super) async fn operator(&self, visitor: Visitor<'_>) -> Option<Vec<HeaderValue>> {
        let (auth, access) = (self.auth.as_deref()?, self.console.operators.of_all()?);
        visitor.headers.get(COOKIE)?;
        admitted(auth, access, visitor).await
    }
}

async fn admitted(auth: &Auth, access: &Access, visitor: Visitor<'_>) -> Option<Vec<HeaderValue>> {
    let caller = authenticate::identify(auth, visitor).await.ok()?;
    let person = caller.person?;
    (decide(access, &[], Some(&person)) == Verdict::Allow).then_some(caller.cookies)
}
