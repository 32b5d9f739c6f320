//! The appliance, and what its peer does not have.

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::contestant::Contestant;
use crate::harness::Appliance;
use crate::{RUNS, kernel, ms};

/// A configuration of apps that sleep. The first one differs by the value.
pub fn sleepers(apps: usize, number: usize) -> String {
    (0..apps).fold(String::new(), |mut text, at| {
        let number = if at == 0 { number } else { 0 };
        let _ = writeln!(
            text,
            "[apps.x{at}]\ncommand = [\"sleep\", \"1000\"]\nenv = {{ N = \"{number}\" }}\n\
             backoff = {{ min = \"0s\", max = \"0s\" }}\nmax_restarts = 100000"
        );
        text
    })
}

/// Writes the apps of an appliance anew.
pub fn write_apps(appliance: &Appliance, apps: &str) {
    let path = appliance.path("appliance.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.split_once("[apps").unwrap().0.to_owned() + apps).unwrap();
}

impl Contestant for Appliance {
    fn start(apps: usize) -> Self {
        Self::start(&sleepers(apps, 0))
    }

    fn pid(&self) -> i32 {
        self.pid()
    }

    fn write(&self, apps: usize, number: usize) {
        write_apps(self, &sleepers(apps, number));
    }

    fn reload(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", "appliance.toml", "reload"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// From the line of output that makes an app ready to the process of its dependent.
pub async fn dependent() -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let appliance = Appliance::start(
            "[apps.first]\n\
             command = [\"sh\", \"-c\", \"mkfifo {DIR}/go; read x <{DIR}/go; echo ready; exec sleep 1000\"]\n\
             ready = { log = \"^ready$\" }\n\
             [apps.second]\ncommand = [\"sleep\", \"1000\"]\nafter = [\"first\"]\n",
        );
        appliance.wait_for_state("first", "starting").await;
        while !appliance.path("go").exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let began = Instant::now();
        fs::write(appliance.path("go"), "\n").unwrap();
        kernel::until_children(appliance.pid(), 2);
        times.push(ms(began));
    }
    times
}

/// From the end of a process to a `status` that shows it.
pub async fn status() -> Vec<f64> {
    let app = "[apps.x]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"never\"\n";
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let appliance = Appliance::start(app);
        appliance.wait_for_state("x", "ready").await;
        let began = Instant::now();
        kernel::signal(kernel::children(appliance.pid())[0], Signal::SIGKILL);
        while appliance.app("x").unwrap()["state"] != "failed" {}
        times.push(ms(began));
    }
    times
}
