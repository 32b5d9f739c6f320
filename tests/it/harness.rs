//! The built appliance in its own folder, and a client that behaves like a browser during a login.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};

#[path = "processes.rs"]
pub mod processes;

use processes::end_tree;

/// The time limit of every wait. Generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

const SERVER: &str = r#"[server]
listen = "127.0.0.1:{PORT}"
public_url = "http://localhost:{PORT}"
state_dir = "{STATE}/state"
"#;

/// The same, with the state below the folder of the file, as it is by default.
const SERVER_WITH_ALL_IN_ITS_FOLDER: &str = r#"[server]
listen = "127.0.0.1:{PORT}"
public_url = "http://localhost:{PORT}"
state_dir = "{DIR}/state"
"#;

/// A free port. Another process may take it before it is used.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Calls `ask` until it returns a value. Panics with `what` after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running appliance. Its drop kills the process.
pub struct Appliance {
    pub folder: tempfile::TempDir,
    state: tempfile::TempDir,
    pub port: u16,
    pub url: String,
    child: Child,
}

impl Appliance {
    /// Starts the built binary with a `[server]` table for a free port, followed by `config`. `{DIR}`
    /// in `config` is the folder of the appliance.
    pub fn start(config: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_appliance")), SERVER, config)
    }

    /// Like [`Self::start`], with a variable of the environment.
    pub fn start_with_variable(name: &str, value: &str, config: &str) -> Self {
        Self::start_in_environment(&[(name.to_owned(), value.to_owned())], config)
    }

    /// Like [`Self::start`], with variables of the environment.
    pub fn start_in_environment(variables: &[(String, String)], config: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        command.envs(variables.iter().cloned());
        Self::start_by(command, SERVER, config)
    }

    /// Starts the built binary with `config` only.
    pub fn start_with(config: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_appliance")), "", config)
    }

