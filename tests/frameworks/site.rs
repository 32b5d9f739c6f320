//! One app under `http://apps.test`, and the browser of a person who signs in by the issuer of the
//! test.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{Browser, Driver};
use crate::harness::{Appliance, eventually, free_port};
use crate::issuer::Issuer;
use crate::packages;

pub(crate) const SECRET: &str = "secret-of-the-frameworks";

const HEAD: &str = r#"[server]
listen = "127.0.0.1:{PORT}"
state_dir = "{DIR}/state"
{SERVER}
[oidc]
issuer = "{ISSUER}"
client_id = "appliance"
client_secret = { file = "{DIR}/client-secret" }
"#;

/// A running appliance with one app.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) appliance: Appliance,
    pub(crate) browser: Browser,
    pub(crate) issuer: Issuer,
    driver: Driver,
}

impl Site {
    /// Starts the app `name` at `/<name>` with the keys `keys`, and returns when it is ready.
    /// `{VENV}` in `keys` is the folder with the programs of the frameworks, `{NPM}` the one with
    /// the packages of npm, and `{APPS}` the one with the apps of the test.
    pub(crate) async fn start(name: &str, keys: &str) -> Self {
        Self::start_behind("http://apps.test:{PORT}", "", name, keys, async |_| {}).await
    }

    /// The same behind the proxy at `public_url` that `front` starts in front of the appliance's port.
    /// `server` are more keys of `[server]`.
    pub(crate) async fn start_behind(
        public_url: &str,
        server: &str,
        name: &str,
        keys: &str,
        front: impl AsyncFnOnce(u16),
    ) -> Self {
        let programs = tokio::task::spawn_blocking(packages::programs).await.unwrap();
        let issuer = Issuer::new().await;
        issuer.order(|orders| {
            orders.client_secret = SECRET.into();
            orders.user = "alice".into();
        });
        let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/apps");
        let app = format!("[apps.{name}]\npath = \"/{name}\"\ncwd = \"{}\"\n", apps.display());
        let config = [HEAD, &*app, keys, "\n"].concat();
        let config = config
            .replace("{SERVER}", &format!("public_url = \"{public_url}\"\n{server}"))
            .replace("{ISSUER}", &issuer.url)
            .replace("{APPS}", &apps.display().to_string())
            .replace("{NPM}", &packages::modules().display().to_string())
            .replace("{VENV}", &programs.display().to_string());
        let prepare = |folder: &Path| {
            std::fs::write(folder.join("client-secret"), SECRET).unwrap();
            let startup = folder.join("ipython/profile_default/startup");
            std::fs::create_dir_all(&startup).unwrap();
            std::fs::copy(apps.join("slow_kernel.py"), startup.join("slow.py")).unwrap();
            // A test changes one of these files.
            std::fs::create_dir(folder.join("vite")).unwrap();
            for file in std::fs::read_dir(apps.join("vite")).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), folder.join("vite").join(file.file_name())).unwrap();
            }
        };
        let appliance = Appliance::start_with_in(prepare, &config);
        appliance.wait_ready().await;
        eventually(&format!("{name} to be ready\n{}", appliance.log()), async || {
            appliance.app(name).filter(|app| app["state"] == "ready")
        })
        .await;
        front(appliance.port).await;
        let driver = Driver::start(free_port()).await;
        let url = public_url.replace("{PORT}", &appliance.port.to_string());
        let browser = driver.open(&url).await;
        Self { url, appliance, browser, issuer, driver }
    }

    /// Status and body of a `fetch()` by the page.
    pub(crate) async fn fetch(&self, path: &str) -> (u64, String) {
        let got = self
            .browser
            .script(
                "fetch(arguments[0]).then(async r => done([r.status, await r.text()]));",
                vec![json!(path)],
            )
            .await;
        let Value::Array(parts) = got else { panic!("{got}") };
        (parts[0].as_u64().unwrap(), parts[1].as_str().unwrap().to_owned())
    }

    /// The page knows the person, and a button works over the app's WebSocket.
    pub(crate) async fn presses_the_button(&self, css: &str) {
        self.browser.reads("signed in as alice").await;
        self.browser.reads("pressed 0 times").await;
        self.browser.find(css).await.click().await.unwrap();
        self.browser.reads("pressed 1 times").await;
    }

    /// Closes the browser and stops the appliance, which exits with 0.
    pub(crate) async fn end(mut self) {
        self.browser.close().await;
        assert_eq!(self.appliance.stop().await, 0, "the exit code of a stop");
        drop(self.driver);
    }
}
