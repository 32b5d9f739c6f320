//! Real web frameworks behind the built binary, used in Chromium as their own guides say.
//!
//! Each test starts one app under `http://apps.test`, because checks of host and origin never fail
//! under `localhost`. The issuer is that of the test. The packages of `requirements.txt` and of
//! `npm/package-lock.json` are installed from PyPI and npm once, into `target/frameworks`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests start processes and print the log of a failed one"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "an unexpected value ends the test")]
#![expect(dead_code, reason = "the tests in tests/it use more of the shared files")]
#![expect(unreachable_pub, reason = "no other crate uses a test binary")]

#[path = "../stack/browser.rs"]
mod browser;
mod frames;
mod framework;
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/issuer.rs"]
mod issuer;
mod packages;
mod site;
mod traefik;
#[path = "../it/upstream.rs"]
mod upstream;

use serde_json::json;

use harness::processes::no_ipv6;
use issuer::{Call, Fault};
use site::{SECRET, Site};
use traefik::Traefik;

const SHINY: &str = r#"command = ["{VENV}/shiny", "run", "--host", "127.0.0.1", "--port", "{port}", "--no-dev-mode", "shiny_app.py"]
strip_prefix = true
ready = { http = "/" }"#;

const FLASK: &str = r#"command = ["{VENV}/gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "flask_app:app"]
strip_prefix = true"#;

/// `uvicorn --root-path` is the way of FastAPI's guide for a prefix that the proxy strips.
#[tokio::test]
async fn fastapi_with_a_root_path() {
    let site = Site::start(
        "fa",
        r#"command = ["{VENV}/uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port", "{port}", "--root-path", "{path}"]
strip_prefix = true"#,
    )
    .await;
    site.browser.goto("/fa/items").await;
    site.browser.reads("\"user\":\"alice\"").await;
    assert_eq!(site.browser.path().await, "/fa/items/");
    site.browser.goto("/fa/items/").await;
    site.browser.reads("\"seen\":\"yes\"").await;
    assert_eq!(site.fetch("/fa/docs").await.0, 200);
    assert_eq!(site.fetch("/fa/openapi.json").await.0, 200);
    site.end().await;
}

/// NiceGUI reads `X-Forwarded-Prefix`, and needs no base path.
#[tokio::test]
async fn nicegui_without_a_base_path() {
    let site = Site::start(
        "ng",
        r#"command = ["{VENV}/python", "nicegui_app.py"]
strip_prefix = true
ready = { http = "/" }
env = { HOME = "{DIR}" }"#,
    )
    .await;
    site.browser.goto("/ng").await;
    site.presses_the_button("button").await;
    site.end().await;
}

/// All URLs of Shiny are relative, so the page works only with a slash at its end.
#[tokio::test]
async fn shiny_without_the_last_slash() {
    let site = Site::start("sh", SHINY).await;
    site.browser.goto("/sh?view=1").await;
    site.presses_the_button("#more").await;
    assert!(site.browser.url().await.ends_with("/sh/?view=1"));
    site.end().await;
}

/// Werkzeug's `ProxyFix(x_prefix=1)` believes `X-Forwarded-Prefix`.
#[tokio::test]
async fn flask_with_proxy_fix() {
    let site = Site::start("fl", FLASK).await;
    site.browser.goto("/fl/go").await;
    site.browser.reads(&format!("signed in as alice at {}/fl/", site.url)).await;
    assert_eq!(site.browser.path().await, "/fl/");
    site.end().await;
}

/// A folder that Python serves has relative links, and redirects without the prefix.
#[tokio::test]
async fn a_folder_without_the_last_slash() {
    let site = Site::start(
        "dir",
        r#"command = ["{VENV}/python", "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", ".."]
strip_prefix = true"#,
    )
    .await;
    site.browser.goto("/dir").await;
    site.browser.find("a[href='apps/']").await.click().await.unwrap();
    site.browser.reads("flask_app.py").await;
    assert_eq!(site.browser.path().await, "/dir/apps/");
    site.browser.goto("/dir/apps").await;
    assert_eq!(site.browser.path().await, "/dir/apps/");
    site.end().await;
}

