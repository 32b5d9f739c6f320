//! supervisord from PyPI, in a virtual environment below `target`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use crate::contestant::Contestant;

const VERSION: &str = "4.3.0";

static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("supervisor-{VERSION}"));
    let programs = folder.join("bin");
    if !programs.join("supervisord").exists() {
        let run = |command: &mut Command| {
            assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{command:?}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let package = format!("supervisor=={VERSION}");
        run(Command::new(programs.join("pip")).args(["install", "--quiet", &package]));
    }
    programs
});

/// Installs it, once. That takes no part in a figure.
pub fn install() {
    LazyLock::force(&PROGRAMS);
}

pub struct Supervisord {
    child: Child,
    folder: tempfile::TempDir,
}

fn write(folder: &Path, apps: usize, number: usize) {
    let dir = folder.display();
    let mut text = format!(
        "[supervisord]\nnodaemon = true\nlogfile = {dir}/log\npidfile = {dir}/pid\n\
         [unix_http_server]\nfile = {dir}/socket\n[supervisorctl]\nserverurl = unix://{dir}/socket\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
    );
    for at in 0..apps {
        let number = if at == 0 { number } else { 0 };
        let _ = writeln!(
            text,
            "[program:x{at}]\ncommand = sleep 1000\nenvironment = N=\"{number}\"\nstartsecs = 0\n\
             autorestart = true"
        );
    }
    fs::write(folder.join("conf"), text).unwrap();
}

impl Contestant for Supervisord {
    fn start(apps: usize) -> Self {
        let program = PROGRAMS.join("supervisord");
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), apps, 0);
        let mut command = Command::new(program);
        let conf = folder.path().join("conf");
        let child = command.arg("-c").arg(conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { child: child.unwrap(), folder }
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn write(&self, apps: usize, number: usize) {
        write(self.folder.path(), apps, number);
    }

    fn reload(&self) -> Child {
        let mut command = Command::new(PROGRAMS.join("supervisorctl"));
        command.arg("-c").arg(self.folder.path().join("conf")).arg("update");
        command.stdout(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        crate::harness::processes::end_tree(&mut self.child);
    }
}
