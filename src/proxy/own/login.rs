//! `/oauth2/…`: the login, the sign-out, and what other programs may ask about the session.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::endpoints::{Own, Question};
use crate::auth::Auth;
use crate::auth::intent::{self, SignOutIntent};
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const CACHE: HeaderValue = HeaderValue::from_static("\"cache\"");

/// Answers one of the login endpoints.
pub(crate) async fn serve(
    auth: &Auth,
    own: Own,
    question: Question<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let Question { query, headers, .. } = question;
    if own.starts_something() && intent::is_in_advance(headers) {
        return Err(Refusal::InAdvance);
    }
    let reply = match own {
        Own::Start => auth.start(query, headers),
        Own::Callback if *question.method == Method::POST => {
            if !intent::is_own_form(headers, auth.origin(headers)) {
                return Err(Refusal::CrossSite);
            }
            auth.confirm(query, headers)
        }
        Own::Callback => auth.callback(query, question.visitor(), question.manner.page).await,
        Own::SignIn => auth.sign_in(query, headers),
        Own::SignOut => return sign_out(auth, question).await,
        Own::Userinfo => auth.userinfo(question.visitor()).await,
        Own::AuthRequest => auth.auth_request(query, question.visitor()).await,
        Own::Keys => return Ok(keys(auth)),
        _ => return Err(Refusal::NotFound),
    };
    Ok(compose::reply(reply, question.manner))
}

/// `/oauth2/sign_out`. The browser forgets what it keeps of the apps: after a sign-out on a shared
/// computer the back button must not show it.
async fn sign_out(auth: &Auth, question: Question<'_>) -> Result<Response<Bytes>, Refusal> {
    let Question { query, headers, manner, .. } = question;
    let own = auth.origin(headers);
    match intent::sign_out(question.method, headers, own, manner.page) {
        SignOutIntent::SignOut => {
            let mut response = compose::reply(auth.sign_out(query, headers).await, manner);
            response.headers_mut().insert(CLEAR_SITE_DATA, CACHE);
            Ok(response)
        }
        SignOutIntent::Unclear if manner.page => {
            Ok(compose::reply(auth.ask_sign_out(query, headers), manner))
        }
        SignOutIntent::InAdvance => Err(Refusal::InAdvance),
        SignOutIntent::Unclear | SignOutIntent::Foreign => Err(Refusal::CrossSite),
    }
}

/// `/oauth2/jwks`. Apps may cache it: they ask again only when they meet an unknown key.
fn keys(auth: &Auth) -> Response<Bytes> {
    let mut response = compose::json(StatusCode::OK, auth.assertion_keys().to_owned());
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}
