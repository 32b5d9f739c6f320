//! One example behind the login, and a person who uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::site::Site;

const PAGE: &str = include_str!("page.js");

/// What the setup needs to know of the rest of the file.
const HEAD: &str = r#"[server]
public_url = "http://apps.test"
[oidc]
issuer = "http://127.0.0.1:9"
client_id = "appliance"
client_secret = { env = "NOT_NEEDED" }
"#;

/// The running example of one preset.
pub(crate) struct Example {
    name: &'static str,
    pub(crate) site: Site,
}

impl Example {
    /// Installs what the preset needs, and opens the app as a person who signs in. `{EXAMPLES}` in
    /// `line` is the folder of the examples, and `{DIR}` that of the appliance.
    pub(crate) async fn start(name: &'static str, line: &str) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/examples");
        let line = line.replace("{EXAMPLES}", &examples.display().to_string());
        let app = format!("[apps.{name}]\npath = \"/{name}\"\n{line}");
        let (wanted, kept) = (app.clone(), kept());
        tokio::task::spawn_blocking(move || install(name, &wanted)).await.unwrap();
        let prepare = |folder: &Path| {
            let notebooks = folder.join("notebooks");
            std::fs::create_dir(&notebooks).unwrap();
            let welcome = "welcome.ipynb";
            std::fs::copy(examples.join("jupyter").join(welcome), notebooks.join(welcome)).unwrap();
            std::fs::create_dir(folder.join("runs")).unwrap();
        };
        let variables = [("CACHE_DIRECTORY", kept.to_str().unwrap())];
        let address = ("http://apps.test:{PORT}", "");
        let site = Site::open(address, (name, &app), &variables, prepare, async |_| {}).await;
        let example = Self { name, site };
        example.site.browser.goto(&format!("/{name}/")).await;
        example
    }

    /// The page knows the person, and a button works.
    pub(crate) async fn counts(&self, css: &str, text: &str) {
        self.reads("signed in as alice").await;
        self.reads("pressed 0 times").await;
        self.presses(css, text).await;
        self.reads("pressed 1 times").await;
    }

    pub(crate) async fn reads(&self, text: &str) {
        self.acts(&["reads", text]).await;
    }

    pub(crate) async fn presses(&self, css: &str, text: &str) {
        self.acts(&["presses", css, text]).await;
    }

    /// Chooses a file of this size in the first upload of the page.
    pub(crate) async fn uploads(&self, size: u64) {
        self.acts(&["uploads", &size.to_string()]).await;
    }

    pub(crate) async fn downloads(&self, css: &str, text: &str, content: &str) {
        let found = self.acts(&["downloads", css, text]).await;
        assert!(found.as_str().is_some_and(|found| found.contains(content)), "{found}");
    }

    /// Restarts the app under the open page, and opens the page again.
    pub(crate) async fn restarts(&self) {
        let restart = self.site.appliance.cli(&["restart", self.name]);
        assert!(restart.status.success(), "{restart:?}\n{}", self.site.appliance.log());
        // Flask and Django keep the counter in a cookie.
        let clear = "for (const name of ['flask-example', 'sessionid'])
            for (const path of ['/', location.pathname]) document.cookie = `${name}=; path=${path}; max-age=0`;
            done();";
        self.site.browser.script(clear, vec![]).await;
        self.site.browser.goto(&format!("/{}/", self.name)).await;
    }

    /// Writes a run for TensorBoard with the packages of the app.
    pub(crate) async fn train(&self) {
        let environments = std::fs::read_dir(kept().join("venvs")).unwrap();
        let programs = environments.map(|entry| entry.unwrap().path().join("bin"));
        let programs = programs.into_iter().find(|bin| bin.join("tensorboard").exists()).unwrap();
        let python = programs.join("python");
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/examples/tensorboard/train.py");
        let runs = self.site.appliance.path("runs/first");
        let output =
            tokio::process::Command::new(python).arg(script).arg(runs).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The app ends by itself when it is asked to, and the appliance stops.
    pub(crate) async fn ends(self) {
        let stop = self.site.appliance.cli(&["stop", self.name]);
        assert!(stop.status.success(), "{stop:?}");
        let app = self.site.appliance.app(self.name).unwrap();
        assert_ne!(app["last_exit"]["signal"], "KILL", "{app}");
        self.site.end().await;
    }

    /// Tries until the page has done it. A page that is left meanwhile forgets the script.
    async fn acts(&self, words: &[&str]) -> Value {
        let words: Vec<Value> = words.iter().map(|word| json!(word)).collect();
        let mut last = Value::Null;
        for _ in 0..24 {
            match self.site.browser.try_script(PAGE, words.clone()).await {
                Some(mut answer) if answer.get("value").is_some() => return answer["value"].take(),
                answer => last = answer.unwrap_or_default(),
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let text = self.site.browser.text().await;
        panic!("{words:?}: {last}\n{text}\n{}", self.site.appliance.log());
    }
}

/// The folder of the environments.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/presets")
}

/// Runs the setup of the preset as the build of an image does. What it says goes to the output of the test.
fn install(name: &str, app: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("appliance.toml"), format!("{HEAD}{app}\n")).unwrap();
    std::fs::create_dir_all(kept()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .arg("setup")
        .current_dir(folder.path())
        .env("CACHE_DIRECTORY", kept())
        .output()
        .unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "the setup of {name}: {output:?}");
}
