//! What reloads leave behind that change nothing, or that take something away.

use nix::sys::signal::Signal;

use crate::harness::{Appliance, eventually};

const SLEEP: &str = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\n";

fn write(appliance: &Appliance, from: &str, to: &str) {
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in the file");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The exit code and the lines of the answer.
fn reload(appliance: &Appliance, more: &[&str]) -> (Option<i32>, String) {
    let answer = appliance.cli(&[&["reload"], more].concat());
    (answer.status.code(), String::from_utf8(answer.stdout).unwrap())
}

#[tokio::test]
async fn only_a_reload_that_is_carried_out_makes_secrets() {
    let appliance = Appliance::start(SLEEP);
    appliance.wait_for_state("a", "ready").await;
    let made = || appliance.path("state/fresh").exists();
    let with = |command: &str| {
        format!("[apps.a]\nenv = {{ X = {{ generate = \"fresh\" }} }}\ncommand = [\"{command}\"")
    };
    write(&appliance, "[apps.a]\ncommand = [\"sleep\"", &with("sleep"));
    assert_eq!(reload(&appliance, &["--dry-run"]), (Some(0), "restart a: env.X\n".into()));
    assert!(!made(), "after --dry-run");
    write(&appliance, "command = [\"sleep\"", "command = [\"/no/such\"");
    assert_eq!(reload(&appliance, &[]).0, Some(78));
    assert!(!made(), "after a refused reload");
    write(&appliance, "command = [\"/no/such\"", "command = [\"sleep\"");
    assert_eq!(reload(&appliance, &[]), (Some(0), "restart a: env.X\n".into()));
    assert!(made(), "after a reload");
    assert_eq!(reload(&appliance, &[]), (Some(0), "nothing has changed\n".into()));
}

#[tokio::test]
async fn the_file_of_a_unix_socket_goes_with_its_address() {
    let appliance = Appliance::start(SLEEP);
    appliance.wait_for_state("a", "ready").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, other) = (appliance.port, taken.local_addr().unwrap().port());
    let path = appliance.path("front.sock");
    let tcp = format!("\"127.0.0.1:{own}\"");
    let unix = format!("\"unix:{}\"", path.display());
    let refused = format!("[{tcp}, {unix}, \"127.0.0.1:{other}\"]");
    write(&appliance, &tcp, &refused);
    assert_eq!(reload(&appliance, &[]).0, Some(78));
    assert!(!path.exists(), "left by a refused reload");
    write(&appliance, &refused, &format!("[{tcp}, {unix}]"));
    assert_eq!(reload(&appliance, &[]).0, Some(0));
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    write(&appliance, &format!("[{tcp}, {unix}]"), &tcp);
    assert_eq!(reload(&appliance, &[]).0, Some(0));
    eventually("the file to go", async || (!path.exists()).then_some(())).await;
}

#[tokio::test]
async fn many_signals_lead_to_few_reloads() {
    let appliance = Appliance::start(SLEEP);
    appliance.wait_for_state("a", "ready").await;
    for round in 0..1000 {
        appliance.signal(Signal::SIGHUP);
        if round % 100 == 99 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    assert_eq!(reload(&appliance, &[]).0, Some(0));
    let reloads = appliance.log().matches("configuration reloaded").count();
    assert!((1..500).contains(&reloads), "{reloads}");
}
