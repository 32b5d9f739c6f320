//! The policies that each spelling of a path must meet.

use http::Method;

use super::*;
use crate::config::{Constraints, PathPattern, Rule, StaticFiles};
use crate::proxy::links::AppLinks;
use crate::proxy::phases::admit::host::parse_host;
use crate::proxy::phases::route::routes::Routes;
use crate::proxy::tests::{app, config};

fn only(group: &str) -> Access {
    Access::Only(Constraints { groups: vec![group.to_owned()], ..Constraints::default() })
}

fn rule(path: &str, methods: &[&str], access: Access) -> Rule {
    Rule {
        path: PathPattern::new(path),
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        access,
        api: false,
    }
}

/// The requirements for a site with these rules: the names of the groups that may read, or `public`.
fn site_needs(spa: bool, rules: &[(&str, &str)], path: &str) -> Vec<String> {
    let mut site = app("site", "/site", 1);
    let route = site.route.as_mut().unwrap();
    route.files = Some(StaticFiles { folder: "/s".into(), index: "index.html".into(), spa });
    route.rules = rules
        .iter()
        .map(|(path, group)| {
            rule(path, &[], if *group == "public" { Access::Public } else { only(group) })
        })
        .collect();
    let routes = Routes::new(&config(8080, vec![site]), &AppLinks::default(), None);
    names(&routes, "GET", false, path).unwrap()
}

/// A wiki with rules, two routes nested below it, a stripped app, an app of which a part is exposed, and an
/// app beside the wiki whose rules name methods.
fn routes() -> Routes {
    let mut wiki = app("wiki", "/wiki", 1);
    let route = wiki.route.as_mut().unwrap();
    route.access = Access::SignedIn;
    route.rules = vec![
        rule("/pub:lic/**", &["GET"], Access::Public),
        rule("/open/**", &[], Access::Public),
        rule("/Special:X/**", &[], only("admins")),
        rule("/caf%C3%A9/*", &[], only("cooks")),
        rule("/what?".replace('?', "%3F").as_str(), &[], only("curious")),
        rule("/open/**", &["DELETE"], only("never: the first match wins")),
    ];
    let mut nested = app("nested", "/wiki/Nested:1", 1);
    nested.route.as_mut().unwrap().access = only("nested");
    let mut loose = app("loose", "/wiki/loose", 1);
    loose.route.as_mut().unwrap().access = Access::Public;
    let mut stripped = app("stripped", "/s", 1);
    let route = stripped.route.as_mut().unwrap();
    route.strip_prefix = true;
    route.rules = vec![rule("/admin", &[], only("admins"))];
    let mut auth = app("auth", "/auth", 1);
    let route = auth.route.as_mut().unwrap();
    route.exposed = vec!["/realms/demo/".into(), "/resources".into()];
    route.hidden_paths = vec!["/realms/demo/hidden".into()];
    let mut live = app("live", "/live", 1);
    let route = live.route.as_mut().unwrap();
    route.access = only("staff");
    route.rules = vec![
        rule("/read/**", &["GET"], Access::Public),
        rule("/open/**", &[], Access::Public),
        rule("/admin/**", &["GET", "POST"], only("admins")),
    ];
    Routes::new(
        &config(8080, vec![wiki, nested, loose, stripped, auth, live]),
        &AppLinks::default(),
        None,
    )
}

/// The accesses that a request needs, without repetition; `None` when nothing is reachable.
fn needs(method: &str, path: &str) -> Option<Vec<String>> {
    needs_of(method, false, path)
}

fn needs_of(method: &str, websocket: bool, path: &str) -> Option<Vec<String>> {
    names(&routes(), method, websocket, path)
}

