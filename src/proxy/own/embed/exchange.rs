//! A frame gets its cookie for the code that a window has handed over, unless another person is signed in in
//! the frame.

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};

use super::super::endpoints::EndpointRequest;
use super::{embedded, parameter};
use crate::auth::{Auth, Authentication, intent};
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;

/// 204 with the cookie.
pub(super) async fn serve(
    proxy: &Proxy,
    auth: &Auth,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    if !intent::is_own_form(request.headers, auth.origin(request.headers)) {
        return Err(Refusal::CrossSite);
    }
    let app = embedded(proxy, request, request.form).ok_or(Refusal::NotFound)?;
    let embedding = app.embedding.as_ref().ok_or(Refusal::NotFound)?;
    let code = parameter(request.form, "code");
    let held = match auth.authenticate_in_frame(request.visitor(), &embedding.cookie).await {
        Authentication::SignedIn { session, .. } => Some(session),
        Authentication::Anonymous { .. } => None,
        Authentication::Unavailable => return Err(Refusal::IssuerDown),
    };
    let held = held.as_deref();
    let cookie = auth.redeem_frame_code(code.as_bytes(), &embedding.cookie, held).await;
    let cookie = cookie.ok_or(Refusal::Malformed("the code of the frame does not count"))?;
    let mut response = compose::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}
