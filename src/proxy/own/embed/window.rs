//! The window in which a person signs in for a frame. It has the session cookie.
//!
//! No page may frame the window, and a page of another site that opens it learns nothing.

use askama::Template;
use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Response, StatusCode};

use super::super::endpoints::EndpointRequest;
use super::embedded;
use crate::auth::{Auth, intent};
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::pages::Frame;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::{authenticate, authorise};
use crate::proxy::phases::admit::browser;
use crate::texts::Text;

#[derive(Debug, Template)]
#[template(path = "own/pages/embed.html")]
struct Page<'a> {
    frame: Frame<'a>,
    /// The app's title.
    app: &'a str,
    code: &'a str,
}

/// The page that hands over a code; without a session, the login comes first.
pub(super) async fn serve(
    proxy: &Proxy,
    auth: &Auth,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Response<Bytes>, Refusal> {
    let app = embedded(proxy, request, request.query.as_bytes()).ok_or(Refusal::NotFound)?;
    let embedding = app.embedding.as_ref().ok_or(Refusal::NotFound)?;
    if intent::is_in_advance(request.headers) {
        return Err(Refusal::InAdvance);
    }
    if !browser::opens_a_page(request.headers) {
        return Err(Refusal::Shielded);
    }
    let mut caller = authenticate::identify(auth, request.visitor()).await?;
    *cookies = std::mem::take(&mut caller.cookies);
    let Some(session) = &caller.session else {
        return Err(authorise::sign_in(request.navigation, request.path_and_query, &caller));
    };
    let frame = request.format.frame(Text::YouAreSignedIn);
    let code = auth.frame_code(session, &embedding.cookie);
    let page = Page { frame, app: &app.title, code: &code };
    let mut response = compose::html(StatusCode::OK, &page, request.format);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, request.format.pages.script_policy());
    Ok(response)
}