/// Panel sends back only those headers to the page that it was told.
#[tokio::test]
async fn panel_under_a_prefix() {
    let site = Site::start(
        "pn",
        r#"command = ["{VENV}/panel", "serve", "panel_app.py", "--address", "127.0.0.1", "--port", "{port}", "--prefix", "{path}", "--allow-websocket-origin", "{public_host}", "--use-xheaders", "--liveness", "--include-headers", "X-Forwarded-User"]
trailing_slash = true
ready = { http = "{path}/liveness" }
env = { HOME = "{DIR}" }"#,
    )
    .await;
    site.browser.goto("/pn").await;
    site.browser.reads("signed in as alice").await;
    assert_eq!(site.browser.path().await, "/pn/panel_app");
    // The widgets are in shadow roots, where a selector does not reach.
    let pressed = site
        .browser
        .script(
            "const find = (node) => { for (const each of node.querySelectorAll('*')) {
                 if (each.matches('button')) return each;
                 const inner = each.shadowRoot && find(each.shadowRoot);
                 if (inner) return inner;
             } };
             const text = (node) => [...node.querySelectorAll('*')].map(each =>
                 each.shadowRoot ? text(each.shadowRoot) + each.shadowRoot.textContent : '').join(' ');
             let clicked = false;
             const step = () => {
                 const button = find(document);
                 if (button && !clicked) { clicked = true; button.click(); }
                 if (text(document).includes('pressed 1 times')) done(true); else setTimeout(step, 100);
             };
             step();",
            vec![],
        )
        .await;
    assert_eq!(pressed, json!(true));
    site.end().await;
}

/// The handshake of a kernel takes as long as the kernel's start: longer than 10 s here.
#[tokio::test]
async fn jupyter_with_a_slow_kernel_and_odd_file_names() {
    let site = Site::start(
        "ju",
        r#"command = ["{VENV}/jupyter", "server", "--ip", "127.0.0.1", "--port", "{port}", "--port-retries", "0", "--no-browser", "--allow-root", "--ServerApp.base_url={prefix}/", "--IdentityProvider.token=", "--ServerApp.allow_remote_access=True", "--ServerApp.disable_check_xsrf=True", "--ServerApp.root_dir={data}"]
ready = { http = "{path}/api" }
raw_path = true
env = { HOME = "{data}", IPYTHONDIR = "{DIR}/ipython" }"#,
    )
    .await;
    // Its page for a wrong address allows requests of scripts; the content security policy of its
    // API does not.
    site.browser.goto("/ju/nowhere").await;
    site.browser.reads("404").await;
    let opened = site
        .browser
        .script(
            "fetch('/ju/api/kernels', { method: 'POST', body: '{}' }).then(r => r.json()).then(kernel => {
                 const socket = new WebSocket(`ws://${location.host}/ju/api/kernels/${kernel.id}/channels`);
                 socket.onopen = () => done('open');
                 socket.onerror = () => done('error');
             }).catch(error => done(String(error)));",
            vec![],
        )
        .await;
    assert_eq!(opened, json!("open"), "the first handshake of a slow kernel");
    let kept = site
        .browser
        .script(
            "const url = '/ju/api/contents/a%3Bb.csv';
             const file = { type: 'file', format: 'text', content: '1;2' };
             fetch(url, { method: 'PUT', body: JSON.stringify(file) })
                 .then(() => fetch(url)).then(r => r.json()).then(got => done(got.content));",
            vec![],
        )
        .await;
    assert_eq!(kept, json!("1;2"));
    site.end().await;
}

/// Django answers only under the public host, to the readiness probe as well.
#[tokio::test]
async fn django_that_allows_the_public_host_only() {
    let site = Site::start(
        "dj",
        r#"command = ["{VENV}/gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "django_app:application"]
ready = { http = "{path}/" }
env = { PREFIX = "{prefix}", SCRIPT_NAME = "{prefix}", PUBLIC_HOST = "{public_host}" }"#,
    )
    .await;
    site.browser.goto("/dj/").await;
    site.browser.find("button").await.click().await.unwrap();
    site.browser.reads("stored for alice").await;
    site.end().await;
}

/// gunicorn opens its port before it loads the program. The app is ready after that.
#[tokio::test]
async fn gunicorn_is_ready_when_the_program_is_loaded() {
    let site = Site::start("gu", &[FLASK, "env = { LOAD_SECONDS = \"3\" }"].join("\n")).await;
    let log = site.appliance.log();
    let at = |text| log.find(text).unwrap_or_else(|| panic!("{text}:\n{log}"));
    assert!(at("the program is loaded") < at("app ready app=gu"), "{log}");
    site.browser.goto("/gu/").await;
    site.browser.reads("signed in as alice").await;
    site.end().await;
}

