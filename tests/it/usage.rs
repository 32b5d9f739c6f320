//! What `status` says about the memory and processor time of apps.

use std::time::Duration;

use crate::harness::{Appliance, eventually};

/// Its child holds 40 MB and keeps a processor busy.
const BUSY: &str = r"
import os, time
if os.fork() == 0:
    held = bytearray(40 << 20)
    while 1: pass
time.sleep(1000)
";

#[tokio::test]
async fn status_tells_memory_and_processor_of_each_running_app() {
    let appliance = Appliance::start(&format!(
        "[apps.busy]\ncommand = [\"python3\", \"-c\", '''{BUSY}''']\n\
         [apps.idle]\ncommand = [\"sleep\", \"1000\"]\n\
         [apps.ended]\ncommand = [\"true\"]\noneshot = true\n\
         [apps.elsewhere]\nupstream = \"http://127.0.0.1:1\"\n"
    ));
    for app in ["busy", "idle", "ended"] {
        appliance.wait_for_state(app, "ready").await;
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let of = |app: &str| appliance.app(app).unwrap();
    let (busy, idle) = (of("busy"), of("idle"));
    let memory = |app: &serde_json::Value| app["memory_bytes"].as_u64().unwrap();
    assert!((38 << 20..90 << 20).contains(&memory(&busy)), "{busy}");
    assert!((1..10 << 20).contains(&memory(&idle)), "{idle}");
    assert!(busy["cpu_percent"].as_f64().unwrap() > 20.0, "{busy}");
    assert!(idle["cpu_percent"].as_f64().unwrap() < 5.0, "{idle}");
    for none in ["ended", "elsewhere"] {
        let none = of(none);
        assert!(none["memory_bytes"].is_null() && none["cpu_percent"].is_null(), "{none}");
    }
    let table = appliance.cli(&["status"]).stdout;
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains(" MB  ") && table.contains(" %  "), "{table}");
}

/// Its child grows to 100 MB after a moment.
const GROWS: &str = r"
import os, time
time.sleep(0.5)
if os.fork() == 0:
    held = bytearray(100 << 20)
time.sleep(1000)
";

#[tokio::test]
async fn an_app_over_its_memory_is_restarted_and_its_neighbours_stay() {
    let app = |name: &str| {
        format!(
            "[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{GROWS}''']\nrestart = \"never\"\n"
        )
    };
    let (held, free) = (app("held"), app("free"));
    let appliance =
        Appliance::start(&format!("{held}max_memory = \"60MB\"\n{free}max_memory = \"10GB\"\n"));
    appliance.wait_for_state("held", "ready").await;
    appliance.wait_for_state("free", "ready").await;
    let pid = |app: &str| appliance.app(app).unwrap()["pid"].clone();
    let before = (pid("held"), pid("free"));
    let restarted = eventually("the restart", async || {
        appliance.app("held").filter(|app| app["restarts"] == 1 && app["state"] == "ready")
    })
    .await;
    assert_ne!(restarted["pid"], before.0);
    assert_eq!(restarted["last_exit"]["signal"], "TERM");
    let reason = restarted["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("restarted: it used 1") && reason.contains("`max_memory` is 60 MB"),
        "{reason}"
    );
    assert_eq!(pid("free"), before.1);
    appliance.logs("app uses too much memory").await;
    // Without the limit, it stays.
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("max_memory = \"60MB\"\n", "");
    std::fs::write(&path, text).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(appliance.app("held").unwrap()["restarts"], 1);
}
