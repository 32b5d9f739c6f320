//! Who may open what after an import of nginx and oauth2-proxy: nothing that was closed is opened.

use super::golden::passes_the_check;

/// Imports the files and returns `access` and `rules` of each app, and the lines for stderr.
fn imported(files: &[(&str, &str)]) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let imported = super::import(&[folder.path().to_owned()], &|_| None).unwrap();
    passes_the_check(&imported.text);
    let table: toml::Table = imported.text.parse().unwrap();
    let apps = table["apps"].as_table().unwrap();
    let of = |app: &toml::Value| {
        let rules = app.get("rules").and_then(toml::Value::as_array).into_iter().flatten();
        let rules = rules.map(|rule| {
            let access = rule.get("access").map(shown).unwrap_or_default();
            format!("; {} {access}", rule["path"].as_str().unwrap())
        });
        let access = app.get("access").map(shown).unwrap_or_default();
        format!("{} {access}{}", app["path"].as_str().unwrap(), rules.collect::<String>())
    };
    let mut found: Vec<_> = apps.values().map(of).collect();
    found.sort();
    (found, imported.missing.join("\n"))
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(kinds) => {
            let kinds = kinds.iter().map(|(kind, value)| format!("{kind}={value}"));
            kinds.collect::<Vec<_>>().concat()
        }
        text => text.as_str().unwrap_or_default().to_owned(),
    }
}

