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
        toml::Value::Table(kinds) => kinds.iter().map(|(kind, v)| format!("{kind}={v}")).collect(),
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
