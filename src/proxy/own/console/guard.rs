//! Which requests the console takes from a browser.
//!
//! The cookie of an operator comes with every request to the origin, also with those that pages of apps
//! or of other sites cause. Browsers say in `Origin` and `Sec-Fetch-*` who asks.

use http::header::{HeaderMap, ORIGIN};

use super::super::endpoints::EndpointRequest;
use crate::auth::{Auth, intent};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser::{self, FETCH_SITE};

/// Whether a page of this origin sends an order. A browser must show the response as a page, so that no
/// script and no hidden frame of an app gives orders behind the back of the operator.
pub(in crate::proxy::own) fn check_order(
    auth: &Auth,
    request: EndpointRequest<'_>,
) -> Result<(), Refusal> {
    let headers = request.headers;
    let own = auth.origin(headers);
    if !headers.contains_key(ORIGIN) || !intent::is_own_form(headers, own) {
        return Err(Refusal::CrossSite);
    }
    if browser::opens_a_page(headers) { Ok(()) } else { Err(Refusal::Shielded) }
}

/// Whether the state may be shown: as a page of its own, which a link of another site may open, or to
/// programs and scripts of this origin.
pub(in crate::proxy::own) fn check_reader(request: EndpointRequest<'_>) -> Result<(), Refusal> {
    let headers = request.headers;
    if request.format.page {
        return if browser::opens_a_page(headers) { Ok(()) } else { Err(Refusal::Shielded) };
    }
    check_origin(headers)
}

/// Whether a log may be opened: only by programs and pages of this origin, and by the person.
pub(in crate::proxy::own) fn check_log(request: EndpointRequest<'_>) -> Result<(), Refusal> {
    check_origin(request.headers)
}

fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_foreign = |site: &http::HeaderValue| site != "same-origin" && site != "none";
    if headers.get(FETCH_SITE).is_some_and(is_foreign) { Err(Refusal::CrossSite) } else { Ok(()) }
}
