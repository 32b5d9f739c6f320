//! Daemons that an app leaves behind, and that try not to be seen as running or as the app's.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use reqwest::Method;

use crate::harness::processes::not_run;
use crate::harness::{Appliance, Browser, eventually, free_port};

/// Users without an entry anywhere.
const OF_APP: u32 = 41_997;
const OF_NO_APP: u32 = 41_998;

/// What the scripts below share.
const PARTS: &str = r#"
import ctypes, http.server, os, signal, threading, time
def leave():
    if os.fork(): time.sleep(1000)
    os.setsid()
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def serve(port):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *rest): pass
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"served")
    http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
def in_another_thread(work):
    def run():
        while open("/proc/self/stat").read().rsplit(")")[-1].split()[0] != "Z": time.sleep(0.01)
        work()
    threading.Thread(target=run).start()
    ctypes.CDLL(None).pthread_exit(None)
"#;

fn python(name: &str, script: &str, more: &str) -> String {
    format!("[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{PARTS}{script}''']\n{more}\n")
}

fn lacks_root(test: &str) -> bool {
    if !geteuid().is_root() {
        not_run(test, "only root can give apps users of their own");
    }
    !geteuid().is_root()
}

/// Waits until the app says `daemon PID`.
async fn daemon_of(appliance: &Appliance) -> String {
    eventually("the daemon", async || {
        let log = appliance.log();
        Some(log.split_once("| daemon ")?.1.split_once('\n')?.0.to_owned())
    })
    .await
}

/// Whether a process has a thread that runs.
fn runs(pid: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.map(|at| std::fs::read_to_string(at.path().join("stat")));
    stats.any(|stat| stat.is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X ")))
}

#[tokio::test]
async fn a_daemon_without_its_first_thread_ends_with_its_app() {
    if lacks_root("left_behind::a_daemon_without_its_first_thread_ends_with_its_app") {
        return;
    }
    let script = "leave()\nin_another_thread(lambda: (print('daemon', os.getpid(), flush=True), time.sleep(1000)))";
    let app = python("leaderless", script, "stop_timeout = \"500ms\"");
    for ends_app in [true, false] {
        let mut appliance = Appliance::start_in(|_| {}, &format!("users = \"per-app\"\n{app}"));
        let daemon = daemon_of(&appliance).await;
        assert!(runs(&daemon));
        if ends_app {
            assert!(appliance.cli(&["stop", "leaderless"]).status.success());
            assert!(!runs(&daemon), "after the stop of the app");
        }
        assert_eq!(appliance.stop().await, 0);
        assert!(!runs(&daemon), "after the end of the appliance");
    }
}

#[tokio::test]
async fn a_program_serves_without_its_first_thread() {
    let script = "in_another_thread(lambda: serve(os.environ['PORT']))";
    let more = "path = \"/own\"\naccess = \"public\"\nready = { tcp = true }";
    let mut appliance = Appliance::start(&python("threads", script, more));
    appliance.wait_for_state("threads", "ready").await;
    let answer = Browser::new(&appliance.url).send(Method::GET, "/own/", &[]).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "served"));
    let memory = appliance.app("threads").unwrap()["memory_bytes"].as_u64();
    assert!(memory.is_some_and(|bytes| bytes > 1 << 20), "{memory:?}");
    assert_eq!(appliance.stop().await, 0);
    assert!(!appliance.log().contains("another program"), "{}", appliance.log());
}

#[tokio::test]
async fn a_user_is_that_of_its_app_also_while_the_app_does_not_run() {
    if lacks_root("left_behind::a_user_is_that_of_its_app_also_while_the_app_does_not_run") {
        return;
    }
    let apps = |port: u16| {
        format!(
            "[apps.db]\nupstream = \"http://127.0.0.1:{port}\"\npath = \"/db\"\naccess = \"public\"\n"
        ) + &format!(
            "[apps.own]\ncommand = [\"sleep\", \"1000\"]\nuser = \"{OF_APP}\"\ngroup = \"{OF_APP}\"\n"
        )
    };
    for (user, is_removed, wanted) in
        [(OF_APP, false, 502), (OF_APP, true, 502), (OF_NO_APP, false, 200)]
    {
        let port = free_port();
        let appliance = Appliance::start_in(|_| {}, &apps(port));
        appliance.wait_for_state("own", "ready").await;
        if is_removed {
            let path = appliance.path("appliance.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.split_once("[apps.own]").unwrap().0).unwrap();
            assert!(appliance.cli(&["reload"]).status.success());
        } else {
            assert!(appliance.cli(&["stop", "own"]).status.success());
        }
        let script = format!("{PARTS}serve({port})");
        let mut server = Command::new("python3");
        server.args(["-c", &script]).uid(user).gid(user).current_dir(Path::new("/"));
        let mut server = server.stdout(Stdio::null()).spawn().unwrap();
        let browser = Browser::new(&appliance.url);
        let connects = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        eventually("the program", async || connects()).await;
        let status = browser.send(Method::GET, "/db/", &[]).await.unwrap().status.as_u16();
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(status, wanted, "{user} {is_removed}: {}", appliance.log());
        if wanted == 200 {
            assert!(!appliance.log().contains("the app own listens at"), "{}", appliance.log());
        } else {
            appliance.logs("the app own listens at").await;
        }
    }
}

/// The processes of a user.
fn processes_of(uid: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().into_string().ok());
    let line = format!("\nUid:\t{uid}\t");
    let has_user = |pid: &String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains(&line)
    };
    all.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).filter(has_user).collect()
}

