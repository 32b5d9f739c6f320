//! The commands of the built binary, and a second appliance on the same folder.

use std::process::{Command, Output};

use crate::harness::{Appliance, free_port};

const SLEEPER: &str = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[tokio::test]
async fn status_works_although_the_configuration_file_has_errors_now() {
    let mut appliance = Appliance::start(SLEEPER);
    appliance.wait_for_state("a", "ready").await;
    let path = appliance.path("appliance.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{good}comand = [\"x\"]\n")).unwrap();
    let status = appliance.cli(&["status"]);
    assert_eq!(code(&status), Some(0));
    assert!(text(&status.stdout).contains("ready"));
    assert!(text(&status.stderr).contains("`appliance check`"));
    let health = appliance.cli(&["healthcheck"]);
    assert_eq!((code(&health), text(&health.stderr)), (Some(0), String::new()));
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(code(&appliance.cli(&["status"])), Some(78));
    std::fs::write(&path, good).unwrap();
    assert_eq!(code(&appliance.cli(&["status"])), Some(69));
}

#[tokio::test]
async fn a_second_appliance_reports_the_first_one_instead_of_its_ports() {
    let port = free_port();
    let listens = format!(
        "[apps.a]\ncommand = [\"python3\", \"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", \"{port}\"]\n\
         port = {port}\nready = {{ tcp = true }}\n"
    );
    let appliance = Appliance::start(&listens);
    appliance.wait_for_state("a", "ready").await;
    let second = appliance.cli(&["run"]);
    assert_eq!(code(&second), Some(69), "{}", text(&second.stderr));
    assert!(text(&second.stderr).contains("another appliance"));
}

#[tokio::test]
async fn logs_shows_the_lines_of_an_app_or_of_the_appliance() {
    let appliance = Appliance::start("[apps.a]\ncommand = [\"echo\", \"said\"]\noneshot = true\n");
    appliance.wait_for_state("a", "ready").await;
    let shown = |name: &str| text(&appliance.cli(&["logs", name]).stdout);
    assert!(shown("a").contains("| said") && !shown("a").contains("appliance "));
    assert!(shown("appliance").contains("app started") && !shown("appliance").contains("| said"));
    assert_eq!(code(&appliance.cli(&["logs", "b"])), Some(1));
    assert_eq!(code(&appliance.cli(&["logs", "--access", "b"])), Some(1));
    let late = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["logs", "--config"])
        .arg(appliance.path("appliance.toml"))
        .output()
        .unwrap();
    assert!(text(&late.stdout).contains("| said"));
}

#[test]
fn a_closed_stdout_is_no_error_and_a_full_disk_is_an_error() {
    for command in ["schema", "completions bash"] {
        let output = |stdout: std::process::Stdio| {
            let mut asked = Command::new(env!("CARGO_BIN_EXE_appliance"));
            asked.args(command.split(' ')).stdout(stdout).output().unwrap()
        };
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let unread = output(writer.into());
        assert_eq!((code(&unread), text(&unread.stderr)), (Some(0), String::new()));
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let full = output(full.into());
        assert_eq!(code(&full), Some(70));
        assert!(text(&full.stderr).starts_with("appliance: cannot print: "));
    }
}

#[test]
fn check_warns_of_everything_that_run_would_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let listen = format!("[server]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    let text = "users = \"per-app\"\n[oidc]\nissuer = \"https://id.example.org\"\n\
         client_id = \"a\"\nclient_secret = { env = \"NOT_SET_AT_ALL\" }\n\
         [apps.a]\nstreamlit = \"ap.py\"\npath = \"/a\"\n\
         [apps.b]\ncommand = [\"no-such-program\"]\nuser = \"no-such-user\"\n";
    std::fs::write(&path, listen + text).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    let said = self::text(&check.stderr);
    assert_eq!(code(&check), Some(0), "{said}");
    for words in ["NOT_SET_AT_ALL is not set", "no script", "`no-such-program`", "`no-such-user`"] {
        assert_eq!(said.matches(words).count(), 1, "{words}: {said}");
    }
    assert!(!said.contains("error:") && said.matches("warning:").count() == 4, "{said}");
    assert!(self::text(&check.stdout).ends_with("2 apps, no errors, 4 warnings\n"));
    assert!(!dir.path().join(".appliance").exists());
}
