//! The example of each preset: its setup installs the packages from PyPI, and a person uses the app in
//! Chromium behind the login.
//!
//! The environments are kept in `target/presets`. The address is no loopback name, because checks of host
//! and origin never fail under `localhost`.

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
mod example;
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/issuer.rs"]
mod issuer;
#[path = "../frameworks/site.rs"]
mod site;

use example::Example;
use serde_json::json;

#[tokio::test]
async fn streamlit() {
    let example = Example::start("streamlit", r#"streamlit = "{EXAMPLES}/../app1.py""#).await;
    example.reads("Hello, alice!").await;
    example.presses("button[data-testid=stBaseButton-primary]", "Count").await;
    example.uploads(1234).await;
    example.reads("1,234 bytes").await;
    example.ends().await;
}

#[tokio::test]
async fn gradio() {
    let example = Example::start("gradio", r#"gradio = "{EXAMPLES}/gradio/app.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("#report, #report a", "", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn dash() {
    let example = Example::start("dash", r#"dash = "{EXAMPLES}/dash/app.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("#report", "", "pressed 1 times").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn panel() {
    let example = Example::start("panel", r#"panel = "{EXAMPLES}/panel/app.py""#).await;
    example.counts("button", "More").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("a[download]", "", "a;b").await;
    example.restarts().await;
    example.counts("button", "More").await;
    example.ends().await;
}

#[tokio::test]
async fn marimo() {
    let example = Example::start("marimo", r#"marimo = "{EXAMPLES}/marimo/app.py""#).await;
    example.counts("button", "More").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("a[download], marimo-download button", "", "a;b").await;
    example.restarts().await;
    example.counts("button", "More").await;
    example.ends().await;
}

/// A kernel works over its WebSocket, files are uploaded and read, and the server knows the person.
#[tokio::test]
async fn jupyter() {
    let example = Example::start("jupyter", r#"jupyter = "{DIR}/notebooks""#).await;
    example.site.browser.reads("welcome.ipynb").await;
    let who = example.site.fetch("/jupyter/api/me").await;
    assert!(who.1.contains("\"username\": \"alice\""), "{who:?}");
    let result = example
        .site
        .browser
        .script(include_str!("kernel.js"), vec![json!("/jupyter"), json!("19 + 23")])
        .await;
    assert_eq!(result, json!("42"));
    let (status, text) = example.site.fetch("/jupyter/api/contents/a%3Bb.csv").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("1;2"), "{text}");
    example.restarts().await;
    example.site.browser.reads("welcome.ipynb").await;
    example.ends().await;
}

/// The input for an upload is not in the page, so no script can choose a file.
#[tokio::test]
async fn voila() {
    let example = Example::start("voila", r#"voila = "{EXAMPLES}/voila/report.ipynb""#).await;
    example.counts("button", "More").await;
    example.restarts().await;
    example.counts("button", "More").await;
    example.ends().await;
}

#[tokio::test]
async fn shiny() {
    let example = Example::start("shiny", r#"shiny = "{EXAMPLES}/shiny/app.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("#report", "", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn fastapi() {
    let example = Example::start("fastapi", r#"fastapi = "{EXAMPLES}/fastapi/api.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("a[download]", "", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn flask() {
    let example = Example::start("flask", r#"flask = "{EXAMPLES}/flask/web.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("a[download]", "", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn django() {
    let example = Example::start("django", r#"django = "{EXAMPLES}/django""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("a[download]", "", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

#[tokio::test]
async fn nicegui() {
    let example = Example::start("nicegui", r#"nicegui = "{EXAMPLES}/nicegui/app.py""#).await;
    example.counts("#more", "").await;
    example.uploads(1234).await;
    example.reads("1234 bytes").await;
    example.downloads("button", "REPORT", "a;b").await;
    example.restarts().await;
    example.counts("#more", "").await;
    example.ends().await;
}

/// The page asks for its data by POST, and an experiment that is made is there after a restart.
#[tokio::test]
async fn mlflow() {
    let example = Example::start("mlflow", "mlflow = {}").await;
    example.reads("Experiments").await;
    let made = example
        .site
        .browser
        .script(
            "fetch('/mlflow/ajax-api/2.0/mlflow/experiments/create', {
                 method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{\"name\": \"first\"}',
             }).then(answer => done(answer.status));",
            vec![],
        )
        .await;
    assert_eq!(made, json!(200));
    example.restarts().await;
    let kept = example
        .site
        .fetch("/mlflow/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=first")
        .await;
    assert_eq!(kept.0, 200, "{}", kept.1);
    example.ends().await;
}

#[tokio::test]
async fn tensorboard() {
    let example = Example::start("tensorboard", r#"tensorboard = "{DIR}/runs""#).await;
    example.train().await;
    example.restarts().await;
    example.reads("loss").await;
    example.ends().await;
}
