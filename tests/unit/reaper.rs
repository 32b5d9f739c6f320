//! Ends of processes, as the reaper tells them.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::supervisor::samples::{alone, shell_command as sh};

const SOON: Duration = Duration::from_secs(5);

async fn end(process: &mut Process) -> Ended {
    timeout(SOON, &mut process.ended).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_exit_arrives_also_beside_failing_starts() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let mut running = Vec::new();
    for number in 0..200 {
        let code = number % 7;
        running.push((code, reaper.spawn(&mut sh(&format!("exit {code}"))).unwrap()));
        let missing = reaper.spawn(&mut Command::new("/nowhere/program"));
        assert_eq!(missing.unwrap_err().raw_os_error(), Some(2));
    }
    for (code, mut process) in running {
        assert_eq!(end(&mut process).await.exit, Exit::Code(code));
        timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    }
    // Real-time ones have no name.
    for signal in [11, 34, 40, 64] {
        let mut killed = reaper.spawn(&mut sh(&format!("kill -{signal} $$"))).unwrap();
        assert_eq!(end(&mut killed).await.exit, Exit::Signal(signal));
    }
    assert!(!reaper.has_children());
}

#[tokio::test]
async fn a_group_is_ours_until_its_last_member_has_gone() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let mut process = reaper.spawn(&mut sh("sleep 100 & exit 3")).unwrap();
    let ended = end(&mut process).await;
    assert!(ended.survivors && ended.exit == Exit::Code(3));
    assert!(!reaper.signal(process.pid, Signal::SIGTERM), "its leader has been reaped");
    assert!(process.gone.try_recv().is_err());
    assert!(reaper.signal_group(process.pid, Signal::SIGKILL));
    timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    assert!(!reaper.signal_group(process.pid, Signal::SIGKILL), "its number may be another's now");
}

#[tokio::test]
async fn a_member_that_has_ended_and_is_never_waited_for_holds_nothing_up() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    // Somebody leaves the group after he has had a child in it, for which he does not wait.
    let script = "import os,time; r,w=os.pipe()\n\
                  if os.fork()==0:\n os.fork() or os._exit(0)\n os.setsid()\n os.close(w)\n time.sleep(100)\n\
                  os.close(w); os.read(r,1); os._exit(3)";
    let mut command = Command::new("python3");
    let mut process = reaper.spawn(command.args(["-c", script]).process_group(0)).unwrap();
    assert!(end(&mut process).await.survivors);
    let stray = || processes::all().find(|seen| seen.parent == std::process::id().cast_signed());
    timeout(SOON, async {
        while process.gone.try_recv().is_err() {
            reaper.look(process.pid);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let stray = stray().unwrap();
    assert!(stray.group != process.pid.as_raw());
    kill(Pid::from_raw(stray.pid), Signal::SIGKILL).unwrap();
    while reaper.has_children() {
        let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
    }
}

#[tokio::test]
async fn a_process_that_nobody_holds_is_killed_with_its_group() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    drop(reaper.spawn(&mut sh("sleep 100 & sleep 100")).unwrap());
    timeout(SOON, async {
        while reaper.has_children() {
            let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn orphans_are_reaped_and_disturb_nobody() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let script = "i=0; while [ $i -lt 50 ]; do (sleep 0 &); i=$((i+1)); done; sleep 0.2; exit 5";
    let mut process = reaper.spawn(&mut sh(script)).unwrap();
    assert_eq!(end(&mut process).await.exit, Exit::Code(5));
    timeout(SOON, &mut process.gone).await.unwrap().unwrap();
    assert!(!reaper.has_children());
}
