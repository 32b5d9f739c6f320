//! Apps that run as the appliance's own user: what they can read, and what they can command.

use crate::harness::{Appliance, eventually};

/// Any user that is not root.
const NOBODY: u32 = 65534;

/// Serves its working folder, and says what it can do there.
fn config(appliance: &str) -> String {
    let script = format!(
        "import os,subprocess,sys\n\
         def tell(what, f):\n try: print(what, f(), flush=True)\n except OSError as e: print(what, type(e).__name__, flush=True)\n\
         for name in ['session-keys','assertion-key','client','lock']: tell('read '+name, lambda: len(open('state/'+name).read()))\n\
         tell('sessions', lambda: os.listdir('state/sessions'))\n\
         tell('write', lambda: open('data.csv','w').write('rows'))\n\
         tell('read back', lambda: open('data.csv').read())\n\
         tell('kept', lambda: [open('state/kept/x','w').write('y'), open('state/kept/x').read()][1])\n\
         tell('move', lambda: os.rename('state','moved'))\n\
         tell('plant', lambda: open('state/oidc-new','w'))\n\
         tell('status', lambda: subprocess.run(['{appliance}','--config','appliance.toml','status'], capture_output=True).returncode)\n\
         tell('stop', lambda: subprocess.run(['setsid','{appliance}','--config','appliance.toml','stop','web'], capture_output=True).returncode)\n\
         print('told', flush=True)\n\
         os.execvp('python3', ['python3','-m','http.server','--bind','127.0.0.1',os.environ['PORT']])"
    );
    format!(
        "[oidc]\nissuer = \"http://127.0.0.1:1/x\"\nclient_id = \"a\"\nclient_secret = {{ generate = \"client\" }}\n\
         [apps.web]\ncommand = [\"python3\", \"-c\", '''{script}''']\nsetup = {{ run = [\"mkdir\", \"state/kept\"], creates = \"state/kept\" }}\npath = \"/web\"\nstrip_prefix = true\naccess = \"public\"\n"
    )
}

async fn check(appliance: &Appliance) {
    eventually("the app to have looked", async || appliance.log().contains("| told").then_some(()))
        .await;
    let log = appliance.log();
    // Where the kernel has Landlock only, the folder above `state_dir` is closed for new files.
    let landlock = log.contains("directly in a folder above state_dir");
    let write = if landlock { "PermissionError" } else { "4" };
    let read_back = if landlock { "FileNotFoundError" } else { "rows" };
    let change = if landlock { "PermissionError" } else { "OSError" };
    for told in [
        "read session-keys PermissionError",
        "read assertion-key PermissionError",
        "read client PermissionError",
        "read lock PermissionError",
        &format!("write {write}"),
        &format!("read back {read_back}"),
        "kept y",
        &format!("move {change}"),
        &format!("plant {change}"),
        "status 77",
        "stop 77",
    ] {
        assert!(log.contains(&format!("| {told}\n")), "{told}: {log}");
    }
    let said = ["cannot read its keys", "but root can undo that"];
    assert!(said.iter().any(|said| log.contains(said)), "{log}");
    assert!(log.contains("the client is a process of an app"), "{log}");
    appliance.wait_for_state("web", "ready").await;
    let browser = crate::harness::Browser::new(&appliance.url);
    let get = async |path: &str| browser.send(reqwest::Method::GET, path, &[]).await.unwrap();
    assert_eq!(get("/web/data.csv").await.body == "rows", !landlock);
    let keys = std::fs::read_to_string(appliance.path("state/session-keys")).unwrap();
    for path in ["/web/state/session-keys", "/web/state/client", "/web/state/sessions/"] {
        let answer = get(path).await;
        assert!(!answer.body.contains(keys.trim()), "{path}");
        assert_ne!((path, answer.status.as_u16()), ("/web/state/session-keys", 200));
    }
}

