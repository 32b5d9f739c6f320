//! `/oauth2/embed`: a person signs in for an app in a frame of another site.
//!
//! The frame opens the window, and the window hands a code to the frame by a message that only a page of the
//! same origin gets. The frame exchanges the code for its cookie.

mod exchange;
mod window;

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Method, Response};

use super::endpoints::EndpointRequest;
use crate::auth::Auth;
use crate::proxy::Proxy;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::host::parse_host;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// Serves the window and the exchange. `cookies`: as for [`super::serve::serve`].
pub(super) async fn serve(
    proxy: &Proxy,
    auth: &Auth,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Response<Bytes>, Refusal> {
    if *request.method == Method::POST {
        exchange::serve(proxy, auth, request).await
    } else {
        window::serve(proxy, auth, request, cookies).await
    }
}

/// The app with `embed` that `parameters` name, under the host of the request.
fn embedded<'p>(
    proxy: &'p Proxy,
    request: EndpointRequest<'_>,
    parameters: &[u8],
) -> Option<&'p Arc<RoutedApp>> {
    let name = parameter(parameters, "app");
    let host = request.headers.get(HOST)?.to_str().ok().and_then(parse_host)?;
    let app = proxy.routes.named(host, &name)?;
    app.embedding.is_some().then_some(app)
}

/// The first parameter of this name; empty without it.
fn parameter(parameters: &[u8], name: &str) -> String {
    let found = form_urlencoded::parse(parameters).find(|(found, _)| found == name);
    found.map_or_else(String::new, |(_, value)| value.into_owned())
}
