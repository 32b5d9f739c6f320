//! No secret of the sources is printed, and what is printed is a valid file.

use super::golden::passes_the_check;

/// The text and the lines for stderr of an import of these files.
fn imported(files: &[(&str, &str)]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let imported = super::import(&[folder.path().to_owned()], &|_| None).unwrap();
    passes_the_check(&imported.text);
    (imported.text, imported.missing.join("\n"))
}

fn programs(text: &str) -> (toml::Table, String) {
    let (text, lines) = imported(&[("supervisord.conf", text)]);
    let table: toml::Table = text.parse().unwrap();
    (table["apps"].as_table().unwrap().clone(), lines)
}

#[test]
fn a_secret_that_is_also_a_name_leaves_the_names() {
    let (apps, lines) = programs(
        "[program:keycloak]
command=/opt/keycloak/bin/kc.sh start --db-url=jdbc:postgresql://db/keycloak --log keycloak
environment=KC_DB_PASSWORD=\"keycloak\",KC_DB_USERNAME=\"keycloak\",KC_HOME=\"/opt/keycloak\",keycloak=\"1\"
",
    );
    let app = &apps["keycloak"];
    let command: Vec<_> =
        app["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(
        command,
        [
            "/opt/keycloak/bin/kc.sh",
            "start",
            "--db-url=jdbc:postgresql://db/keycloak",
            "--log",
            "${KC_DB_PASSWORD:-}",
        ]
    );
    let env = &app["env"];
    assert_eq!(env["KC_DB_PASSWORD"]["env"].as_str(), Some("KC_DB_PASSWORD"));
    assert_eq!(env["KC_DB_USERNAME"]["env"].as_str(), Some("KC_DB_USERNAME"));
    assert_eq!(env["KC_HOME"].as_str(), Some("/opt/keycloak"));
    assert_eq!(env["keycloak"].as_str(), Some("1"));
    assert!(lines.contains("export KC_DB_USERNAME=…"), "{lines}");
}

/// Each text has the secret a second time, where its name does not say that it is one.
#[test]
fn a_secret_that_stands_twice_is_a_variable_twice() {
    for (second, written) in [
        (
            "environment=A_TOKEN=\"hunter2-xyz\",COPY=\"hunter2-xyz\"",
            r#"COPY = { env = "WEB_COPY" }"#,
        ),
        (
            "environment=A_TOKEN=\"hunter2-xyz\",DSN=\"host=db pw=hunter2-xyz port=1\"",
            r#"DSN = "host=db pw=${A_TOKEN:-} port=1""#,
        ),
        ("environment=A_TOKEN=\"hunter2-xyz\"\ncommand=web -phunter2-xyz", r#""-p${A_TOKEN:-}""#),
        (
            "environment=DB_URL=\"postgres://u:hunter2-xyz@db/x\",OPTS=\"-w hunter2-xyz\"",
            r#"OPTS = "-w ${WEB_OPTS:-}""#,
        ),
        // The program that has the secret comes later.
        (
            "environment=COPY=\"hunter2-xyz\"\n[program:z]\ncommand=z --token=hunter2-xyz",
            r#"COPY = { env = "WEB_COPY" }"#,
        ),
        // A text that only looks like it.
        ("environment=A_TOKEN=\"hunter2-xyz\",COPY=\"hunter3-xyz\"", r#"COPY = "hunter3-xyz""#),
    ] {
        let command = if second.contains("\ncommand=web") { "" } else { "command=web\n" };
        let text = format!("[program:web]\n{command}{second}\n");
        let (text, lines) = imported(&[("supervisord.conf", &text)]);
        assert!(!text.contains("hunter2") && !lines.contains("hunter2"), "{text}\n{lines}");
        assert!(text.contains(written), "{second}: {text}");
    }
}

#[test]
fn arguments_of_streamlit_have_no_secret() {
    let supervisord = "[program:one]
command=streamlit run one.py --server.port 8501 -- --token hunter2-of-one --mode fast
";
    let nginx = "server { location / { proxy_pass http://127.0.0.1:8501; } }";
    let (text, lines) = imported(&[("supervisord.conf", supervisord), ("nginx.conf", nginx)]);
    assert!(!text.contains("hunter2") && !lines.contains("hunter2"), "{text}\n{lines}");
    assert!(
        text.contains(r#"args = ["--", "--token", "${ONE_TOKEN:-}", "--mode", "fast"]"#),
        "{text}"
    );
}

#[test]
fn remarks_show_no_secret() {
    for (name, source, shown) in [
        (
            "nginx.conf",
            "server { location / { proxy_pass http://127.0.0.1:1; }
            location /x { proxy_pass http://me:hunter2@$host; } }",
            "`proxy_pass http://me:***@$host` is no fixed address",
        ),
        (
            "nginx.conf",
            "server { location / { proxy_pass http://127.0.0.1:1;
            if ($http_x_api != \"hunter2\") { return 403; } } }",
            "`if ($http_x_api …)`",
        ),
        (
            "oauth2-proxy.env",
            "OAUTH2_PROXY_OIDC_ISSUER_URL=https://issuer.example.org
OAUTH2_PROXY_UPSTREAMS=ftp://me:hunter2@store/x,http://127.0.0.1:1/",
            "`upstreams`: ftp://me:***@store/x is no address",
        ),
        (
            "supervisord.conf",
            "[program:x]\ncommand=x\nenvironment=A_TOKEN=\"hunter2\",B-C=\"1\"\nhunter2=1\n",
            "`***`: the appliance has no such setting",
        ),
    ] {
        let (text, lines) = imported(&[(name, source)]);
        assert!(!text.contains("hunter2") && !lines.contains("hunter2"), "{text}\n{lines}");
        assert!(lines.contains(shown), "{shown}: {lines}");
    }
}
