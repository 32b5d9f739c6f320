//! Chromium, driven by chromedriver.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The time limit for a page. Generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// Without these flags Chromium calls servers of Google at every start. The last one gives hosts under
/// `.test` to this machine.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/// A running chromedriver. Its drop kills chromedriver and all its browsers.
pub(crate) struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    /// Starts chromedriver on a free port.
    pub(crate) async fn start(port: u16) -> Self {
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver runs; on Debian: apt-get install chromium chromium-driver");
        let driver = Self { child, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return driver;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("chromedriver does not listen");
    }

    /// Opens a browser with an empty profile at `/`.
    pub(crate) async fn open(&self, site: &str) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": flags }));
        // A proxy of a test has the certificate that it makes itself.
        capabilities.insert("acceptInsecureCerts".to_owned(), json!(true));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&self.url)
            .await
            .expect("Chromium starts; on Debian: apt-get install chromium chromium-driver");
        let browser = Browser { client, site: site.to_owned(), _profile: profile };
        browser.look(Look::Light).await;
        browser.goto("/").await;
        browser
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// One person's browser.
pub(crate) struct Browser {
    client: Client,
    site: String,
    _profile: tempfile::TempDir,
}

/// The look in which a screenshot is taken.
#[derive(Clone, Copy)]
enum Look {
    Light,
    Dark,
    Phone,
}

impl Browser {
    /// Opens a path, like a typed address.
    pub(crate) async fn goto(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.site)).await.unwrap();
    }

    /// A whole address, as typed into the address line.
    pub(crate) async fn visit(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Presses the back button.
    pub(crate) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Runs a script of the page; it answers by `done(value)`.
    pub(crate) async fn script(&self, text: &str, arguments: Vec<Value>) -> Value {
        let text = format!("const done = arguments[arguments.length - 1]; {text}");
        self.client.execute_async(&text, arguments).await.unwrap()
    }

    /// The same; `None` if the page was left before the script has answered.
    pub(crate) async fn try_script(&self, text: &str, arguments: Vec<Value>) -> Option<Value> {
        let text = format!("const done = arguments[arguments.length - 1]; {text}");
        self.client.execute_async(&text, arguments).await.ok()
    }

    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// Waits for the first element that matches `css`.
    pub(crate) async fn find(&self, css: &str) -> Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => self.lost(&format!("{css} ({error})")).await,
        }
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// The visible text of the page.
    pub(crate) async fn text(&self) -> String {
        // During a navigation the page may have no body.
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the page shows a text.
    pub(crate) async fn reads(&self, text: &str) {
        let found = tokio::time::timeout(PATIENCE, async {
            while !self.text().await.contains(text) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if found.await.is_err() {
            self.lost(text).await;
        }
    }

    pub(crate) async fn scroll_to(&self, css: &str) {
        let script = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })";
        self.client.execute(script, vec![json!(css)]).await.unwrap();
    }

    /// Saves a screenshot in each look as `target/screenshots/<name>-<look>.png`.
    pub(crate) async fn photograph(&self, name: &str) {
        for (look, word) in [(Look::Dark, "dark"), (Look::Phone, "phone"), (Look::Light, "light")] {
            self.look(look).await;
            // Streamlit redraws its colours with a delay.
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.picture(&format!("{name}-{word}")).await;
        }
    }

    /// Goes on inside the first frame of the page.
    pub(crate) async fn enter_frame(&self) {
        self.client.enter_frame(0).await.unwrap();
    }

    /// Goes back from a frame to its page.
    pub(crate) async fn leave_frame(&self) {
        self.client.enter_parent_frame().await.unwrap();
    }

    /// Waits until this many windows are open.
    pub(crate) async fn has_windows(&self, count: usize) {
        let open = tokio::time::timeout(PATIENCE, async {
            while self.client.windows().await.unwrap().len() != count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(open.await.is_ok(), "not within {PATIENCE:?}: {count} windows");
    }

    /// Goes on in the second window.
    pub(crate) async fn enter_second_window(&self) {
        let windows = self.client.windows().await.unwrap();
        self.client.switch_to_window(windows[1].clone()).await.unwrap();
    }

    /// Leaves only the first window.
    pub(crate) async fn closes_other_windows(&self) {
        let windows = self.client.windows().await.unwrap();
        for window in &windows[1..] {
            self.client.switch_to_window(window.clone()).await.unwrap();
            self.client.close_window().await.unwrap();
        }
        self.client.switch_to_window(windows[0].clone()).await.unwrap();
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }

    async fn look(&self, look: Look) {
        let phone = matches!(look, Look::Phone);
        self.resize(if phone { 390 } else { 1200 }, matches!(look, Look::Dark)).await;
    }

    /// Shows the page in this width, in light or dark mode.
    pub(crate) async fn resize(&self, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": feature })).await;
        let phone = width < 500;
        let (height, scale) = if phone { (844, 2) } else { (800, 1) };
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone }),
        )
        .await;
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let command = Devtools(json!({ "cmd": command, "params": parameters }));
        self.client.issue_cmd(command).await.unwrap();
    }

    async fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, self.client.screenshot().await.unwrap()).unwrap();
        file
    }

    async fn lost(&self, what: &str) -> ! {
        let picture = self.picture("lost").await;
        let url = self.client.current_url().await.unwrap();
        panic!(
            "not within {PATIENCE:?}: {what}\nat {url}, see {}:\n{}",
            picture.display(),
            self.text().await
        );
    }
}

/// A command of Chromium's debugging protocol, sent through chromedriver.
#[derive(Debug)]
struct Devtools(Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}
