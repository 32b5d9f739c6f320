//! Spawns, exits and signals of real processes.

use std::os::unix::process::CommandExt as _;

use super::*;
use crate::one_process::alone;
use crate::supervisor::process::procfs;
use crate::supervisor::sample_apps::shell_command as sh;

const SOON: Duration = Duration::from_secs(5);

async fn end(process: &mut Process) -> Ended {
    timeout(SOON, &mut process.ended).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_exit_is_reported_also_beside_failed_spawns() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let mut running = Vec::new();
    for number in 0..200 {
        let code = number % 7;
        running.push((code, reaper.spawn(&mut sh(&format!("exit {code}")), None).unwrap()));
        let missing = reaper.spawn(&mut Command::new("/nowhere/program"), None);
        assert_eq!(missing.unwrap_err().raw_os_error(), Some(2));
    }
    for (code, mut process) in running {
        assert_eq!(end(&mut process).await.exit, Exit::Code(code));
        timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    }
    // Real-time signals have no name.
    for signal in [11, 34, 40, 64] {
        let mut killed = reaper.spawn(&mut sh(&format!("kill -{signal} $$")), None).unwrap();
        assert_eq!(end(&mut killed).await.exit, Exit::Signal(signal));
    }
    assert!(!reaper.has_children());
}

#[tokio::test]
async fn a_group_is_signalled_until_its_last_member_is_gone() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let mut process = reaper.spawn(&mut sh("sleep 100 & exit 3"), None).unwrap();
    let ended = end(&mut process).await;
    assert!(ended.survivors && ended.exit == Exit::Code(3));
    assert!(!reaper.signal(process.pid, Signal::SIGTERM), "the leader has been reaped");
    assert!(process.gone.try_recv().is_err());
    assert!(reaper.signal_group(process.pid, Signal::SIGKILL));
    timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    assert!(
        !reaper.signal_group(process.pid, Signal::SIGKILL),
        "the number may belong to another group now"
    );
}

#[tokio::test]
async fn a_dead_member_that_is_never_reaped_blocks_nothing() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    // A process leaves the group after it has forked a child there, and never reaps the child.
    let script = "import os,time; r,w=os.pipe()\n\
                  if os.fork()==0:\n os.fork() or os._exit(0)\n os.setsid()\n os.close(w)\n time.sleep(100)\n\
                  os.close(w); os.read(r,1); os._exit(3)";
    let mut command = Command::new("python3");
    let mut process = reaper.spawn(command.args(["-c", script]).process_group(0), None).unwrap();
    assert!(end(&mut process).await.survivors);
    let stray = || procfs::all().find(|process| process.parent == std::process::id().cast_signed());
    timeout(SOON, async {
        while process.gone.try_recv().is_err() {
            reaper.check_group(process.pid);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let stray = stray().unwrap();
    assert!(stray.group != process.pid.as_raw());
    nix::sys::signal::kill(Pid::from_raw(stray.pid), Signal::SIGKILL).unwrap();
    while reaper.has_children() {
        let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
    }
}

#[tokio::test]
async fn a_dropped_process_is_killed_with_its_group() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    drop(reaper.spawn(&mut sh("sleep 100 & sleep 100"), None).unwrap());
    timeout(SOON, async {
        while reaper.has_children() {
            let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn orphans_are_reaped_and_affect_nothing_else() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let script = "i=0; while [ $i -lt 50 ]; do (sleep 0 &); i=$((i+1)); done; sleep 0.2; exit 5";
    let mut process = reaper.spawn(&mut sh(script), None).unwrap();
    assert_eq!(end(&mut process).await.exit, Exit::Code(5));
    timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    assert!(!reaper.has_children());
}
