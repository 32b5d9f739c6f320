//! The built binary on the shipped configuration.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder for the configuration and the state. Not in `/tmp`: in a container without namespaces, apps
/// and setups may not create files in a folder above the state, and programs need `/tmp`.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The time limit of a start until the port is open.
const START: Duration = Duration::from_secs(30);

/// A running appliance. Its drop kills the process.
pub(crate) struct Appliance {
    pub(crate) url: String,
    folder: tempfile::TempDir,
    port: u16,
    keycloak: PathBuf,
    child: Child,
}

impl Appliance {
    /// The shipped configuration. Returns when the appliance listens.
    pub(crate) async fn start() -> Self {
        Self::start_changed(&[], "keycloak").await
    }

    /// The shipped configuration with other texts in it, and with a Keycloak in the folder of that
    /// name, because one program serves one path.
    pub(crate) async fn start_changed(changes: &[(&str, &str)], keycloak: &str) -> Self {
        Self::start_prepared(|_, _| {}, changes, keycloak).await
    }

    /// The same in a folder that `prepare` fills before. It also gets the address.
    pub(crate) async fn start_prepared(
        prepare: impl FnOnce(&Path, &str),
        changes: &[(&str, &str)],
        keycloak: &str,
    ) -> Self {
        let folder = folder();
        let port = free_port();
        let url = format!("http://localhost:{port}");
        prepare(folder.path(), &url);
        // Relative paths start at the folder of the file, so the copy needs absolute paths.
        let shipped = std::fs::read_to_string(Path::new(ROOT).join("appliance.toml")).unwrap();
        let mut moved = shipped
            .replace("0.0.0.0:8080", &format!("127.0.0.1:{port}"))
            .replace("\"apps/", &format!("\"{ROOT}/apps/"));
        for (text, other) in changes {
            assert!(moved.contains(text), "the shipped file has no {text}");
            moved = moved.replace(text, other);
        }
        Self::start_in(folder, port, &moved, keycloak).await
    }

    /// A configuration in its folder, with a Keycloak in the folder of that name for the preset.
    pub(crate) async fn start_in(
        folder: tempfile::TempDir,
        port: u16,
        text: &str,
        keycloak: &str,
    ) -> Self {
        let url = format!("http://localhost:{port}");
        std::fs::write(folder.path().join("appliance.toml"), text).unwrap();
        Self::start_with(folder, port, url, keycloak).await
    }

    /// The folder `apps` in place of a configuration; `prepare` fills it before.
    pub(crate) async fn start_folder(prepare: impl FnOnce(&Path)) -> Self {
        let (folder, port) = (folder(), free_port());
        let apps = folder.path().join("apps");
        std::fs::create_dir(&apps).unwrap();
        prepare(&apps);
        Self::start_with(folder, port, format!("http://localhost:{port}"), "keycloak").await
    }

    async fn start_with(folder: tempfile::TempDir, port: u16, url: String, keycloak: &str) -> Self {
        let keycloak = kept().join(keycloak);
        // The first run downloads Keycloak and packages; no page waits that long.
        let done = program("setup", folder.path(), &url, &keycloak).wait().unwrap();
        let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(done.success(), "the setup failed: {text}");
        let child = program("run", folder.path(), &url, &keycloak);
        let mut appliance = Self { url, folder, port, keycloak, child };
        appliance.wait_until_it_listens().await;
        appliance
    }

    /// Starts the appliance again after [`Self::stop`].
    pub(crate) async fn start_again(&mut self) {
        self.child = program("run", self.folder.path(), &self.url, &self.keycloak);
        self.wait_until_it_listens().await;
    }

    async fn wait_until_it_listens(&mut self) {
        let until = Instant::now() + START;
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the appliance has ended: {}", ended.unwrap());
            assert!(Instant::now() < until, "the appliance does not listen after {START:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends TERM and returns the exit code; `None` if the process runs longer than `patience`.
    pub(crate) fn stop(&mut self, patience: Duration) -> Option<i32> {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let until = Instant::now() + patience;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if Instant::now() > until => return None,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// One that the appliance has generated.
    pub(crate) fn secret(&self, name: &str) -> String {
        let folders = [self.path(".appliance"), self.path("apps/.appliance")];
        let state = folders.iter().find(|folder| folder.exists()).unwrap();
        let text = std::fs::read_to_string(state.join(name)).unwrap();
        text.trim().to_owned()
    }

    /// Checks that the log has neither the client's secret nor the parameters of a login.
    pub(crate) fn log_holds_no_secret(&self) {
        let log = self.log();
        let secret = self.secret("oidc-client");
        for word in [&*secret, "?code=", "&code=", "?state=", "&state=", "session_code="] {
            assert!(!log.contains(word), "the log holds {word}");
        }
    }

    /// The address of a host beside `localhost`, on the same port.
    pub(crate) fn at(&self, host: &str) -> String {
        self.url.replace("localhost", host)
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("log")).unwrap()).into_owned()
    }

    /// A file in the folder of the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line of a shell in this folder, where `appliance` is the built binary.
    pub(crate) fn shell(&self, line: &str) {
        let programs = Path::new(env!("CARGO_BIN_EXE_appliance")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).current_dir(self.folder.path()).env("PATH", path);
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

/// The folder with the programs that the setup installs, for the next run.
pub(crate) fn kept() -> PathBuf {
    Path::new(ROOT).join(".appliance")
}

/// Starts a command of the built binary. The state folder is `.appliance` in `folder`.
fn program(command: &str, folder: &Path, url: &str, keycloak: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let listen = url.replace("http://localhost", "127.0.0.1");
    Command::new(env!("CARGO_BIN_EXE_appliance"))
        .arg(command)
        .current_dir(folder)
        .env("APPLIANCE_APPS", folder.join("apps"))
        .env("APPLIANCE_LISTEN", listen)
        .env("PUBLIC_URL", url)
        .env_remove("STATE_DIRECTORY")
        .env("CACHE_DIRECTORY", kept())
        .env("KEYCLOAK_HOME", keycloak)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the appliance ---\n{}", self.log());
            // The children get time to end, too.
            self.stop(Duration::from_secs(15));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port. Another process may take it before it is used.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
