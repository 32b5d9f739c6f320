//! `appliance status` for people.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Appliance, eventually};

const APPS: &str = "[apps.good]\ncommand = [\"sleep\", \"1000\"]\n\
     [apps.bad]\ncommand = [\"sh\", \"-c\", \"exit 3\"]\nrestart = \"never\"\n";

async fn start() -> Appliance {
    let appliance = Appliance::start(APPS);
    appliance.wait_for_state("good", "ready").await;
    appliance.wait_for_state("bad", "failed").await;
    appliance
}

fn command(appliance: &Appliance, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
    command.args(["--config", "appliance.toml", "status"]).args(arguments);
    command.current_dir(appliance.folder.path()).stdin(Stdio::null());
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    command
}

/// What the command writes to a terminal of this width.
fn on_terminal(mut command: Command, columns: u16) -> String {
    let size = Winsize { ws_row: 20, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let status = command.stdout(pty.slave.try_clone().unwrap()).status().unwrap();
    assert!(status.success(), "{status:?}");
    drop((command, pty.slave));
    read_all(&pty.master)
}

/// A terminal whose other end is closed fails after the last byte.
fn read_all(master: &OwnedFd) -> String {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = nix::unistd::read(master.as_fd(), &mut part) {
        text.extend_from_slice(&part[..read]);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_terminal_gets_colours_and_lines_that_fit() {
    let appliance = start().await;
    let wide = on_terminal(command(&appliance, &[]), 200);
    assert!(wide.contains("\x1b[32mready"), "{wide}");
    assert!(wide.contains("\x1b[31mfailed"), "{wide}");
    for heading in ["SINCE", "RESTARTS", "MEMORY", "CPU", "PEOPLE", "LAST EXIT", "PATH", "REASON"] {
        assert!(wide.contains(heading), "{heading}: {wide}");
    }
    let narrow = on_terminal(command(&appliance, &[]), 40);
    assert!(!narrow.contains("PATH") && narrow.contains("    (exit 3)"), "{narrow}");
    for line in narrow.replace("\x1b[", "\0").lines() {
        // Without the colours: `m` ends each.
        let plain: String = line
            .split('\0')
            .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
            .collect();
        assert!(plain.trim_end().chars().count() <= 40, "{plain:?}");
    }
    let mut quiet = command(&appliance, &[]);
    quiet.env("NO_COLOR", "1");
    assert!(!on_terminal(quiet, 200).contains('\x1b'));
    // Whole and plain where nobody looks.
    let table = String::from_utf8(appliance.cli(&["status"]).stdout).unwrap();
    assert!(!table.contains('\x1b') && table.contains("PATH"), "{table}");
    let since = table.lines().find(|line| line.starts_with("good ")).unwrap();
    assert!(since.contains(" s  ") || since.contains(" min  "), "{since}");
    // `[log] color` counts for the commands as well.
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}[log]\ncolor = \"always\"\n")).unwrap();
    let table = String::from_utf8(appliance.cli(&["status"]).stdout).unwrap();
    assert!(table.contains("\x1b[32mready"), "{table}");
}

#[tokio::test]
async fn watch_prints_blocks_without_a_terminal_and_ends_on_ctrl_c() {
    let appliance = start().await;
    let file = appliance.path("watched");
    let out = std::fs::File::create(&file).unwrap();
    let mut child = command(&appliance, &["--watch"]).stdout(out).spawn().unwrap();
    eventually("two blocks", async || {
        let text = std::fs::read_to_string(&file).unwrap();
        (text.matches("NAME ").count() >= 2 && text.contains("\n\nNAME ")).then_some(())
    })
    .await;
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let status = eventually("the end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    assert!(!std::fs::read_to_string(&file).unwrap().contains('\x1b'));
}

#[tokio::test]
async fn watch_redraws_a_terminal_and_ends_with_its_appliance() {
    let mut appliance = start().await;
    let size = Winsize { ws_row: 20, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let slave = std::fs::File::from(pty.slave);
    let mut watching = command(&appliance, &["--watch"]);
    let mut child =
        watching.stdout(slave.try_clone().unwrap()).stderr(Stdio::piped()).spawn().unwrap();
    drop((watching, slave));
    let reader = std::thread::spawn(move || read_all(&pty.master));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(child.try_wait().unwrap(), None);
    appliance.stop().await;
    let status = eventually("the end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(69));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the appliance is not running") || said.contains("ended"), "{said}");
    let text = tokio::task::spawn_blocking(move || reader.join().unwrap()).await.unwrap();
    assert_eq!(text.matches("\x1b[2J").count(), 1, "{text}");
    assert!(text.matches("\x1b[H").count() >= 2, "{text}");
}
