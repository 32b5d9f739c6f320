//! An app in a frame of another site's page: the button, the window, and the app's WebSocket.

use crate::browser::{Browser, Driver};
use crate::harness::{Appliance, eventually, free_port};
use crate::issuer::Issuer;
use crate::site::SECRET;
use crate::upstream::Upstream;

const HEAD: &str = r#"[server]
listen = "127.0.0.1:{PORT}"
state_dir = "{DIR}/state"
{SERVER}
[oidc]
issuer = "{ISSUER}"
client_id = "appliance"
client_secret = { file = "{DIR}/client-secret" }
[apps.board]
path = "/board"
upstream = "http://127.0.0.1:{UP}"
embed = ["http://127.0.0.1:{UP}"]
[apps.held]
host = "held.localhost"
upstream = "http://127.0.0.1:{UP}"
embed = ["http://127.0.0.1:{UP}"]
[apps.closed]
host = "closed.localhost"
path = "/closed"
upstream = "http://127.0.0.1:{UP}"
access = "public"
"#;

const CLEAR: &str = "public_url = \"http://localhost:{PORT}\"";
const ENCRYPTED: &str = "public_url = \"https://localhost:{PORT}\"\ntls = { internal = true }";

struct Stage {
    issuer: Issuer,
    appliance: Appliance,
    browser: Browser,
    /// The page of another site.
    wiki: String,
    _driver: Driver,
}

impl Stage {
    async fn new(server: &str) -> Self {
        let (issuer, upstream) = (Issuer::new().await, Upstream::start());
        issuer.order(|orders| {
            orders.client_secret = SECRET.into();
            orders.user = "alice".into();
        });
        let config = HEAD
            .replace("{SERVER}", server)
            .replace("{ISSUER}", &issuer.url)
            .replace("{UP}", &upstream.port.to_string());
        let prepare = |folder: &std::path::Path| {
            std::fs::write(folder.join("client-secret"), SECRET).unwrap();
        };
        let appliance = Appliance::start_with_in(prepare, &config);
        eventually("the issuer", async || {
            appliance.log().contains("ready: sign in at").then_some(())
        })
        .await;
        let driver = Driver::start(free_port()).await;
        let wiki = format!("http://127.0.0.1:{}", upstream.port);
        let browser = driver.open(&wiki).await;
        Self { issuer, appliance, browser, wiki, _driver: driver }
    }

    /// Opens a page of the other site that frames `url`, and goes on in the frame.
    async fn frame(&self, url: &str) {
        self.browser.visit(&format!("{}/wiki?{url}", self.wiki)).await;
        self.browser.find("iframe").await;
        self.browser.enter_frame().await;
    }

    /// Signs in by the button in the frame, and uses the app.
    async fn signs_in(&self) {
        self.browser.find("#open").await.click().await.unwrap();
        self.browser.reads("page of alice").await;
        self.browser.has_windows(1).await;
        self.browser.find("#hello").await.click().await.unwrap();
        self.browser.reads("the app says hello").await;
    }
}

#[tokio::test]
async fn an_app_in_a_frame_of_another_site_signs_in_by_a_window() {
    for (scheme, server) in [("http", CLEAR), ("https", ENCRYPTED)] {
        let stage = Stage::new(server).await;
        let origin = format!("{scheme}://localhost:{}", stage.appliance.port);
        stage.frame(&format!("{origin}/board/page?x=y")).await;
        stage.browser.reads("Sign in to board").await;
        stage.signs_in().await;

        // The other tabs of the person have the session; another page of the other site has the frame's.
        stage.browser.leave_frame().await;
        stage.frame(&format!("{origin}/board/page")).await;
        stage.browser.reads("page of alice").await;
        stage.browser.visit(&format!("{origin}/board/page")).await;
        stage.browser.reads("page of alice").await;

        // Without `embed`, the page of the app stays out of the frame.
        let closed = origin.replace("localhost", "closed.localhost");
        stage.frame(&format!("{closed}/closed/page")).await;
        assert!(!stage.browser.text().await.contains("page of"));

        // A sign-out in a tab ends the session of the frame.
        stage.browser.visit(&format!("{origin}/oauth2/sign_out")).await;
        stage.browser.find("button").await.click().await.unwrap();
        eventually("the sign-out", async || {
            stage.appliance.log().contains("signed out user=alice").then_some(())
        })
        .await;
        stage.frame(&format!("{origin}/board/page")).await;
        stage.browser.reads("Sign in to board").await;
    }
}

#[tokio::test]
async fn an_app_with_a_host_of_its_own_signs_in_in_a_frame() {
    let stage = Stage::new(CLEAR).await;
    let origin = format!("http://held.localhost:{}", stage.appliance.port);
    // The person is signed in already: the window hands over at once.
    stage.browser.visit(&format!("{origin}/page")).await;
    stage.browser.reads("page of alice").await;
    stage.frame(&format!("{origin}/page")).await;
    stage.browser.reads("Sign in to held").await;
    stage.signs_in().await;
}

/// Some login pages, also that of the Keycloak preset, let go of the window that opened theirs.
#[tokio::test]
async fn a_login_that_lets_go_of_the_frame_needs_a_second_click() {
    let stage = Stage::new(ENCRYPTED).await;
    stage.issuer.order(|orders| orders.shows_a_page = true);
    let origin = format!("https://localhost:{}", stage.appliance.port);
    stage.frame(&format!("{origin}/board/page")).await;
    stage.browser.find("#open").await.click().await.unwrap();
    stage.browser.has_windows(2).await;
    stage.browser.enter_second_window().await;
    stage.browser.find("#go").await.click().await.unwrap();
    stage.browser.reads("You are signed in").await;
    stage.browser.closes_other_windows().await;
    stage.browser.enter_frame().await;
    stage.signs_in().await;
}
