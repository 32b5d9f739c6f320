//! First-time setup with real processes.

use std::path::Path;

use super::*;
use crate::supervisor::samples::{alone, app};

fn step(folder: &Path, creates: &str, script: &str) -> Setup {
    Setup {
        run: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        creates: folder.join(creates),
        env: vec![("OUT".into(), folder.display().to_string())],
    }
}

fn with(name: &str, steps: Vec<Setup>) -> App {
    let mut app = app(name, &["true"]);
    app.run.as_mut().unwrap().setup = steps;
    app
}

#[tokio::test]
async fn missing_things_are_made_once() {
    let _alone = alone().await;
    let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
    let folder = tempfile::tempdir().unwrap();
    let made = |script| step(folder.path(), "made", script);
    let apps =
        ["a", "b"].map(|name| with(name, vec![made("echo making; echo x >>$OUT/made; sleep 0.1")]));
    assert!(setup_is_due(&apps));
    setup(&apps, &reaper, &log).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("made")).unwrap(), "x\n");
    assert!(log.tail(None, 9).iter().any(|line| line.ends_with("a           | making")));
    assert!(!setup_is_due(&apps));
    setup(&apps, &reaper, &log).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("made")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_failure_says_whose_what_and_why_and_lets_others_end() {
    let _alone = alone().await;
    let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
    let folder = tempfile::tempdir().unwrap();
    let made = |creates, script| step(folder.path(), creates, script);
    let slow = with("slow", vec![made("slow", "sleep 0.3; echo x >$OUT/slow")]);
    for (app, expected) in [
        (
            with(
                "a",
                vec![made("a", "echo first; echo no network >&2; exit 4"), made("b", "exit 5")],
            ),
            "setup of a failed: `/bin/sh -c echo first; echo no network >&2; exit 4` ended with exit 4: no network",
        ),
        (with("a", vec![made("a", "true")]), "did not create"),
        (
            with("a", vec![Setup { run: vec!["/nowhere/x".into()], ..made("a", "") }]),
            "/nowhere/x: No such",
        ),
    ] {
        let failed = setup(&[app, slow.clone()], &reaper, &log).await.unwrap_err().to_string();
        assert!(failed.contains(expected), "{failed}");
        assert!(folder.path().join("slow").exists());
    }
}

#[tokio::test]
async fn who_no_longer_wants_it_leaves_no_process() {
    let _alone = alone().await;
    let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
    let folder = tempfile::tempdir().unwrap();
    let apps = [with("a", vec![step(folder.path(), "a", "sleep 100 & sleep 100")])];
    let cut = timeout(Duration::from_millis(200), setup(&apps, &reaper, &log)).await;
    assert!(cut.is_err());
    timeout(Duration::from_secs(5), async {
        while reaper.has_children() {
            let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
        }
    })
    .await
    .unwrap();
}

#[test]
fn a_script_is_no_name() {
    let mut step = step(Path::new("/x"), "a", "line\nline");
    assert_eq!(shown(&step), "/bin/sh -c …");
    step.run.push("a-setup".into());
    assert_eq!(shown(&step), "a-setup");
}
