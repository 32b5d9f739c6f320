//! A folder with apps in place of a configuration file.

use std::fs::{create_dir, remove_file, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::Method;

use crate::fixture::SECRET;
use crate::harness::{Answer, Appliance, Browser, NAVIGATION, eventually};
use crate::issuer::Issuer;

/// In place of `uv`: makes an environment whose `gunicorn` serves the text of the script as it was at
/// the start, or ends if the script says so.
const UV: &str = r#"#!/bin/sh
for last; do :; done
[ "$1" = venv ] || exit 0
mkdir -p "$last/bin"
cat >"$last/bin/gunicorn" <<'END'
#!/usr/bin/env python3
import http.server, sys, os
word = lambda flag: sys.argv[sys.argv.index(flag) + 1]
text = open(os.path.join(word("--chdir"), sys.argv[-1].split(":")[0] + ".py")).read()
if "broken" in text:
    sys.exit("ModuleNotFoundError: No module named 'broken'")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
host, port = word("--bind").split(":")
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
END
chmod +x "$last/bin/gunicorn"
"#;

fn script(version: &str) -> String {
    format!("import flask\napp = flask.Flask(__name__)\n# version {version}\n")
}

struct Folder {
    appliance: Appliance,
    browser: Browser,
    _issuer: Issuer,
    _tools: tempfile::TempDir,
}

impl Folder {
    /// An appliance whose folder has what `prepare` puts into it, and a person who is signed in.
    async fn new(prepare: impl FnOnce(&Path)) -> Self {
        let issuer = Issuer::new().await;
        issuer.order(|orders| orders.client_secret = SECRET.into());
        issuer.order(|orders| orders.user = "alice".into());
        let tools = tempfile::tempdir().unwrap();
        let uv = tools.path().join("uv");
        write(&uv, UV).unwrap();
        std::fs::set_permissions(&uv, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
        let variables = [
            ("OIDC_ISSUER", issuer.url.as_str()),
            ("OIDC_CLIENT_SECRET", SECRET),
            ("PATH", path.as_str()),
        ];
        let appliance = Appliance::start_folder(&variables, prepare);
        appliance.wait_ready().await;
        let mut browser = Browser::new(&appliance.url);
        let answer = browser.go("/_appliance/").await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", appliance.log());
        Self { appliance, browser, _issuer: issuer, _tools: tools }
    }

    fn write(&self, file: &str, text: &str) {
        write(self.appliance.path("apps").join(file), text).unwrap();
    }

    async fn open(&self, path: &str) -> Answer {
        self.browser.send(Method::GET, path, NAVIGATION).await.unwrap()
    }

    /// Waits until the page has this text.
    async fn shows(&self, path: &str, text: &str) {
        eventually(&format!("`{text}` on {path}\n{}", self.appliance.log()), async || {
            self.open(path).await.body.contains(text).then_some(())
        })
        .await;
    }

    fn pid(&self, app: &str) -> i64 {
        self.appliance.app(app).unwrap()["pid"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn each_script_and_folder_is_an_app() {
    let folder = Folder::new(|apps| {
        write(apps.join("sales_report.py"), script("1")).unwrap();
        create_dir(apps.join("handbook")).unwrap();
        write(apps.join("handbook/index.html"), "the handbook").unwrap();
        write(apps.join("helper.py"), "import os\n").unwrap();
    });
    let folder = folder.await;
    folder.shows("/sales-report/x", "version 1").await;
    folder.shows("/handbook/", "the handbook").await;
    let portal = folder.open("/_appliance/").await.body;
    assert!(portal.contains("Sales report") && portal.contains("Handbook"), "{portal}");
    folder.appliance.logs("why=\"sales_report.py imports flask\"").await;
    folder.appliance.logs("a part of the folder is no app file=helper.py").await;

    let stranger = Browser::new(&folder.appliance.url);
    let answer = stranger.send(Method::GET, "/sales-report/x", NAVIGATION).await.unwrap();
    assert_eq!(answer.status, 302, "{answer:?}");
    let expanded = folder.appliance.cli(&["check", "--expanded"]);
    let expanded = String::from_utf8(expanded.stdout).unwrap();
    assert!(expanded.contains("[apps.sales-report]") && !expanded.contains(SECRET), "{expanded}");
}

#[tokio::test]
async fn new_changed_and_removed_files_are_taken_up() {
    let folder = Folder::new(|apps| {
        write(apps.join("a.py"), script("1")).unwrap();
        write(apps.join("b.py"), script("1")).unwrap();
        write(apps.join("part.py"), "PART = 1\n").unwrap();
    });
    let folder = folder.await;
    folder.shows("/a/x", "version 1").await;
    folder.shows("/b/x", "version 1").await;
    let b = folder.pid("b");

    folder.write("c.py", &script("1"));
    folder.shows("/c/x", "version 1").await;
    folder.write("a.py", &script("2"));
    folder.shows("/a/x", "version 2").await;
    // What an app writes itself is no change of its code.
    folder.write("data.csv", "1;2");
    remove_file(folder.appliance.path("apps/c.py")).unwrap();
    eventually("404", async || (folder.open("/c/x").await.status == 404).then_some(())).await;
    assert_eq!(folder.pid("b"), b, "{}", folder.appliance.log());

    // Both scripts may import it.
    folder.write("part.py", "PART = 2\n");
    eventually("another process", async || {
        let pid = folder.appliance.app("b")?["pid"].as_i64()?;
        (pid != b).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_app_that_fails_disturbs_nobody_and_says_why() {
    let folder = Folder::new(|apps| write(apps.join("a.py"), script("1")).unwrap()).await;
    folder.shows("/a/x", "version 1").await;
    let a = folder.pid("a");
    folder.write("bad.py", &script("broken"));
    folder.appliance.logs("No module named 'broken'").await;
    // The person is an operator, because both addresses are loopback ones.
    folder.shows("/_appliance/", "href=\"/_appliance/apps/bad\"").await;
    folder.shows("/_appliance/apps/bad", "No module named &#39;broken&#39;").await;
    folder.write("bad.py", &script("4"));
    folder.shows("/bad/x", "version 4").await;
    assert_eq!(folder.pid("a"), a);
    let portal = folder.open("/_appliance/").await.body;
    assert!(!portal.contains("/_appliance/apps/bad"), "{portal}");
}

#[tokio::test]
async fn an_empty_folder_starts_and_waits_for_apps() {
    let folder = Folder::new(|_| {}).await;
    folder.appliance.logs("the folder has no app").await;
    folder.write("first.py", &script("1"));
    folder.shows("/first/x", "version 1").await;
}
