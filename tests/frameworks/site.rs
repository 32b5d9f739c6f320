//! A running appliance, and the browser of a person who signs in by the issuer of the test.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::{Browser, Driver};
use crate::harness::{Appliance, eventually, free_port};
use crate::issuer::Issuer;

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

/// A running appliance and a browser.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) appliance: Appliance,
    pub(crate) browser: Browser,
    pub(crate) issuer: Issuer,
    driver: Driver,
}

impl Site {
    /// Starts the appliance at `public_url` with `server`, more keys of `[server]`, and `apps`, the tables
    /// of the apps, and opens a browser when the app `name` is ready. `front` starts a proxy in front of
    /// the appliance's port.
    pub(crate) async fn open(
        (public_url, server): (&str, &str),
        (name, apps): (&str, &str),
        variables: &[(&str, &str)],
        prepare: impl FnOnce(&Path),
        front: impl AsyncFnOnce(u16),
    ) -> Self {
        let issuer = Issuer::new().await;
        issuer.order(|orders| {
            orders.client_secret = SECRET.into();
            orders.user = "alice".into();
        });
        let config = [HEAD, apps, "\n"].concat();
        let config = config
            .replace("{SERVER}", &format!("public_url = \"{public_url}\"\n{server}"))
            .replace("{ISSUER}", &issuer.url);
        let prepare = |folder: &Path| {
            std::fs::write(folder.join("client-secret"), SECRET).unwrap();
            prepare(folder);
        };
        let appliance = Appliance::start_with_variables(variables, prepare, &config);
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