/// The policies of a server with these locations.
fn server(locations: &str) -> (Vec<String>, String) {
    let text = format!(
        "server {{ listen 80; server_name a.org;
        location /oauth2/ {{ proxy_pass http://127.0.0.1:4180; }} {locations} }}"
    );
    imported(&[("nginx.conf", &text)])
}

const ALL: &str = "proxy_pass http://10.0.0.1:80;";

#[test]
fn a_closed_part_of_a_public_app_stays_closed() {
    for (locations, found) in [
        (
            "location / { ALL } location /admin/ { auth_request /oauth2/auth; ALL }",
            "/ public; /admin/** signed-in",
        ),
        // The other way round, and a part that has the policy of the whole.
        (
            "location / { auth_request /oauth2/auth; ALL } location /open/ { ALL }",
            "/ signed-in; /open/** public",
        ),
        ("location / { ALL } location /open/ { ALL }", "/ public"),
        (
            "location / { ALL } location /a/ { auth_request /oauth2/auth?allowed_groups=g; ALL }",
            "/ public; /a/** groups=[\"g\"]",
        ),
        ("location / { ALL } location /a/ { deny all; ALL }", "/ public; /a/** signed-in"),
    ] {
        assert_eq!(server(&locations.replace("ALL", ALL)).0, [found], "{locations}");
    }
}

#[test]
fn rules_have_the_constraints_of_all_apps() {
    let nginx = "server { listen 80; server_name a.org;
        location /oauth2/ { proxy_pass http://127.0.0.1:4180; }
        location / { proxy_pass http://10.0.0.1:80; }
        location /in/ { auth_request /oauth2/auth; proxy_pass http://10.0.0.1:80; }
        location /team/ { auth_request /oauth2/auth?allowed_groups=g; proxy_pass http://10.0.0.1:80; }
        location /own { auth_request /oauth2/auth; proxy_pass http://10.0.0.2:80; }
    }";
    let gate = "OAUTH2_PROXY_OIDC_ISSUER_URL=https://issuer.example.org
OAUTH2_PROXY_CLIENT_ID=web
OAUTH2_PROXY_EMAIL_DOMAINS=b.org
";
    let (apps, _) = imported(&[("nginx.conf", nginx), ("oauth2-proxy.env", gate)]);
    assert_eq!(
        apps,
        [
            "/ public; /team/** email_domains=[\"b.org\"]groups=[\"g\"]; /in/** email_domains=[\"b.org\"]",
            // `[access] default` counts.
            "/own ",
        ]
    );
}

#[test]
fn a_part_of_a_part_has_its_own_policy() {
    for (locations, found) in [
        (
            "location / { GATE ALL } location /a/ { ALL } location /a/b/ { GATE ALL }",
            "/ signed-in; /a/b/** signed-in; /a/** public",
        ),
        (
            "location / { ALL } location /a/ { GATE ALL } location /a/b { GATE ALL }",
            "/ public; /a/** signed-in",
        ),
        (
            "location / { ALL } location /a/ { GATE ALL } location /ab/ { ALL }",
            "/ public; /a/** signed-in",
        ),
    ] {
        let locations = locations.replace("ALL", ALL).replace("GATE", "auth_request /oauth2/auth;");
        assert_eq!(server(&locations).0, [found], "{locations}");
    }
}

#[test]
fn an_exact_location_opens_nothing_below_it() {
    for (locations, found) in [
        ("location / { GATE ALL } location = /x { ALL }", &["/ signed-in; /x public"][..]),
        ("location / { GATE ALL } location /x { ALL }", &["/ signed-in; /x/** public"]),
        ("location / { ALL } location = /x { GATE ALL }", &["/ public; /x signed-in"]),
        ("location = / { ALL } location / { GATE ALL }", &["/ signed-in; / public"]),
        ("location = /x { ALL } location /x/ { GATE ALL }", &["/x signed-in; / public"]),
        // Alone, or beside another app.
        ("location = /x { ALL }", &["/x signed-in; / public"]),
        ("location = /x { GATE ALL }", &["/x signed-in"]),
        (
            "location = /x { auth_request /oauth2/auth?allowed_groups=g; ALL }",
            &["/x groups=[\"g\"]"],
        ),
        ("location /x { ALL }", &["/x public"]),
        (
            "location / { GATE proxy_pass http://10.0.0.2:80; } location = /x { ALL }",
            &["/ signed-in", "/x signed-in; / public"],
        ),
        // The parts of another app are no parts of the whole around both.
        (
            "location / { GATE ALL } location /x/ { GATE proxy_pass http://10.0.0.2:80; } location /x/y { ALL }",
            &["/ signed-in", "/x signed-in", "/x/y public"],
        ),
    ] {
        let locations = locations.replace("ALL", ALL).replace("GATE", "auth_request /oauth2/auth;");
        let (apps, missing) = server(&locations);
        assert_eq!(apps, found, "{locations}");
        let is_lone = found.iter().any(|app| app.starts_with("/x")) && locations.contains("= /x {");
        let is_lone = is_lone && !locations.contains("location /x/ {");
        assert_eq!(missing.contains("matched this path alone"), is_lone, "{locations}: {missing}");
    }
    let (apps, missing) = server(
        "location = /x { proxy_pass http://10.0.0.1:80; } location /x/ { auth_request /oauth2/auth; proxy_pass http://10.0.0.2:80; }",
    );
    assert_eq!(apps, ["/x signed-in"]);
    assert!(missing.contains("`location = /x` leads to another app"), "{missing}");
}

#[test]
fn the_first_of_two_equal_locations_counts() {
    let server = |access: &str, port: u16, path: &str| {
        format!("server {{ listen {port}; location {path} {{ {access} {ALL} }} }}\n")
    };
    let gate = "auth_request /oauth2/auth;";
    for path in ["/", "/x"] {
        for (first, second, found) in [(gate, "", "signed-in"), ("", gate, "public")] {
            let text = server(first, 80, path) + &server(second, 81, path);
            let (apps, missing) = imported(&[("nginx.conf", &text)]);
            assert_eq!(apps, [format!("{path} {found}")]);
            assert!(missing.contains("has two policies"), "{missing}");
        }
        let text = server(gate, 80, path) + &server(gate, 81, path);
        assert!(!imported(&[("nginx.conf", &text)]).1.contains("the first one counts"));
    }
}

#[test]
fn what_was_closed_in_another_way_is_not_public() {
    for (restriction, access) in [
        ("deny all;", "signed-in"),
        ("auth_basic x;", "signed-in"),
        ("limit_except GET { deny all; }", "signed-in"),
        ("limit_except GET { auth_basic x; }", "signed-in"),
        ("if ($http_x_key != k) { return 403; }", "signed-in"),
        ("limit_except GET { allow all; }", "public"),
        ("if ($host = old.org) { return 301 https://a.org; }", "public"),
        ("auth_basic off;", "public"),
        ("", "public"),
    ] {
        let (apps, _) = server(&format!("location /x {{ {restriction} {ALL} }}"));
        assert_eq!(apps, [format!("/x {access}")], "{restriction}");
    }
}
