//! The second path of a request: `Destination` of the methods `COPY` and `MOVE` (`WebDAV`, RFC 4918
//! section 10.3) names where the app writes. The request needs the access to that path, too.

use http::header::HeaderMap;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderName, HeaderValue, Method};

use super::destination::{self, Destination, Way};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::host::{Host, parse_host};
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::route::requirements::{Act, Requirements};
use crate::proxy::phases::route::routes::Routes;

const DESTINATION: HeaderName = HeaderName::from_static("destination");
const NOT_HERE: Refusal =
    Refusal::Malformed("the header Destination does not name a path of the app");

/// What a request must meet, if it has a `Destination`: also what a request with its method, and one that
/// writes, must meet there.
///
/// # Errors
///
/// `Destination` does not name one path of the same app.
pub(super) fn with_second_path(
    routes: &Routes,
    (way, host): (Way, Host<'_>),
    method: &Method,
    headers: &HeaderMap,
    mut requirements: Requirements,
) -> Result<Requirements, Refusal> {
    let mut values = headers.get_all(DESTINATION).iter();
    let path = match (values.next(), values.next()) {
        (None, _) => return Ok(requirements),
        (Some(value), None) => path(value, host).ok_or(NOT_HERE)?,
        (Some(_), Some(_)) => return Err(NOT_HERE),
    };
    let app = requirements.app().clone();
    // An app that gets no prefix may read the path with the prefix or without it.
    let with_prefix = app.route.strip_prefix.then(|| format!("{}{path}", app.route.path));
    let mut is_of_app = false;
    for path in [Some(path.as_str().to_owned()), with_prefix].into_iter().flatten() {
        let path = PathAndQuery::try_from(path).map_err(|_| NOT_HERE)?;
        let path = AdmittedPath::new(path)?;
        for method in [method, &Method::PUT] {
            let act = Act { method, websocket: false };
            match destination::find(routes, way, host, act, &path) {
                Ok(Destination::App(further)) if further.app().name == app.name => {
                    is_of_app = true;
                    requirements.add_all(&further);
                }
                Ok(_) | Err(Refusal::NotFound) => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    if is_of_app { Ok(requirements) } else { Err(NOT_HERE) }
}

/// The path of the header, which is a path or an address of this host.
fn path(value: &HeaderValue, host: Host<'_>) -> Option<PathAndQuery> {
    let uri: Uri = value.to_str().ok()?.trim().parse().ok()?;
    let is_here = |authority: &str| {
        parse_host(authority).is_some_and(|other| other.name.eq_ignore_ascii_case(host.name))
    };
    let path = uri
        .path_and_query()
        .filter(|path| path.path().starts_with('/') && !path.path().starts_with("//"))?;
    uri.authority().is_none_or(|authority| is_here(authority.as_str())).then(|| path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_path_of_this_host() {
        let host = parse_host("apps.test:8080").unwrap();
        for (text, wanted) in [
            ("/a/b?c", Some("/a/b?c")),
            ("https://apps.test/a", Some("/a")),
            ("http://APPS.test:8080/a", Some("/a")),
            ("http://other.test/a", None),
            ("//other.test/a", None),
            ("a/b", None),
            ("", None),
        ] {
            let found = path(&HeaderValue::from_static(text), host);
            assert_eq!(found.as_ref().map(PathAndQuery::as_str), wanted, "{text}");
        }
    }
}