/// A page that is loaded during a restart of its app waits for the app.
#[tokio::test]
async fn a_page_outlives_a_restart() {
    let site = Site::start("sh", &[SHINY, "hold = \"10s\""].join("\n")).await;
    site.browser.goto("/sh").await;
    site.browser.reads("signed in as alice").await;
    let restart = site.appliance.cli(&["restart", "--no-wait", "sh"]);
    assert!(restart.status.success(), "{restart:?}");
    site.browser.goto("/sh").await;
    site.presses_the_button("#more").await;
    site.end().await;
}

/// Vite's development server listens on `::1` where `localhost` means that. Its page gets changes of
/// the code over a WebSocket, without a reload.
#[tokio::test]
async fn vite_on_the_other_loopback_address() {
    if no_ipv6("vite_on_the_other_loopback_address") {
        return;
    }
    let site = Site::start(
        "vi",
        r#"command = ["{VENV}/node", "{NPM}/vite/bin/vite.js", "{DIR}/vite", "--host", "::1", "--port", "{port}", "--strictPort", "--base", "{path}/"]
trailing_slash = true
ready = { http = "{path}/" }"#,
    )
    .await;
    site.browser.goto("/vi").await;
    site.browser.reads("the first text").await;
    site.browser.script("window.kept = 'yes'; done();", vec![]).await;
    let file = site.appliance.path("vite/text.js");
    std::fs::write(file, "export const text = 'the second text';\n").unwrap();
    site.browser.reads("the second text").await;
    assert_eq!(site.browser.script("done(window.kept);", vec![]).await, json!("yes"));
    site.end().await;
}

/// Traefik terminates TLS. The lines are those of docs/behind-a-proxy.md.
#[tokio::test]
async fn traefik_with_the_lines_of_the_page() {
    let mut traefik = Traefik::new();
    let url = format!("https://apps.test:{}", traefik.port);
    let flask = FLASK.replace("command", "path = \"/fl\"\ncwd = \"{APPS}\"\ncommand");
    let site = Site::start_behind(
        &url,
        "trusted_proxies = [\"127.0.0.1/32\"]",
        "sh",
        &format!("{SHINY}\n[apps.fl]\n{flask}"),
        async |port| traefik.start(port).await,
    )
    .await;
    site.browser.goto("/sh").await;
    site.presses_the_button("#more").await;
    // This app shows the scheme and the host that it learns.
    site.appliance.wait_for_state("fl", "ready").await;
    site.browser.goto("/fl/").await;
    site.browser.reads(&format!("signed in as alice at {url}/fl/")).await;
    site.end().await;
}

/// Neither the cache for the back button nor the HTTP cache shows a page after the sign-out.
#[tokio::test]
async fn the_back_button_after_a_sign_out_shows_no_page_of_an_app() {
    let site = Site::start(
        "dir",
        r#"command = ["{VENV}/python", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
strip_prefix = true"#,
    )
    .await;
    for (path, text) in [("/dir/", "flask_app.py"), ("/dir/vite/text.js", "the first text")] {
        site.browser.goto(path).await;
        site.browser.reads(text).await;
    }
    site.browser.goto("/").await;
    // Where the issuer would ask for the password.
    site.issuer.fault(Call::Authorize, Fault::Status(503), usize::MAX);
    site.browser.find("form.who button").await.click().await.unwrap();
    site.browser.reads("ordered").await;
    let mut seen = Vec::new();
    for _ in ["the portal", "the file", "the folder"] {
        site.browser.back().await;
        let (url, text) = (site.browser.url().await, site.browser.text().await);
        for secret in ["flask_app.py", "the first text", "alice"] {
            assert!(!text.contains(secret), "{url}\n{text}");
        }
        seen.push(url);
    }
    let asked = seen.iter().filter(|url| url.contains("/authorize?")).count();
    assert_eq!(asked, 3, "each page asks for a sign-in: {seen:?}");
    site.end().await;
}

/// The client learns from the appliance which issuer gives it a token (RFC 9728), and signs in there.
#[tokio::test]
async fn an_mcp_client_signs_in_to_an_mcp_server() {
    // The client resolves the host itself.
    let site = Site::start_behind(
        "http://localhost:{PORT}",
        "",
        "mcp",
        r#"command = ["{VENV}/python3", "mcp_server.py", "{port}", "{path}"]
bearer = true
api = true"#,
        async |_| {},
    )
    .await;
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frameworks/apps/mcp_client.py");
    let output = tokio::process::Command::new(packages::programs().join("python3"))
        .args([client, &format!("{}/mcp", site.url), SECRET])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "sum 42 asked by alice", "{output:?}\n{}", site.appliance.log());
    site.end().await;
}
