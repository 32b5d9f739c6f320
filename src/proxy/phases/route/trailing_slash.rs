//! `trailing_slash`: the address of an app's first page ends with a slash.
//!
//! A browser resolves the relative links of a page against the folder of its address. Below `/app`
//! without a slash they would lead to the root of the site instead of to the app.

use http::Method;

use super::routed_app::RoutedApp;
use crate::proxy::phases::admit::path::AdmittedPath;

/// The address with the slash, for a GET or HEAD of exactly the app's path. Every other request
/// reaches the app: a redirect could lose its body.
pub(crate) fn location(
    app: &RoutedApp,
    method: &Method,
    path: &AdmittedPath,
    websocket: bool,
) -> Option<String> {
    let route = &app.route;
    let is_page = matches!(*method, Method::GET | Method::HEAD) && !websocket;
    let is_bare = path.decoded() == route.path.as_bytes() && route.path != "/";
    if !(route.trailing_slash && is_page && is_bare) {
        return None;
    }
    let sent = path.sent();
    let query = sent.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}/{query}", sent.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::{app, config, routed_app};

    fn redirected(path: &str, slash: bool, method: &Method, target: &str) -> Option<String> {
        let mut app = app("sh", path, 1);
        app.route.as_mut().unwrap().trailing_slash = slash;
        let app = routed_app(&config(8080, vec![app]));
        let admitted = AdmittedPath::new(target.parse().unwrap()).unwrap();
        location(&app, method, &admitted, false)
    }

    #[test]
    fn exactly_the_path_of_the_app_gets_a_slash() {
        for (target, wanted) in [
            ("/sh", Some("/sh/")),
            ("/sh?x=1&y", Some("/sh/?x=1&y")),
            ("/sh?", Some("/sh/?")),
            ("/%73h?x=%2F", Some("/%73h/?x=%2F")),
            ("/sh/", None),
            ("/sh/x", None),
        ] {
            let wanted = wanted.map(str::to_owned);
            assert_eq!(redirected("/sh", true, &Method::GET, target), wanted, "{target}");
            assert_eq!(redirected("/sh", true, &Method::HEAD, target), wanted, "{target}");
            assert_eq!(redirected("/sh", true, &Method::POST, target), None, "{target}");
            assert_eq!(redirected("/sh", false, &Method::GET, target), None, "{target}");
        }
        assert_eq!(redirected("/", true, &Method::GET, "/"), None);
        assert_eq!(redirected("/a/b", true, &Method::GET, "/a/b").as_deref(), Some("/a/b/"));
    }

    #[test]
    fn a_handshake_reaches_the_app() {
        let mut app = app("sh", "/sh", 1);
        app.route.as_mut().unwrap().trailing_slash = true;
        let app = routed_app(&config(8080, vec![app]));
        let admitted = AdmittedPath::new("/sh".parse().unwrap()).unwrap();
        assert_eq!(location(&app, &Method::GET, &admitted, true), None);
    }
}
