//! Real web frameworks behind the built binary, used in Chromium as their own guides say.
//!
//! Each test starts one app under `http://apps.test`, because checks of host and origin never fail
//! under `localhost`. The issuer is that of the test. The packages of `requirements.txt` are installed
//! from PyPI once, into `target/frameworks`.

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
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/issuer.rs"]
mod issuer;
mod packages;
mod site;

use site::Site;

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
    let site = Site::start(
        "sh",
        r#"command = ["{VENV}/shiny", "run", "--host", "127.0.0.1", "--port", "{port}", "--no-dev-mode", "shiny_app.py"]
strip_prefix = true
ready = { http = "/" }"#,
    )
    .await;
    site.browser.goto("/sh?view=1").await;
    site.presses_the_button("#more").await;
    assert!(site.browser.url().await.ends_with("/sh/?view=1"));
    site.end().await;
}

/// Werkzeug's `ProxyFix(x_prefix=1)` believes `X-Forwarded-Prefix`.
#[tokio::test]
async fn flask_with_proxy_fix() {
    let site = Site::start(
        "fl",
        r#"command = ["{VENV}/gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "flask_app:app"]
strip_prefix = true"#,
    )
    .await;
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
