//! `/oauth2/…`: the login, the sign-out, and what other programs may ask about the session.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};

use super::endpoints::{Own, Question};
use crate::auth::Auth;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;

/// Answers one of the login endpoints.
pub(crate) async fn serve(
    auth: &Auth,
    own: Own,
    question: Question<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let Question { query, headers, .. } = question;
    let reply = match own {
        Own::Start => auth.start(query, headers),
        Own::Callback => auth.callback(query, headers).await,
        Own::SignIn => auth.sign_in(query, headers),
        Own::SignOut if browser::is_cross_site(headers, auth.origin(headers)) => {
            return Err(Refusal::CrossSite);
        }
        Own::SignOut => auth.sign_out(query, headers).await,
        Own::Userinfo => auth.userinfo(headers).await,
        Own::AuthRequest => auth.auth_request(query, headers).await,
        Own::Keys => return Ok(keys(auth)),
        _ => return Err(Refusal::NotFound),
    };
    Ok(compose::reply(reply, question.manner))
}

/// `/oauth2/jwks`. Apps may cache it: they ask again only when they meet an unknown key.
fn keys(auth: &Auth) -> Response<Bytes> {
    let mut response = compose::json(StatusCode::OK, auth.assertion_keys().to_owned());
    let kept = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}
