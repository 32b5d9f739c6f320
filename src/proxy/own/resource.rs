//! Describes an app with `bearer` to programs: which issuer gives them a token (OAuth 2.0 Protected
//! Resource Metadata, RFC 9728). Public, like every such description.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::config::{Config, Reading, below};
use crate::proxy::answer::challenge::METADATA;
use crate::proxy::answer::compose;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::phases::route::routes::Routes;

const ANY: HeaderValue = HeaderValue::from_static("*");

/// What the descriptions of all apps share.
#[derive(Debug)]
pub(crate) struct Resources {
    issuer: String,
    scopes: Vec<String>,
}

impl Resources {
    /// `None` without an issuer.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let oidc = config.oidc.as_ref()?;
        Some(Self { issuer: oidc.issuer.clone(), scopes: oidc.scopes.clone() })
    }

    /// The app that a path describes; `None` for any other path, and for an app without `bearer`.
    pub(crate) fn find<'r>(
        routes: &'r Routes,
        host: Host<'_>,
        path: &[u8],
    ) -> Option<&'r Arc<RoutedApp>> {
        let of = below(path, METADATA, Reading::Decoded)?;
        let app = routes.find(host, if of.is_empty() { b"/" } else { of })?.app;
        let own = app.route.path.trim_end_matches('/').as_bytes();
        (app.route.bearer && of.strip_suffix(b"/").unwrap_or(of) == own).then_some(app)
    }

    /// The description of an app. Pages of every origin may read it: a program in a browser has to.
    pub(crate) fn describe(
        &self,
        app: &RoutedApp,
        origin: &str,
        method: &Method,
    ) -> Response<Bytes> {
        let mut response = match *method {
            Method::GET | Method::HEAD => compose::json(StatusCode::OK, self.text(app, origin)),
            Method::OPTIONS => compose::empty(StatusCode::NO_CONTENT),
            _ => compose::empty(StatusCode::METHOD_NOT_ALLOWED),
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ANY);
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        response
    }

    fn text(&self, app: &RoutedApp, origin: &str) -> String {
        let resource = format!("{origin}{}", app.route.path);
        json!({
            "resource": resource,
            "resource_name": app.title,
            "authorization_servers": [self.issuer],
            "scopes_supported": self.scopes,
            "bearer_methods_supported": ["header"],
        })
        .to_string()
    }
}
