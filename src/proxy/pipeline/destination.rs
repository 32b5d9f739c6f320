//! What a host and a path lead to: an endpoint of the appliance, or an app with the policies that the
//! request must meet.

use std::sync::Arc;

use crate::proxy::answer::refusal::Refusal;
use crate::proxy::own::endpoints::{self, Endpoint};
use crate::proxy::own::resource::Resources;
use crate::proxy::phases::admit::admission;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::admit::rate::Purpose;
use crate::proxy::phases::route::raw_path;
use crate::proxy::phases::route::requirements::{Act, Requirements};
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::phases::route::routes::Routes;

/// What a host and a path lead to.
#[derive(Debug)]
pub(in crate::proxy) enum Destination {
    /// An endpoint of the appliance.
    Endpoint(Endpoint),
    /// An app, and the policies that the request must meet.
    App(Requirements),
    /// The description of an app for programs.
    Resource(Arc<RoutedApp>),
}

impl Destination {
    pub(super) fn purpose(&self) -> Purpose {
        match self {
            Self::Endpoint(endpoint) => endpoint.purpose(),
            Self::App(_) | Self::Resource(_) => Purpose::Other,
        }
    }
}

/// What matters of the connection that a request comes by.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::proxy) struct Way {
    /// The client has asked for another host in its TLS handshake.
    pub other_name: bool,
    /// The connection is over a limit.
    pub over_limit: bool,
}

/// Finds the destination of a request. The appliance's own endpoints come before the paths of apps.
pub(in crate::proxy) fn find(
    routes: &Routes,
    Way { other_name, over_limit }: Way,
    host: Host<'_>,
    act: Act<'_>,
    path: &AdmittedPath,
) -> Result<Destination, Refusal> {
    let decoded = path.decoded();
    let known_host = routes.knows(host) && !other_name;
    let found = routes.find(host, decoded);
    raw_path::check(found, path)?;
    let issuer_only = known_host && routes.has_only_the_issuer(host);
    match endpoints::find(decoded) {
        Some(endpoint)
            if endpoint.is_served_under(known_host, host)
                && (endpoint.is_always_open() || !over_limit) =>
        {
            let endpoint = if issuer_only {
                endpoint.beside_the_issuer()
            } else if routes.is_public_host(host) {
                endpoint
            } else {
                endpoint.beside_an_app()
            };
            return Ok(Destination::Endpoint(endpoint));
        }
        _ if host == Host::MISSING => return Err(Refusal::Malformed(admission::NO_HOST)),
        _ if other_name => return Err(Refusal::OtherServerName { host: host.to_string() }),
        _ if !known_host => return Err(Refusal::UnknownHost { host: host.to_string() }),
        _ if over_limit => return Err(Refusal::TooManyConnections),
        _ => {}
    }
    if let Some(app) = Resources::find(routes, host, decoded) {
        return Ok(Destination::Resource(Arc::clone(app)));
    }
    match found.map(|found| Requirements::new(found, act, path)) {
        Some(Some(requirements)) => Ok(Destination::App(requirements)),
        _ if issuer_only && decoded == b"/" => Ok(Destination::Endpoint(Endpoint::Home)),
        // `/` is the portal unless an app claims it.
        None if decoded == b"/" => Ok(Destination::Endpoint(Endpoint::Portal)),
        _ => Err(Refusal::NotFound),
    }
}