fn names(routes: &Routes, method: &str, websocket: bool, path: &str) -> Option<Vec<String>> {
    let path = AdmittedPath::new(path.parse().unwrap()).unwrap();
    let found = routes.find(parse_host("localhost:8080").unwrap(), path.decoded()).unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let requirements = Requirements::new(found, Act { method: &method, websocket }, &path)?;
    let mut names: Vec<String> = requirements
        .policies()
        .map(|policy| match policy.access {
            Access::Public => "public".to_owned(),
            Access::SignedIn => "signed-in".to_owned(),
            Access::Only(constraints) => constraints.groups.join(" "),
            Access::AnyOf(_) => panic!("no list is tested here"),
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[test]
fn a_rule_that_narrows_holds_in_every_spelling() {
    for path in [
        "/wiki/Special:X",
        "/wiki/Special:X/y",
        "/wiki/Special%3AX/y",
        "/wiki/Special%3aX/y",
        "/wiki/%53pecial:X/y",
        "/wiki/special:x/y",
        "/wiki/SPECIAL%3aX/",
        "/%77iki/Special:X",
        "/wiki/Special%253AX/y",
        "/wiki/Special:X%3Fy",
        "/wiki/Special:X%23y",
        "/wiki/Special:X%253Fy",
        "/wiki/Special:X%253Bv=1/y",
        "/wiki/Special:X.",
        "/wiki/Special:X%20/y",
        "/wiki/+Special:X/y",
        "/wiki/Sp%FFecial:X",
        "/wiki/%EF%BC%B3pecial:X",
        "/wiki/Special%25253AX/y",
        "/wiki/x/..%252fSpecial:X",
        "/wiki/x/%25252e%25252e%25252fSpecial:X",
    ] {
        let needed = needs("GET", path).unwrap();
        assert!(needed.contains(&"admins".to_owned()), "{path} {needed:?}");
    }
    for path in ["/wiki/caf%C3%A9/x", "/wiki/caf%c3%a9/x", "/wiki/CAF%C3%89/x"] {
        assert!(needs("GET", path).unwrap().contains(&"cooks".to_owned()), "{path}");
    }
    assert_eq!(needs("GET", "/wiki/what%3F"), Some(vec!["curious".into(), "signed-in".into()]));
    for path in ["/wiki/Special", "/wiki/Special:Xy", "/wiki/x/Special:X", "/wiki/caf%E9/x"] {
        assert_eq!(needs("GET", path), Some(vec!["signed-in".into()]), "{path}");
    }
}

#[test]
fn a_rule_that_widens_holds_in_its_own_spelling() {
    for path in ["/wiki/pub:lic/x", "/wiki/pub:lic/x%3Ay%20z", "/wiki/open/100%25", "/wiki/open"] {
        assert_eq!(needs("GET", path), Some(vec!["public".into()]), "{path}");
    }
    assert_eq!(needs("HEAD", "/wiki/pub:lic/x"), Some(vec!["public".into()]));
    assert_eq!(needs("POST", "/wiki/pub:lic/x"), Some(vec!["signed-in".into()]));
    assert_eq!(needs("DELETE", "/wiki/open/x"), Some(vec!["public".into()]));
    for path in [
        "/wiki/pub%3Alic/x",
        "/wiki/PUB:LIC/x",
        "/wiki/%6Fpen/x",
        "/wiki/Open/x",
        "/wiki/open/%252e%252e/secret",
        "/wiki/open/..%255csecret",
        "/wiki/open%3F/x",
    ] {
        assert!(needs("GET", path).unwrap().contains(&"signed-in".to_owned()), "{path}");
    }
}

#[test]
fn a_rule_that_narrows_holds_for_every_name_of_a_file() {
    let shut = &[("/a/index.html", "staff"), ("/d.json", "admins"), ("/only.js.gz", "boss")][..];
    for (path, wanted) in [
        ("/site/a/", "staff"),
        ("/site/%61/", "staff"),
        ("/site/a/index.html.br", "staff"),
        ("/site/d.json.gz", "admins"),
        ("/site/D.JSON.zst", "admins"),
        ("/site/d.json.gz.br", "admins"),
        ("/site/only.js", "boss"),
    ] {
        let needed = site_needs(false, shut, path);
        assert!(needed.contains(&wanted.to_owned()), "{path} {needed:?}");
    }
    for path in ["/site/", "/site/a/b.html", "/site/b/", "/site/d.json.xz", "/site/d", "/site/x"] {
        assert_eq!(site_needs(false, shut, path), ["public"], "{path}");
    }
    let home = &[("/index.html", "staff")][..];
    for (spa, path, wanted) in [
        (false, "/site", "staff"),
        (false, "/site/", "staff"),
        (false, "/site/page", "public"),
        (true, "/site/page", "staff"),
        (true, "/site/a/", "staff"),
        (true, "/site/assets/app.js", "public"),
    ] {
        let needed = site_needs(spa, home, path);
        assert!(needed.contains(&wanted.to_owned()), "{path} {needed:?}");
        assert!(wanted == "staff" || needed.len() == 1, "{path} {needed:?}");
    }
}

#[test]
fn an_exception_before_a_rule_stays_one() {
    for (rules, path, wanted) in [
        (&[("/", "public"), ("/**", "staff")][..], "/site/", &["public"][..]),
        (&[("/d.json.gz", "public"), ("/**", "staff")], "/site/d.json.gz", &["public"]),
        (&[("/open/**", "public"), ("/**", "staff")], "/site/open/", &["public"]),
        (&[("/", "public"), ("/**", "staff")], "/site/index.html", &["public", "staff"]),
        (&[("/**", "staff"), ("/d.json", "admins")], "/site/d.json.gz", &["staff"]),
    ] {
        assert_eq!(site_needs(false, rules, path), wanted, "{path} {rules:?}");
    }
    // A page of a program is not the index of a folder.
    assert_eq!(needs("GET", "/s/admin.gz"), Some(vec!["public".into()]));
}

#[test]
fn a_nested_route_counts_like_a_rule() {
    assert_eq!(needs("GET", "/wiki/Nested:1/x"), Some(vec!["nested".into()]));
    assert_eq!(needs("GET", "/wiki/Nested%3A1/x"), Some(vec!["nested".into()]));
    for path in ["/wiki/nested:1/x", "/wiki/NESTED%3A1", "/wiki/Nested%253A1/x"] {
        assert_eq!(needs("GET", path), Some(vec!["nested".into(), "signed-in".into()]), "{path}");
    }
    assert_eq!(needs("GET", "/wiki/loose/x"), Some(vec!["public".into()]));
    assert_eq!(needs("GET", "/wiki/LOOSE/x"), Some(vec!["public".into(), "signed-in".into()]));
}

#[test]
fn only_what_is_exposed_is_reachable() {
    for (path, wanted) in [
        ("/auth/realms/demo/x", true),
        ("/auth/realms/demo/a%20b%3Ac", true),
        ("/auth/resources", true),
        ("/auth/realms/demo/hidden/x", false),
        ("/auth/realms/demo/HIDDEN/x", false),
        ("/auth/realms/demo/%68idden", false),
        ("/auth/realms/demo/hidden%3Fx", false),
        ("/auth/realms/demo/x/%252e%252e/hidden", false),
        ("/auth/realms/demo/%252e%252e/master", false),
        ("/auth/realms/d%65mo/x", false),
        ("/auth/realms/DEMO/x", false),
        ("/auth/realms/demox", false),
        ("/auth/realms/master", false),
        ("/auth/admin/", false),
        ("/auth", false),
    ] {
        assert_eq!(needs("GET", path).is_some(), wanted, "{path}");
    }
}

#[test]
fn a_stripped_app_gets_the_rest_as_it_was_sent() {
    let routes = routes();
    for (sent, upstream) in [
        ("/s", "/"),
        ("/s/", "/"),
        ("/s/a%3Ab/c", "/a%3Ab/c"),
        ("/%73/a", "/a"),
        ("/s/%73/s/", "/%73/s/"),
    ] {
        let path = AdmittedPath::new(sent.parse().unwrap()).unwrap();
        let found = routes.find(parse_host("localhost:8080").unwrap(), path.decoded()).unwrap();
        assert_eq!(found.app.upstream_path(path.sent().path()), upstream, "{sent}");
    }
    assert_eq!(needs("GET", "/s/admin"), Some(vec!["admins".into()]));
    for path in ["/%73/%61dmin", "/s/Admin", "/s/x/%252e%252e/admin"] {
        assert!(needs("GET", path).unwrap().contains(&"admins".into()), "{path}");
    }
}

/// One program may serve several apps, and find the path of another one when it decodes again.
#[test]
fn a_path_that_leads_to_an_app_beside_needs_its_access_too() {
    for path in [
        "/wiki/..%252flive/x",
        "/wiki/a/..%252f..%252fLIVE/x",
        "/wiki/%252e%252e/live./x",
        "/wiki/..%25252flive%253Bv/x",
        "/wiki/..%255clive/x%253Fy",
    ] {
        let needed = needs("GET", path).unwrap();
        assert_eq!(needed, ["signed-in", "staff"], "{path}");
    }
    assert_eq!(needs("GET", "/wiki/..%252fauth/admin"), None, "not exposed there either");
    for path in ["/wiki/..%252fnowhere", "/wiki/live/x", "/wiki/..live%252fx"] {
        assert_eq!(needs("GET", path), Some(vec!["signed-in".into()]), "{path}");
    }
    // The app gets only the rest of the path, and finds nothing of another app.
    assert_eq!(needs("GET", "/s/..%252flive/x"), Some(vec!["public".into()]));
}

#[test]
fn a_rule_that_names_methods_does_not_widen_a_handshake() {
    for (path, request, handshake) in [
        ("/live/read/x", &["public"][..], &["public", "staff"][..]),
        ("/live/open/x", &["public"], &["public"]),
        ("/live/admin/x", &["admins"], &["admins", "staff"]),
        ("/live/x", &["staff"], &["staff"]),
    ] {
        assert_eq!(needs("GET", path).unwrap(), request, "{path}");
        assert_eq!(needs_of("GET", true, path).unwrap(), handshake, "{path}");
    }
}

#[test]
fn each_segment_of_a_path_is_converted_once_and_only_where_a_rule_may_look_at_it() {
    let conversions = |path: &str| {
        let path = AdmittedPath::new(path.parse().unwrap()).unwrap();
        let host = parse_host("localhost:8080").unwrap();
        let mut apps = vec![app("plain", "/plain", 1), app("wiki", "/wiki", 1)];
        let rules = &mut apps[1].route.as_mut().unwrap().rules;
        rules.push(rule("/x/**", &[], only("readers")));
        let routes = Routes::new(&config(8080, apps), &AppLinks::default(), None);
        let found = routes.find(host, path.decoded()).unwrap();
        let act = Act { method: &Method::GET, websocket: false };
        let mut folder = Folder::default();
        let _ = Requirements::judged(found, act, &path, &mut folder);
        folder.conversions()
    };
    for (path, wanted) in [
        ("/wiki/a/b", 0),
        ("/wiki/caf%C3%A9/%EF%B7%BA", 2),
        // Eight readings.
        ("/wiki/caf%C3%A9/%EF%B7%BA/caf%C3%A9/%253F%253Bx", 2),
        ("/plain/%EF%B7%BA/x", 0),
        ("/plain/%EF%B7%BA/%253F%253Bx", 0),
        // What appears when the dots are read is a path of another app, perhaps.
        ("/plain/%252e%252e/%EF%B7%BA/%EF%B7%BA/%253F%253Bx", 1),
    ] {
        assert_eq!(conversions(path), wanted, "{path}");
    }
}
