//! An appliance with nothing to do does not wake up.

use std::time::Duration;

use super::rounds;
use crate::harness::Appliance;
use crate::harness::processes::wake_ups;

/// A user without an entry in `/etc/passwd`.
const USER: u32 = 54_322;

#[tokio::test]
async fn without_probes_nothing_wakes_the_appliance() {
    const LONG: Duration = Duration::from_secs(8);
    let app = |name: &str| format!("[apps.{name}]\ncommand = [\"sleep\", \"1000\"]\n");
    let config = ["a", "b", "c"].map(app).concat();
    // Root's appliances ask each other at their start, and other tests start some meanwhile.
    let is_root = nix::unistd::geteuid().is_root();
    let appliance =
        if is_root { Appliance::start_as(USER, &config) } else { Appliance::start(&config) };
    appliance.wait_for_state("c", "ready").await;
    // Beside other tests, the machine itself may have something to tell: memory that runs short.
    let most = rounds(2, 0);
    // The threads that the start and the command needed end after a while.
    let mut woken = Vec::new();
    for _ in 0..10 {
        let before = wake_ups(appliance.pid());
        tokio::time::sleep(LONG).await;
        woken.push(wake_ups(appliance.pid()) - before);
        if woken.last().is_some_and(|woken| *woken <= most) {
            return;
        }
    }
    panic!("never a time of {LONG:?} with at most {most} wake-ups: {woken:?}");
}
