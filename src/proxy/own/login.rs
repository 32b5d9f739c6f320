//! `/oauth2/…`: the login, the sign-out, and information about the session for programs.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};

use super::endpoints::{Endpoint, EndpointRequest};
use crate::auth::Auth;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;

/// Serves one of the login endpoints.
pub(super) async fn serve(
    auth: &Auth,
    endpoint: Endpoint,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let EndpointRequest { query, headers, .. } = request;
    let reply = match endpoint {
        Endpoint::Start => auth.start(query, headers),
        Endpoint::Callback => auth.callback(query, headers).await,
        Endpoint::SignIn => auth.sign_in(query, headers),
        Endpoint::SignOut if browser::is_cross_site(headers, auth.origin(headers)) => {
            return Err(Refusal::CrossSite);
        }
        Endpoint::SignOut => auth.sign_out(query, headers).await,
        Endpoint::Userinfo => auth.userinfo(headers).await,
        Endpoint::AuthRequest => auth.auth_request(query, headers).await,
        Endpoint::Keys => return Ok(keys(auth)),
        _ => return Err(Refusal::NotFound),
    };
    Ok(compose::reply(reply, request.format))
}

/// `/oauth2/jwks`. Apps may cache the keys: an app fetches them again only for an unknown key.
fn keys(auth: &Auth) -> Response<Bytes> {
    let mut response = compose::json(StatusCode::OK, auth.assertion_keys().to_owned());
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}
