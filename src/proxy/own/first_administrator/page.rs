//! Serves the page and its form.
//!
//! Scanners of mail and browsers fetch links before anybody opens them, so `GET` changes nothing. The
//! policy for referrers is `origin`, as for all pages of the appliance: no address with a token leaves the
//! page, and with `no-referrer` the form would come without its origin.

use askama::Template;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Method, Response, StatusCode};

use super::super::console::guard::check_order;
use super::super::endpoints::EndpointRequest;
use super::fields::Fields;
use super::link::{NotCreated, PATH};
use crate::auth::Reply;
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::pages::Frame;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser::opens_a_page;
use crate::texts::{Message, Text};

#[derive(Debug, Template)]
#[template(path = "own/pages/first_administrator.html")]
struct Page<'a> {
    frame: Frame<'a>,
    fields: &'a Fields,
    fault: Option<Message>,
    path: &'static str,
}

/// Serves the page and its form.
pub(in crate::proxy::own) async fn serve(
    proxy: &Proxy,
    request: EndpointRequest<'_>,
) -> Result<Response<Bytes>, Refusal> {
    let administrator = proxy.first_administrator.as_deref().ok_or(Refusal::NotFound)?;
    if request.method != Method::POST {
        if !opens_a_page(request.headers) {
            return Err(Refusal::Shielded);
        }
        let token = Fields::read(request.query.as_bytes()).token;
        if !administrator.is_good(&token) {
            return Ok(no_link(request));
        }
        let fields = Fields::of_a_new_page(token);
        return Ok(form(StatusCode::OK, &fields, None, request));
    }
    let auth = proxy.auth.as_deref().ok_or(Refusal::NotFound)?;
    check_order(auth, request)?;
    let fields = Fields::read(request.form);
    if !administrator.is_good(&fields.token) {
        return Ok(no_link(request));
    }
    if let Some(fault) = fields.fault() {
        return Ok(form(StatusCode::BAD_REQUEST, &fields, Some(fault.into()), request));
    }
    match administrator.create(fields.token.clone(), fields.account()).await {
        Ok(()) => Ok(to_the_login(&fields.user)),
        Err(NotCreated::NoLink) => Ok(no_link(request)),
        Err(NotCreated::Busy) => {
            Ok(form(StatusCode::CONFLICT, &fields, Some(Text::LinkInUse.into()), request))
        }
        Err(NotCreated::Refused(why)) => {
            let fault = Text::KeycloakRefuses.with("reason", why);
            Ok(form(StatusCode::BAD_REQUEST, &fields, Some(fault), request))
        }
        Err(NotCreated::Failed(why)) => {
            let fault = Text::AccountNotCreated.with("reason", why);
            Ok(form(StatusCode::BAD_GATEWAY, &fields, Some(fault), request))
        }
    }
}

fn form(
    status: StatusCode,
    fields: &Fields,
    fault: Option<Message>,
    request: EndpointRequest<'_>,
) -> Response<Bytes> {
    let frame = request.format.frame(Text::CreateAdministrator);
    compose::html(status, &Page { frame, fields, fault, path: PATH }, request.format)
}

fn no_link(request: EndpointRequest<'_>) -> Response<Bytes> {
    let reply = Reply::Page {
        status: StatusCode::FORBIDDEN,
        title: Text::LinkNotValid.into(),
        message: Text::NoAdminLink.into(),
        action: None,
        link: Some((Text::YourApps.into(), "/_appliance/".to_owned())),
        retry_after: None,
        cookies: Vec::new(),
    };
    compose::reply(reply, request.format)
}

/// The login leads to the portal; the form of the issuer has the name already.
fn to_the_login(user: &str) -> Response<Bytes> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("rd", "/_appliance/")
        .append_pair("login_hint", user)
        .finish();
    let mut response = compose::empty(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::from_str(&format!("/oauth2/start?{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::with_marked_frame;
    use crate::texts::leftovers::leftovers;

    #[test]
    fn no_word_of_the_form_is_outside_of_the_texts() {
        let page = with_marked_frame(|frame| {
            let (fields, fault) = (&Fields::default(), Some(Text::FillAll.into()));
            Page { frame, fields, fault, path: PATH }.render().unwrap()
        });
        assert_eq!(leftovers(&page), [""; 0], "{page}");
    }

    #[test]
    fn the_login_begins_with_the_name_and_leads_to_the_portal() {
        let response = to_the_login("ada & co");
        assert_eq!(
            response.headers()[LOCATION],
            "/oauth2/start?rd=%2F_appliance%2F&login_hint=ada+%26+co"
        );
    }
}
