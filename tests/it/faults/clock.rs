//! Steps of the wall clock.

use std::fs;

use super::ends_well;
use crate::harness::processes::not_run;
use crate::harness::{Appliance, eventually};

/// The library of libfaketime, if this machine has it.
fn faketime() -> Option<String> {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"];
    let paths = folders.map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"));
    let found = paths.into_iter().find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        let test = "faults::clock::steps_of_the_clock_end_and_restart_nothing";
        not_run(test, "libfaketime is missing: install the package faketime");
    }
    found
}

/// The wall clock goes forward and back by hours and days, as after a wrong time of the machine was
/// corrected. The clock of the kernel is that of the whole machine, so a library in the appliance
/// changes what it reads.
#[tokio::test]
async fn steps_of_the_clock_end_and_restart_nothing() {
    let Some(library) = faketime() else { return };
    let offset = tempfile::NamedTempFile::new().unwrap();
    let step = |by: &str| fs::write(offset.path(), by).unwrap();
    step("+0");
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", offset.path().to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = "[apps.steady]\ncommand = [\"sleep\", \"1000\"]\n\
         live = { exec = [\"true\"], interval = \"100ms\" }\n\
         [apps.daily]\ncommand = [\"sh\", \"-c\", \"echo ran\"]\nschedule = \"@daily\"\n\
         [apps.again]\ncommand = [\"sh\", \"-c\", \"sleep 0.05; exit 1\"]\n\
         backoff = { min = \"50ms\", max = \"50ms\" }\nmax_restarts = 100000\n";
    let mut appliance = Appliance::start_in_environment(&variables, config);
    let pid = appliance.wait_for_state("steady", "ready").await["pid"].clone();
    for by in ["+1h", "-1h", "+400d", "-30d", "-9000d", "+0"] {
        step(by);
        let before = appliance.log().matches("app exited app=again").count();
        eventually(&format!("restarts after {by}\n{}", appliance.log()), async || {
            (appliance.log().matches("app exited app=again").count() > before + 2).then_some(())
        })
        .await;
        let steady = appliance.app("steady").unwrap();
        assert_eq!((&steady["pid"], &steady["state"]), (&pid, &"ready".into()), "{by}: {steady}");
        assert!(!appliance.app("daily").unwrap()["next_run"].is_null(), "{by}");
        let reloaded = appliance.cli(&["reload"]);
        assert!(reloaded.status.success(), "{by}: {reloaded:?}");
    }
    let log = appliance.log();
    let years: Vec<i16> = log.lines().filter_map(|line| line.get(..4)?.parse().ok()).collect();
    let now = jiff::Zoned::now().year();
    let is_changed =
        years.iter().any(|year| *year > now) && years.iter().any(|year| *year < now - 20);
    assert!(is_changed, "the clock was not changed:\n{log}");
    ends_well(&mut appliance).await;
}