#[tokio::test]
async fn apps_of_the_same_user_cannot_read_keys_nor_command_the_appliance() {
    let mut appliance = Appliance::start_in(|_| {}, &config(env!("CARGO_BIN_EXE_appliance")));
    check(&appliance).await;
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn neither_can_they_without_root() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut appliance = Appliance::start_as(NOBODY, &config("{DIR}/appliance"));
    check(&appliance).await;
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn a_refused_client_gets_the_answer_every_time() {
    use std::os::unix::fs::PermissionsExt;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let appliance = Appliance::start("[apps.a]\ncommand = [\"sleep\", \"1000\"]\n");
    appliance.wait_for_state("a", "ready").await;
    for (path, mode) in [("", 0o755), ("state", 0o755), ("state/control.sock", 0o666)] {
        std::fs::set_permissions(appliance.path(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    let program = appliance.path("program");
    std::fs::copy(env!("CARGO_BIN_EXE_appliance"), &program).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    for _ in 0..20 {
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(&program)
            .args(["status", "--config", "appliance.toml"])
            .current_dir(appliance.folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(77), "{text}");
        assert!(text.contains("ask as root or as the appliance's user"), "{text}");
    }
}

#[tokio::test]
async fn refused_clients_that_ask_nothing_are_few() {
    use std::os::unix::fs::PermissionsExt;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let appliance = Appliance::start("[apps.a]\ncommand = [\"sleep\", \"1000\"]\n");
    appliance.wait_for_state("a", "ready").await;
    for (path, mode) in [("", 0o755), ("state", 0o755), ("state/control.sock", 0o666)] {
        std::fs::set_permissions(appliance.path(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    let script = "import os, socket, sys\nos.setgid(65534)\nos.setuid(65534)\n\
         def ask():\n    one = socket.socket(socket.AF_UNIX)\n    one.connect(sys.argv[1])\n    return one\n\
         silent = [ask() for _ in range(100)]\n\
         print(sum(len(one.recv(999)) > 0 for one in silent))\n[one.close() for one in silent]\n\
         one = ask()\none.sendall(b'{}\\n')\nprint(len(one.recv(999)) > 0)";
    let socket = appliance.path("state/control.sock");
    let asked = std::process::Command::new("python3").args(["-c", script]).arg(socket).output();
    let text = String::from_utf8(asked.unwrap().stdout).unwrap();
    let (answers, is_answered) = text.trim().split_once('\n').unwrap();
    let answers: u32 = answers.parse().unwrap();
    assert!((1..100).contains(&answers), "{text}");
    assert_eq!(is_answered, "True");
}

/// An app of the same user can rename the folders above the secrets, and put links and files into a site.
#[tokio::test]
async fn no_site_shows_a_secret_wherever_it_was_moved() {
    use std::fs;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let config = "[oidc]\nissuer = \"http://127.0.0.1:1/x\"\nclient_id = \"a\"\n\
        client_secret = { generate = \"client\" }\n\
        [apps.docs]\nstatic = \"{DIR}/site\"\npath = \"/docs\"\naccess = \"public\"\n";
    let appliance = Appliance::start_as(NOBODY, config);
    let at = |name: &str| appliance.path(name);
    let browser = crate::harness::Browser::new(&appliance.url);
    let get = async |path: &str| {
        let answer = browser.send(reqwest::Method::GET, path, &[]).await.ok()?;
        Some((answer.status.as_u16(), answer.body))
    };
    fs::create_dir(at("site")).unwrap();
    fs::write(at("site/page"), "a page").unwrap();
    let served = Some((200, "a page".to_owned()));
    let is_served = async || (get("/docs/page").await == served).then_some(());
    eventually("the page", is_served).await;

    let key = fs::read_to_string(at("state/session-keys")).unwrap();
    fs::hard_link(at("state/session-keys"), at("site/name")).unwrap();
    let refused = async |path: &str| {
        let (status, body) = get(path).await.unwrap();
        assert_eq!(status, 404, "{path} {body}");
        assert!(!body.contains(key.trim()), "{path}");
    };
    refused("/docs/name").await;
    let said = async |what: &str| {
        eventually("a line", async || appliance.log().contains(what).then_some(())).await;
    };
    said("name cannot be read: it leads to a secret of the appliance").await;
    assert_eq!(get("/docs/page").await, served);

    fs::rename(at("state"), at("site/moved")).unwrap();
    for path in ["moved/session-keys", "moved/assertion-key", "moved/client", "page"] {
        refused(&format!("/docs/{path}")).await;
    }
    let moved = "the state_dir of the start was moved away; move it back to ";
    said(moved).await;
    said("path=/docs/page status=404").await;
    assert_eq!(appliance.log().matches(moved).count(), 1, "{}", appliance.log());
    fs::rename(at("site/moved"), at("state")).unwrap();
    assert_eq!(get("/docs/page").await, served);

    fs::rename(at("state"), at("moved")).unwrap();
    fs::rename(at("site"), at("old")).unwrap();
    std::os::unix::fs::symlink(at("moved"), at("site")).unwrap();
    refused("/docs/session-keys").await;
}

/// An app of the same user can move a folder above a secret, and ask for a reload by a signal.
#[tokio::test]
async fn a_reload_reads_no_secret_from_a_place_that_an_app_has_made() {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let config = "[oidc]\nissuer = \"http://127.0.0.1:1/x\"\nclient_id = \"a\"\n\
        client_secret = { file = \"{DIR}/home/volume/secret\" }\n\
        [apps.page]\nupstream = \"http://127.0.0.1:1\"\npath = \"/\"\n\
        [apps.a]\ncommand = [\"sleep\", \"1000\"]\n";
    let own = |path: &std::path::Path| lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    // As Kubernetes mounts secrets.
    let release = |volume: &std::path::Path, name: &str, secret: &str| {
        fs::create_dir_all(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("secret"), secret).unwrap();
        symlink(name, volume.join("draft")).unwrap();
        fs::rename(volume.join("draft"), volume.join("..data")).unwrap();
        let parts = [name.to_owned(), format!("{name}/secret"), "..data".to_owned()];
        for part in parts {
            own(&volume.join(part));
        }
    };
    let prepare = |folder: &std::path::Path| {
        let volume = folder.join("home/volume");
        release(&volume, "..1", "one");
        symlink("..data/secret", volume.join("secret")).unwrap();
        for path in [&volume.join("secret"), &volume, &folder.join("home")] {
            own(path);
        }
    };
    let appliance = Appliance::start_as_in(NOBODY, prepare, config);
    appliance.wait_for_state("a", "ready").await;
    let reload = || {
        let output = appliance.cli(&["reload"]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let volume = appliance.path("home/volume");
    release(&volume, "..2", "two");
    let (done, text) = reload();
    assert!(done && text.contains("client_secret"), "{text}");
    fs::write(volume.join("..2/secret"), "three").unwrap();
    let (done, text) = reload();
    assert!(done && text.contains("client_secret"), "{text}");

    fs::rename(appliance.path("home"), appliance.path("away")).unwrap();
    prepare(appliance.folder.path());
    let (done, text) = reload();
    assert!(!done && text.contains("the secrets of the appliance are not read again"), "{text}");
    assert!(text.contains("move it back to "), "{text}");
    fs::rename(appliance.path("home"), appliance.path("of-the-app")).unwrap();
    fs::rename(appliance.path("away"), appliance.path("home")).unwrap();
    let (done, text) = reload();
    assert!(done && !text.contains("client_secret"), "{text}");
}

#[tokio::test]
async fn files_that_other_apps_can_read_are_named() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let app = |name: &str| format!("[apps.{name}]\ncommand = [\"sleep\", \"1000\"]\n");
    let given = "env = { KEY = { file = \"appliance.toml\" } }\n";
    let config = [app("one"), given.to_owned()].concat();
    let line = "each of them can read these files of the others";
    let appliance = Appliance::start_as(NOBODY, &config);
    appliance.wait_for_state("one", "ready").await;
    assert!(!appliance.log().contains(line), "{}", appliance.log());
    let path = appliance.path("appliance.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, [before, app("two")].concat()).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    appliance.logs(line).await;

    let appliance = Appliance::start_as(NOBODY, &[config, app("two")].concat());
    appliance.wait_for_state("two", "ready").await;
    assert!(appliance.log().contains(line), "{}", appliance.log());
}

/// Until it runs its program, a child is a copy of the appliance's memory. Where the kernel lets the user
/// read it (then the files of the process in /proc belong to the user), an app of this user could end the
/// child by a signal and read the secrets in its core file.
#[tokio::test]
async fn no_copy_of_the_memory_can_be_read_by_the_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let config = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\n\
        ready = { exec = [\"/bin/true\"], interval = \"100ms\" }\n";
    let mut appliance = Appliance::start_as(NOBODY, config);
    appliance.wait_for_state("a", "ready").await;
    let pid = appliance.pid();
    let steps = tokio::task::spawn_blocking(move || stepped(pid, 50)).await.unwrap();
    assert!(steps > 500, "{steps} looks at children on their way to the program");
    assert_eq!(appliance.stop().await, 0);
}

/// Stops and continues so many new children of the appliance until they run their program, and returns
/// how often it has looked at one.
fn stepped(appliance: i32, children: u32) -> u32 {
    use nix::sys::signal::{Signal, kill};
    use std::os::unix::fs::MetadataExt as _;
    let list = format!("/proc/{appliance}/task/{appliance}/children");
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let numbers = || read(&list).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (mut known, mut looks) = (numbers(), 0);
    let until = std::time::Instant::now() + crate::harness::PATIENCE;
    for _ in 0..children {
        let child = loop {
            assert!(std::time::Instant::now() < until, "no new process");
            let now = numbers();
            let new = now.iter().find(|number| !known.contains(number)).cloned();
            known = now;
            if let Some(new) = new {
                break new;
            }
        };
        let signal = |which| {
            let _ = kill(nix::unistd::Pid::from_raw(child.parse().unwrap()), which);
        };
        let (name, state) = (format!("/proc/{child}/comm"), format!("/proc/{child}/stat"));
        let is_copy = || read(&name).starts_with("appliance");
        while is_copy() {
            signal(Signal::SIGSTOP);
            while [") R", ") S", ") D"].iter().any(|way| read(&state).contains(way)) {}
            let owner = std::fs::metadata(&state).map_or(0, |found| found.uid());
            let was_copy = is_copy();
            signal(Signal::SIGCONT);
            assert!(owner == 0 || !was_copy, "the user {owner} can read the copy {child}");
            looks += 1;
        }
    }
    looks
}

/// Until a step of `appliance setup` has ended, no process of the user can read the memory of the appliance.
#[tokio::test]
async fn nor_can_the_memory_of_a_setup() {
    use std::os::unix::fs::MetadataExt as _;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut appliance = Appliance::start_as(NOBODY, "[apps.a]\ncommand = [\"sleep\", \"1000\"]\n");
    appliance.wait_for_state("a", "ready").await;
    assert_eq!(appliance.stop().await, 0);
    let file = appliance.path("appliance.toml");
    let wait = "setup = { run = [\"sh\", \"-c\", \"until [ -e go ]; do sleep 0.1; done; mkdir state/a; touch state/a/done\"], \
        creates = \"state/a/done\" }\n";
    std::fs::write(&file, [std::fs::read_to_string(&file).unwrap().as_str(), wait].concat())
        .unwrap();
    let mut setup = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(appliance.path("appliance"))
        .args(["setup", "--config", "appliance.toml"])
        .current_dir(appliance.folder.path())
        .spawn()
        .unwrap();
    let pid = setup.id();
    let step = format!("/proc/{pid}/task/{pid}/children");
    let runs =
        async || std::fs::read_to_string(&step).is_ok_and(|list| !list.is_empty()).then_some(());
    eventually("the step", runs).await;
    let owner = std::fs::metadata(format!("/proc/{pid}/stat")).unwrap().uid();
    std::fs::write(appliance.path("go"), "").unwrap();
    assert!(setup.wait().unwrap().success());
    assert_eq!(owner, 0, "the files of a process that its user can read belong to the user");
}
