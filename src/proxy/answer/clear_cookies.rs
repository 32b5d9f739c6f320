//! The way out for a browser whose cookies are larger than the headers of a request may be: a response
//! that deletes them.

use bytes::Bytes;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::compose::empty;

/// The address of the button on the page about too large cookies.
pub(crate) const PATH: &str = "/_appliance/cookies";
pub(crate) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Most cookies that are deleted by name.
const MOST: usize = 100;

/// A redirect to the first page that deletes all cookies of the site. Browsers obey
/// `Clear-Site-Data` only over https and on the same machine, so the cookies in `names` are deleted by
/// name as well.
pub(crate) fn respond<'a>(names: impl Iterator<Item = &'a str>) -> Response<Bytes> {
    let mut response = empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cookies\""));
    for name in names.filter(|name| is_name(name)).take(MOST) {
        let secure = if name.starts_with("__") { "; Secure" } else { "" };
        if let Ok(line) = HeaderValue::from_str(&format!("{name}=; Max-Age=0; Path=/{secure}")) {
            headers.append(SET_COOKIE, line);
        }
    }
    response
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_deleted_as_a_whole_and_by_name() {
        let names = ["a", "", "b c", "__Host-x", "e,", "\u{e9}"];
        let response = respond(names.into_iter());
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()[CLEAR_SITE_DATA], "\"cookies\"");
        let lines: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(lines, ["a=; Max-Age=0; Path=/", "__Host-x=; Max-Age=0; Path=/; Secure"]);
        let many: Vec<String> = (0..500).map(|at| format!("c{at}")).collect();
        let response = respond(many.iter().map(String::as_str));
        assert_eq!(response.headers().get_all(SET_COOKIE).iter().count(), MOST);
    }
}
