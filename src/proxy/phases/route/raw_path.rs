//! `raw_path`: an app that gets ambiguous paths as they came.
//!
//! Encoded slashes, `;` and `//` are never separators here, so such a path has the same prefix as the
//! proxy reads. The app may read it in another way. The proxy refuses a path that some server would
//! read as a path of another app, of the appliance, or of a hidden part of the app.

use super::routed_app::RoutedApp;
use super::routes::RouteMatch;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::path::AdmittedPath;

const ELSEWHERE: &str = "the path can also be read as a path of another app or of the appliance";
/// The paths of the appliance's endpoints.
const OWN: [&str; 2] = ["/oauth2", "/_appliance"];

/// Refuses an ambiguous path unless it belongs to an app with `raw_path` in every reading.
pub(crate) fn check(found: Option<RouteMatch<'_>>, path: &AdmittedPath) -> Result<(), Refusal> {
    let Some(ambiguous) = path.ambiguous() else { return Ok(()) };
    let refused = Err(Refusal::Path(ambiguous.fault));
    let Some(RouteMatch { app, nested, .. }) = found else { return refused };
    if !app.route.raw_path {
        return refused;
    }
    let inner = nested.iter().map(|inner| inner.route.path.clone());
    let own = OWN.map(str::to_owned);
    let mut others = inner.chain(own).chain(closed_parts(app));
    if others.any(|prefix| ambiguous.lenient.may_be_below(&prefix)) {
        return Err(Refusal::Malformed(ELSEWHERE));
    }
    Ok(())
}

/// The parts of the app that are hidden, or do not answer everybody.
fn closed_parts(app: &RoutedApp) -> impl Iterator<Item = String> {
    let route = &app.route;
    let parts = [&route.hidden_paths, &route.shield.pages, &route.shield.programs];
    parts.into_iter().flatten().map(|part| format!("{}{part}", route.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::links::AppLinks;
    use crate::proxy::phases::admit::host::parse_host;
    use crate::proxy::phases::route::routes::Routes;
    use crate::proxy::tests::{app, config};

    /// The app that gets the path; `None` if the path is refused.
    fn served(path: &str) -> Option<String> {
        let mut apps = vec![
            app("root", "/", 1),
            app("raw", "/raw", 1),
            app("inner", "/raw/Inner", 1),
            app("deep", "/raw/inner/deep", 1),
            app("strict", "/strict", 1),
        ];
        for at in [0, 1, 3] {
            apps[at].route.as_mut().unwrap().raw_path = true;
        }
        apps[1].route.as_mut().unwrap().hidden_paths = vec!["/metrics".to_owned()];
        let routes = Routes::new(&config(8080, apps), &AppLinks::default(), None);
        let path = AdmittedPath::new(path.parse().unwrap()).ok()?;
        let found = routes.find(parse_host("localhost:8080").unwrap(), path.decoded());
        check(found, &path).ok()?;
        Some(found?.app.name.to_string())
    }

    #[test]
    fn an_app_with_raw_path_gets_ambiguous_paths() {
        for (path, app) in [
            ("/raw/a;b.csv", "raw"),
            ("/raw/a%3Bb.csv", "raw"),
            ("/raw/c%2Fd.txt", "raw"),
            ("/raw/c%2fd;x//y%2F", "raw"),
            ("/raw//", "raw"),
            ("/raw/", "raw"),
            ("/raw/x/inner%2Fy", "raw"),
            ("/raw/innermost;x", "raw"),
            ("/raw/inner/deep/a;b", "deep"),
            ("/raw/inner/deep//b", "deep"),
            ("/x;y", "root"),
            ("/rawer;y", "root"),
            ("//x", "root"),
            ("/x%2Fraw", "root"),
            ("/strict/x", "strict"),
            ("/raw/Inner/x", "inner"),
        ] {
            assert_eq!(served(path).as_deref(), Some(app), "{path}");
        }
    }

    #[test]
    fn what_may_belong_to_another_app_is_refused() {
        for path in [
            "/strict/a;b",
            "/strict/a%2Fb",
            "/strict//a",
            "/raw/Inner/a;b",
            "/raw//Inner",
            "/raw/inner;x",
            "/raw/%2Finner/x",
            "/raw/inner%2Fdeep/x",
            "/raw/INNER%3B/x",
            "/raw/;/inner",
            "/raw;x/y",
            "/raw%2Fy",
            "//raw/y",
            "/%2Fstrict",
            "/strict;x",
            "/;x%2Fstrict/y",
            "//oauth2/callback",
            "/oauth2%2Fsign_out",
            "/_appliance;x/live",
            "/oauth2/start;x",
            "/raw//metrics",
            "/raw/metrics;x",
            "/raw/..;/strict",
            "/raw/..%2Fstrict",
            "/raw/%2e%2e/strict",
            "/raw//../strict",
            "/raw/%2e%2e%2fstrict",
            "/raw/a;b/.",
            "/raw/a;%5C",
            "/raw/a;\\x",
            "/raw/a;%00",
            "/raw/a;%0a",
            "/raw/a;%4",
        ] {
            assert_eq!(served(path), None, "{path}");
        }
    }
}