    /// Like [`Self::start`], as PID 1 of a new namespace.
    pub fn start_as_pid1(config: &str) -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        unshare.arg(env!("CARGO_BIN_EXE_appliance"));
        Self::start_by(unshare, SERVER, config)
    }

    /// Like [`Self::start`], by a command that runs its last arguments, and with the state in the folder
    /// of the file.
    pub fn start_through(mut command: Command, config: &str) -> Self {
        command.arg(env!("CARGO_BIN_EXE_appliance"));
        Self::start_by(command, SERVER_WITH_ALL_IN_ITS_FOLDER, config)
    }

    /// Like [`Self::start`], in a folder that every user may enter and that `prepare` fills before.
    pub fn start_in(prepare: impl FnOnce(&Path), config: &str) -> Self {
        Self::start_prepared(prepare, SERVER_WITH_ALL_IN_ITS_FOLDER, config)
    }

    /// Like [`Self::start_with`], in a folder that every user may enter and that `prepare` fills before.
    pub fn start_with_in(prepare: impl FnOnce(&Path), config: &str) -> Self {
        Self::start_prepared(prepare, "", config)
    }

    /// Like [`Self::start_with_in`], with these variables of the environment.
    pub fn start_with_variables(
        variables: &[(&str, &str)],
        prepare: impl FnOnce(&Path),
        config: &str,
    ) -> Self {
        let (folder, state, port, url) = Self::folder("", config);
        prepare(folder.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        command.envs(variables.iter().copied());
        let child = Self::spawn(&mut command, &folder);
        Self { folder, state, port, url, child }
    }

    fn start_prepared(prepare: impl FnOnce(&Path), head: &str, config: &str) -> Self {
        let (folder, state, port, url) = Self::folder(head, config);
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        prepare(folder.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        let child = Self::spawn(&mut command, &folder);
        Self { folder, state, port, url, child }
    }

    /// Starts the built binary with the folder `apps`, which `prepare` fills before, in place of a file.
    pub fn start_folder(variables: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        let (folder, state, port, url) = Self::folder("", "");
        std::fs::remove_file(folder.path().join("appliance.toml")).unwrap();
        let apps = folder.path().join("apps");
        std::fs::create_dir(&apps).unwrap();
        prepare(&apps);
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        command
            .envs([("APPLIANCE_LISTEN", format!("127.0.0.1:{port}")), ("PUBLIC_URL", url.clone())]);
        command.envs(variables.iter().copied());
        let child = Self::spawn(&mut command, &folder);
        Self { folder, state, port, url, child }
    }

    /// Like [`Self::start`], as the user with this number, who owns the folder.
    pub fn start_as(uid: u32, config: &str) -> Self {
        Self::start_as_in(uid, |_| {}, config)
    }

    /// The same, in a folder that `prepare` fills before.
    pub fn start_as_in(uid: u32, prepare: impl FnOnce(&Path), config: &str) -> Self {
        let (folder, state, port, url) = Self::folder(SERVER_WITH_ALL_IN_ITS_FOLDER, config);
        prepare(folder.path());
        // The user may be unable to enter the folder of the build.
        let program = folder.path().join("appliance");
        // By a process of its own: a file that a test has open for writing, and a process that another
        // test forks meanwhile with it, cannot be run.
        let copy = Command::new("cp").arg(env!("CARGO_BIN_EXE_appliance")).arg(&program).status();
        assert!(copy.unwrap().success());
        for path in [folder.path(), &folder.path().join("appliance.toml")] {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
        let child = Self::spawn(Command::new(program).uid(uid).gid(uid), &folder);
        Self { folder, state, port, url, child }
    }

    /// Like [`Self::start`], with this soft and hard limit of open files.
    pub fn start_with_open_files(limit: u32, config: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_appliance")]);
        Self::start_by(shell, SERVER, config)
    }

    /// Like [`Self::start`], with `stdout` instead of the file that [`Self::log`] reads.
    pub fn start_into(stdout: std::os::fd::OwnedFd, config: &str) -> Self {
        let (folder, state, port, url) = Self::folder(SERVER, config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        let child = command
            .args(["--config", "appliance.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .spawn()
            .unwrap();
        Self { folder, state, port, url, child }
    }

    fn start_by(mut command: Command, head: &str, config: &str) -> Self {
        let (folder, state, port, url) = Self::folder(head, config);
        let child = Self::spawn(&mut command, &folder);
        Self { folder, state, port, url, child }
    }

    fn folder(head: &str, config: &str) -> (tempfile::TempDir, tempfile::TempDir, u16, String) {
        let folder = tempfile::tempdir().unwrap();
        // Beside the folder: where Landlock protects `state_dir`, apps of the same user create no files
        // directly in the folders above it.
        let state = tempfile::tempdir_in("/var/tmp").unwrap();
        let port = free_port();
        let url = format!("http://localhost:{port}");
        let text = [head, config].concat().replace("{PORT}", &port.to_string());
        let text = text.replace("{DIR}", &folder.path().display().to_string());
        let text = text.replace("{STATE}", &state.path().display().to_string());
        std::fs::write(folder.path().join("appliance.toml"), text).unwrap();
        (folder, state, port, url)
    }

    fn spawn(command: &mut Command, folder: &tempfile::TempDir) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.path().join("log"))
            .unwrap();
        command
            .args(["--config", configuration(folder.path())])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Starts the appliance again in the same folder, after [`Self::end`].
    pub fn restart(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        self.child = Self::spawn(&mut command, &self.folder);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let is_of_state = name == "state" || name.starts_with("state/");
        let beside = self.state.path().join(name);
        if is_of_state && beside.exists() { beside } else { self.folder.path().join(name) }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Waits until the log has this text. A line is written some moments after what it tells.
    pub async fn logs(&self, text: &str) {
        let what = || format!("`{text}` in the log\n{}", self.log());
        eventually(&what(), async || self.log().contains(text).then_some(())).await;
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the end of the process. Returns the exit code, or 128 + n for a signal.
    pub async fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let child = &mut self.child;
        let status =
            eventually("the end of the appliance", async || child.try_wait().unwrap()).await;
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// Sends TERM, waits for the end and returns the exit code.
    pub async fn stop(&mut self) -> i32 {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.end().await
    }

    /// Runs a command of the built binary in the same folder.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", configuration(self.folder.path())])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// One app of `status --json`; `None` until the appliance responds.
    pub fn app(&self, name: &str) -> Option<serde_json::Value> {
        let status: serde_json::Value =
            serde_json::from_slice(&self.cli(&["status", "--json"]).stdout).ok()?;
        status["apps"].as_array()?.iter().find(|app| app["name"] == name).cloned()
    }

    pub async fn wait_for_state(&self, name: &str, state: &str) -> serde_json::Value {
        eventually(&format!("{name} to be {state}\n{}", self.log()), async || {
            self.app(name).filter(|app| app["state"] == state)
        })
        .await
    }

    /// Waits until `/_appliance/ready` answers 200.
    pub async fn wait_ready(&self) {
        let browser = Browser::new(&self.url);
        eventually(&format!("the gate to open\n{}", self.log()), async || {
            let answer = browser.send(Method::GET, "/_appliance/ready", &[]).await.ok()?;
            (answer.status == StatusCode::OK).then_some(())
        })
        .await;
    }
}

/// The name of the configuration file in this folder, or of the folder with apps.
fn configuration(folder: &Path) -> &'static str {
    if folder.join("apps").is_dir() && !folder.join("appliance.toml").exists() {
        "apps"
    } else {
        "appliance.toml"
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the appliance ---\n{}", self.log());
        }
        end_tree(&mut self.child);
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap())
    }
}

/// The headers of a navigation.
pub const NAVIGATION: &[(&str, &str)] = &[
    ("accept", "text/html,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];
/// The headers of a `fetch()`.
pub const FETCH: &[(&str, &str)] =
    &[("accept", "*/*"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];

/// A client with a cookie jar for each origin. Only [`Self::go`] follows redirects.
#[derive(Clone)]
pub struct Browser {
    base: String,
    client: reqwest::Client,
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    pub fn new(base: &str) -> Self {
        // Fails for every browser but the first one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let here = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let hosts = ["hosted.test", "board.localhost", "team.localhost", "other.localhost"];
        let builder = reqwest::Client::builder().no_proxy();
        let client = hosts
            .into_iter()
            .fold(builder, |builder, host| builder.resolve(host, here))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { base: base.to_owned(), client, cookies: BTreeMap::new() }
    }

    /// The `Cookie` header for the appliance.
    pub fn cookie_line(&self) -> String {
        self.line_for(&self.base)
    }

    fn line_for(&self, origin: &str) -> String {
        let jar = self.cookies.get(origin).into_iter().flatten();
        jar.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Sends one request to the appliance with the cookies of the jar. The jar does not change.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        self.ask(method, &format!("{}{path}", self.base), headers).await
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let line = self.line_for(&origin(url));
        if !line.is_empty() {
            request = request.header("cookie", line);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes().await?).into_owned();
        Ok(Answer { url: url.to_owned(), status, headers, body })
    }

    /// Sends one request like `fetch()`. The cookies of the response are kept.
    pub async fn fetch(&mut self, path: &str, more: &[(&str, &str)]) -> Answer {
        let headers = [FETCH, more].concat();
        let answer = self.send(Method::GET, path, &headers).await.unwrap();
        self.keep(&answer);
        answer
    }

    /// Navigates to a URL and returns the first response.
    pub async fn open(&mut self, url: &str) -> Answer {
        let url = if url.starts_with('/') { format!("{}{url}", self.base) } else { url.to_owned() };
        let answer = self.ask(Method::GET, &url, NAVIGATION).await.unwrap();
        self.keep(&answer);
        answer
    }

    /// Navigates to a path and follows all redirects, at the appliance and at the issuer.
    pub async fn go(&mut self, path: &str) -> Answer {
        let mut answer = self.open(path).await;
        for _ in 0..10 {
            if !answer.status.is_redirection() {
                return answer;
            }
            let next = url::Url::parse(&answer.url).unwrap().join(answer.location()).unwrap();
            answer = self.open(next.as_str()).await;
        }
        panic!("too many redirects, the last one to {}", answer.url);
    }

    fn keep(&mut self, answer: &Answer) {
        let jar = self.cookies.entry(origin(&answer.url)).or_default();
        for line in answer.headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn origin(url: &str) -> String {
    url::Url::parse(url).unwrap().origin().ascii_serialization()
}
