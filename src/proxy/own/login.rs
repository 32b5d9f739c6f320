//! `/oauth2/…`: the login, the sign-out, and information about the session for programs.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, Response, StatusCode};

use super::endpoints::{Endpoint, EndpointRequest};
use crate::auth::intent::{self, SignOutIntent};
use crate::auth::{Auth, Person};
use crate::proxy::Proxy;
use crate::proxy::answer::clear_cookies::CLEAR_SITE_DATA;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser::{self, PageFrame};

const CACHE: HeaderValue = HeaderValue::from_static("\"cache\"");

/// Serves one of the login endpoints.
pub(super) async fn serve(
    proxy: &Proxy,
    auth: &Auth,
    endpoint: Endpoint,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let EndpointRequest { query, headers, .. } = request;
    if endpoint.is_login() && intent::is_in_advance(headers) {
        return Err(Refusal::InAdvance);
    }
    let reply = match endpoint {
        // A login cannot begin in a frame of another site.
        Endpoint::Start if browser::page_frame(headers) == PageFrame::OfAnotherSite => {
            return Err(Refusal::SignIn { login: Some(request.path_and_query.to_owned()) });
        }
        Endpoint::Start => auth.start(query, headers),
        Endpoint::Callback if *request.method == Method::POST => {
            if !intent::is_own_form(headers, auth.origin(headers)) {
                return Err(Refusal::CrossSite);
            }
            auth.confirm(query, headers).await
        }
        Endpoint::Callback => auth.callback(query, request.visitor(), request.format.page).await,
        Endpoint::SignIn => auth.sign_in(query, headers),
        Endpoint::SignOut => return sign_out(auth, request).await,
        Endpoint::BackchannelLogout => auth.log_out(headers, request.form, request.client).await,
        Endpoint::FrontchannelLogout => auth.log_out_by_frame(query).await,
        Endpoint::Userinfo => {
            let reasons = |person: &Person| proxy.portal.reasons(person, proxy.routes.all());
            auth.userinfo(request.visitor(), reasons).await
        }
        Endpoint::AuthRequest => auth.auth_request(query, request.visitor()).await,
        Endpoint::Keys => return Ok(keys(auth)),
        _ => return Err(Refusal::NotFound),
    };
    Ok(compose::reply(reply, request.format))
}

/// `/oauth2/sign_out`. The browser also drops what it has cached: after a sign-out on a shared
/// computer, the back button must not show the pages of apps.
async fn sign_out(auth: &Auth, request: EndpointRequest<'_>) -> Result<Response<Bytes>, Refusal> {
    let EndpointRequest { query, headers, format, .. } = request;
    let own = auth.origin(headers);
    match intent::sign_out(request.method, headers, own, format.page) {
        SignOutIntent::SignOut => {
            let mut response = compose::reply(auth.sign_out(query, headers).await, format);
            response.headers_mut().insert(CLEAR_SITE_DATA, CACHE);
            Ok(response)
        }
        SignOutIntent::Unclear if format.page => {
            Ok(compose::reply(auth.ask_sign_out(query, headers), format))
        }
        SignOutIntent::InAdvance => Err(Refusal::InAdvance),
        SignOutIntent::Unclear | SignOutIntent::Foreign => Err(Refusal::CrossSite),
    }
}

/// `/oauth2/jwks`. Apps may cache the keys: an app fetches them again only for an unknown key.
fn keys(auth: &Auth) -> Response<Bytes> {
    let mut response = compose::json(StatusCode::OK, auth.assertion_keys().to_owned());
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}
