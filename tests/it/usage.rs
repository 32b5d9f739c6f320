//! What `status` says about the memory and processor time of apps.

use std::time::Duration;

use crate::harness::Appliance;

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
