//! The certificate of the appliance's own authority, for browsers that are to trust it.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};

use crate::proxy::Proxy;
use crate::proxy::answer::compose;

/// Its path. It is public, like every certificate.
pub(crate) const PATH: &str = "/_appliance/ca.pem";

/// The certificate as PEM; `None` if the certificates come from elsewhere.
pub(crate) fn serve(proxy: &Proxy) -> Option<Response<Bytes>> {
    let pem = proxy.tls.as_ref()?.root()?.pem().to_owned();
    let mut response = compose::empty(http::StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-pem-file"));
    headers.insert(CONTENT_LENGTH, pem.len().into());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    *response.body_mut() = pem.into();
    Some(response)
}
