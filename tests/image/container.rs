//! Images and containers through the command line of Docker.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::login;

/// Builds the image from this working tree. Returns its name.
pub(crate) fn build() -> String {
    let engine = Command::new("docker").arg("info").output();
    let engine = engine.expect("docker is there; on Debian: apt-get install docker.io");
    assert!(engine.status.success(), "a Docker engine runs: {}", text(&engine.stderr));
    let image = "appliance-test".to_owned();
    let root = env!("CARGO_MANIFEST_DIR");
    let status = Command::new("docker")
        .args(["build", "--tag", &image, root])
        .env("DOCKER_BUILDKIT", "1")
        .status()
        .unwrap();
    assert!(status.success(), "docker build fails, see above");
    image
}

/// Reads a field of an image or a container.
pub(crate) fn inspect(name: &str, format: &str) -> String {
    docker(&["inspect", "--format", format, name])
}

/// A container. Its drop removes the container and its volume.
pub(crate) struct Container {
    pub(crate) url: String,
    name: String,
}

impl Container {
    /// Runs a container and publishes its port on a free port.
    pub(crate) fn run(image: &str, options: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://localhost:{port}");
        let name = format!("appliance-test-{port}");
        let publish = format!("--publish=127.0.0.1:{port}:8080");
        let public_url = format!("--env=PUBLIC_URL={url}");
        let named = format!("--name={name}");
        let mut arguments = vec!["run", "--detach", &named, &publish, &public_url];
        arguments.extend(options);
        arguments.push(image);
        docker(&arguments);
        Self { url, name }
    }

    /// Waits until `/_appliance/ready` answers 200 and all apps are ready.
    pub(crate) async fn until_ready(&self, patience: Duration) {
        let client = login::client();
        let address = format!("{}/_appliance/ready", self.url);
        self.until("ready", patience, async || {
            let answer = client.get(&address).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()) && self.all_apps_are_ready()
        })
        .await;
    }

    fn all_apps_are_ready(&self) -> bool {
        let output = self.exec(&["appliance", "status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let apps = status["apps"].as_array().cloned().unwrap_or_default();
        apps.len() >= 3 && apps.iter().all(|app| app["state"] == "ready")
    }

    /// Waits until the health check of Docker succeeds.
    pub(crate) async fn until_healthy(&self, patience: Duration) {
        self.until("healthy", patience, async || {
            inspect(&self.name, "{{.State.Health.Status}}") == "healthy"
        })
        .await;
    }

    async fn until(&self, word: &str, patience: Duration, mut ask: impl AsyncFnMut() -> bool) {
        let until = Instant::now() + patience;
        while !ask().await {
            let running = inspect(&self.name, "{{.State.Running}}") == "true";
            assert!(running, "the container ended before it was {word}");
            assert!(Instant::now() < until, "not {word} within {patience:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The number of the user and the command line of every process, PID 1 first.
    pub(crate) fn processes(&self) -> Vec<(String, String)> {
        // The image has no ps. An argument may contain lines and backslashes.
        let script = r#"for p in $(ls /proc | grep -E '^[0-9]+$' | sort -n); do
            printf '%s %s\n' "$(stat -c %u /proc/$p)" "$(tr '\0\n' '  ' </proc/$p/cmdline)"
        done 2>/dev/null"#;
        let output = self.exec(&["sh", "-c", script]);
        let lines = text(&output.stdout);
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(user, command)| (user.to_owned(), command.to_owned())).collect()
    }

    /// Runs `docker stop` and returns the exit code.
    pub(crate) fn stop(&self) -> i32 {
        docker(&["stop", &self.name]);
        inspect(&self.name, "{{.State.ExitCode}}").parse().unwrap()
    }

    pub(crate) fn start_again(&self) {
        docker(&["start", &self.name]);
    }

    /// Runs a container that refuses to start. Returns its exit code and its log.
    pub(crate) fn refused(image: &str, options: &[&str]) -> (i32, String) {
        let arguments = [&["run", "--rm"], options, &[image]].concat();
        let output = Command::new("docker").args(arguments).output().unwrap();
        (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
    }

    /// The `user` of an app as `check --expanded` in the container shows it.
    pub(crate) fn expanded_user(&self, app: &str) -> String {
        let output = self.exec(&["appliance", "check", "--expanded"]);
        let page = text(&output.stdout);
        let table = page.split_once(&format!("[apps.{app}]\n")).expect("the app is there").1;
        let user = table.lines().find_map(|line| line.strip_prefix("user = "));
        user.expect("the app has a user").trim_matches('"').to_owned()
    }

    /// Whether a shell of this user, which has no group of root, succeeds with this script.
    pub(crate) fn succeeds_as(&self, user: &str, script: &str) -> bool {
        let account = format!("{user}:{user}");
        let arguments = ["exec", "--user", &account, &self.name, "sh", "-c", script];
        Command::new("docker").args(arguments).output().unwrap().status.success()
    }

    /// Runs a line of the README in the shell of the host, where the container, the volume and the
    /// image have the name `appliance`.
    pub(crate) fn shell(&self, line: &str, image: &str, volume: &Volume, folder: &Path) {
        let line = line.replace("exec appliance ", &format!("exec {} ", self.name));
        let line = line.replace("-v appliance:", &format!("-v {}:", volume.0));
        let line = line.replace(" appliance -C", &format!(" {image} -C"));
        let output = Command::new("sh").args(["-ec", &line]).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }

    fn exec(&self, command: &[&str]) -> Output {
        let arguments = [&["exec", &self.name], command].concat();
        Command::new("docker").args(arguments).output().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", &self.name]).output().unwrap();
            eprintln!("--- log of the container ---\n{}{}", text(&log.stdout), text(&log.stderr));
        }
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).output();
    }
}

/// A named volume. Its drop removes the volume.
pub(crate) struct Volume(pub(crate) String);

impl Volume {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("appliance-test-{name}-{}", std::process::id());
        docker(&["volume", "create", &name]);
        Self(name)
    }

    /// The option of `docker run`.
    pub(crate) fn option(&self) -> String {
        format!("--volume={}:/var/lib/appliance", self.0)
    }

    /// Runs a command with its arguments in the volume, as root. Returns its output.
    pub(crate) fn run(&self, image: &str, command: &[&str]) -> String {
        let [program, arguments @ ..] = command else { return String::new() };
        let volume = self.option();
        docker(&[&["run", "--rm", "--entrypoint", program, &volume, image], arguments].concat())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["volume", "rm", "--force", &self.0]).output();
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