#[tokio::test]
async fn a_daemon_that_always_forks_its_successor_ends_with_its_app() {
    if lacks_root("left_behind::a_daemon_that_always_forks_its_successor_ends_with_its_app") {
        return;
    }
    let script = "print('daemon', os.getuid(), flush=True)\nleave()\nnumber = 0\nwhile True:\n    \
         if os.fork(): os._exit(0)\n    os.setsid()\n    number += 1\n    \
         open('{DIR}/beat', 'w').write(str(number))";
    let app = python("chain", script, "stop_timeout = \"500ms\"");
    let prepare = |folder: &Path| {
        std::fs::write(folder.join("beat"), "").unwrap();
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(folder.join("beat"), open).unwrap();
    };
    for ends_app in [true, false] {
        let mut appliance = Appliance::start_in(prepare, &format!("users = \"per-app\"\n{app}"));
        let user = daemon_of(&appliance).await;
        let beat = || std::fs::read_to_string(appliance.path("beat")).unwrap();
        let is_running = || beat().parse::<u32>().is_ok_and(|number| number > 20);
        eventually("the chain", async || is_running().then_some(())).await;
        if ends_app {
            assert!(appliance.cli(&["stop", "chain"]).status.success());
            let last = beat();
            for _ in 0..20 {
                assert_eq!(processes_of(&user), Vec::<String>::new());
            }
            assert_eq!(beat(), last);
        }
        assert_eq!(appliance.stop().await, 0);
        for _ in 0..20 {
            assert_eq!(processes_of(&user), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_process_from_elsewhere_outlives_an_app_with_its_user() {
    if lacks_root("left_behind::a_process_from_elsewhere_outlives_an_app_with_its_user") {
        return;
    }
    let script = "print('daemon', os.getuid(), flush=True)\nleave()\ntime.sleep(1000)";
    let app = python("elsewhere", script, "stop_timeout = \"200ms\"");
    let mut appliance = Appliance::start_in(|_| {}, &format!("users = \"per-app\"\n{app}"));
    let user = daemon_of(&appliance).await;
    let number = user.parse().unwrap();
    let mut other = Command::new("sleep").arg("1000").uid(number).gid(number).spawn().unwrap();
    eventually("the daemon", async || (processes_of(&user).len() > 2).then_some(())).await;
    assert!(appliance.cli(&["stop", "elsewhere"]).status.success());
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(processes_of(&user), [other.id().to_string()]);
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn the_end_of_one_process_of_an_app_leaves_the_others() {
    if lacks_root("left_behind::the_end_of_one_process_of_an_app_leaves_the_others") {
        return;
    }
    let script = "try: os.close(os.open(os.path.expanduser('~/first'), os.O_CREAT | os.O_EXCL))\n\
         except FileExistsError:\n    print('other', os.getpid(), flush=True)\n    time.sleep(1000)\n\
         if os.fork(): time.sleep(0.3); os._exit(1)\n\
         os.setsid()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         print('daemon', os.getpid(), flush=True)\ntime.sleep(1000)";
    let app = python(
        "several",
        script,
        "replicas = 2\npath = \"/\"\naccess = \"public\"\nstop_timeout = \"500ms\"",
    );
    let mut appliance = Appliance::start_in(|_| {}, &format!("users = \"per-app\"\n{app}"));
    let daemon = daemon_of(&appliance).await;
    let other = eventually("the other process", async || {
        let log = appliance.log();
        Some(log.split_once("| other ")?.1.split_once('\n')?.0.to_owned())
    })
    .await;
    eventually("the end of the daemon", async || (!runs(&daemon)).then_some(())).await;
    assert!(runs(&other), "{}", appliance.log());
    assert_eq!(appliance.stop().await, 0);
    assert!(!runs(&other));
}

#[tokio::test]
async fn a_process_of_another_app_outlives_an_app_with_its_user() {
    if lacks_root("left_behind::a_process_of_another_app_outlives_an_app_with_its_user") {
        return;
    }
    // The number follows from the name.
    let app = python("sales", "leave()\ntime.sleep(1000)", "stop_timeout = \"200ms\"");
    let inner = "print('daemon', os.getpid(), flush=True)\nos.setgid(47325)\nos.setuid(47325)\ntime.sleep(1000)";
    let inner = python("inner", inner, "user = \"root\"");
    let mut appliance = Appliance::start_in(|_| {}, &format!("users = \"per-app\"\n{app}{inner}"));
    let inner = daemon_of(&appliance).await;
    eventually("all processes", async || (processes_of("47325").len() > 2).then_some(())).await;
    assert!(appliance.cli(&["stop", "sales"]).status.success());
    assert!(runs(&inner), "{}", appliance.log());
    assert_eq!(appliance.stop().await, 0);
}
