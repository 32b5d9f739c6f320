//! Signals that an app with the appliance's user sends to the appliance. These tests need root.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::processes::no_pid_namespace;
use crate::harness::{Appliance, eventually};

/// Sends signals to a process in many ways: as a process that lives on, as one that is gone before anybody
/// looks, as a queued signal, which can forge its sender, and by a descriptor.
const ATTACK: &str = r#"
import ctypes, fcntl, os, signal, sys, time
to, libc = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    os.kill(to, number)
    time.sleep(.1)
    if to == 1:
        for _ in range(20):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: os.kill(to, number)
                os._exit(0)
        time.sleep(.1)
        libc.sigqueue(to, int(number), ctypes.c_void_p(0))
        time.sleep(.1)
        here, there = os.pipe()
        fcntl.fcntl(here, fcntl.F_SETOWN, to)
        fcntl.fcntl(here, fcntl.F_SETSIG, int(number))
        fcntl.fcntl(here, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        os.write(there, b"x")
        time.sleep(.1)
print("all sent", flush=True)
time.sleep(1000)
"#;
const REFUSED: &str = "signal refused: the sender is a process of an app";

fn config(target: &str) -> String {
    format!(
        "[apps.good]\ncommand = [\"sleep\", \"1000\"]\n\
         [apps.evil]\ncommand = [\"sh\", \"-c\", 'exec python3 -c \"$0\" {target}', '''{ATTACK}''']\n"
    )
}

async fn attacked(appliance: &Appliance) {
    let is_over = async || appliance.log().contains("| all sent").then_some(());
    eventually("the app to have sent its signals", is_over).await;
    appliance.wait_for_state("good", "ready").await;
    let log = appliance.log();
    assert!(log.contains(REFUSED), "{log}");
    for text in ["asked to stop", "reload"] {
        assert!(!log.contains(text), "{log}");
    }
}

#[tokio::test]
async fn an_app_does_not_stop_the_appliance_as_pid_1() {
    if no_pid_namespace("sent_by_app::an_app_does_not_stop_the_appliance_as_pid_1") {
        return;
    }
    let mut appliance = Appliance::start_as_pid1(&config("1"));
    attacked(&appliance).await;
    assert!(appliance.log().contains("its sender has ended or cannot be told"));
    let children = format!("/proc/{0}/task/{0}/children", appliance.pid());
    let children = std::fs::read_to_string(children).unwrap();
    let init: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    // A process in the container that no app has started, and then the runtime of the container.
    let script = "kill -HUP 1; sleep 1000";
    let mut shell = std::process::Command::new("nsenter")
        .args(["-t", &init.to_string(), "-p", "-m", "sh", "-c", script])
        .spawn()
        .unwrap();
    appliance.logs("reload").await;
    kill(Pid::from_raw(init), Signal::SIGTERM).unwrap();
    assert_eq!(appliance.end().await, 0);
    let _ = shell.wait();
}

#[tokio::test]
async fn an_app_does_not_stop_the_appliance_elsewhere() {
    let mut appliance = Appliance::start(&config("$PPID"));
    attacked(&appliance).await;
    assert_eq!(appliance.stop().await, 0);
}
