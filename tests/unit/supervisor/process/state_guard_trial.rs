//! Unit tests of `src/supervisor/process/state_guard_trial.rs`: what a process can read and change
//! behind each means.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::unistd::geteuid;

use super::*;
use crate::one_process::alone;
use crate::supervisor::exit::Exit;
use crate::supervisor::process::child::before_exec;
use crate::supervisor::process::reaper::Reaper;

struct World {
    folder: tempfile::TempDir,
    secrets: Secrets,
    reaper: Reaper,
}

impl World {
    /// `state` with secrets and folders of apps, and things beside it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for made in ["state/sessions", "state/venvs/app", "other", "alone"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for file in [
            "state/session-keys",
            "state/sessions/ended",
            "state/venvs/app/x",
            "other/y",
            "z",
            "alone/client",
            "keyfile",
            "given",
        ] {
            fs::write(folder.path().join(file), "content").unwrap();
        }
        std::os::unix::fs::symlink("state/session-keys", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("../other", folder.path().join("state/elsewhere")).unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let files = ["alone/client", "keyfile", "given"].map(|name| folder.path().join(name));
        let secrets = Secrets::of(&folder.path().join("state"), &files).unwrap();
        Self { folder, secrets, reaper: Reaper::start().unwrap() }
    }

    fn works(&self, means: Means) -> bool {
        works(&self.reaper, means, &self.secrets)
    }

    /// The guard of an app with the working folder `/`.
    fn prepared(&self, means: Means) -> io::Result<StateGuard> {
        let hidden = Hidden { cwd: Path::new("/"), creates: &[], is_given: &|_| false };
        StateGuard::by(means, &self.secrets, &hidden)
    }

    /// A folder was moved after `guard` was prepared: it cannot be applied.
    fn assert_stale(&self, mut guard: StateGuard) {
        let mut child = Command::new("/");
        let outcome = try_before_exec(&self.reaper, &mut child, move || {
            guard.begin(new_user_namespace)?;
            guard.apply()
        });
        assert_eq!(outcome, Some(Errno::ESTALE as i32), "moved between the check and the fork");
    }

    /// What a shell prints that runs behind the guard. `{DIR}` is the folder above `state`.
    async fn said(&self, means: Means, creates: &str, cwd: &str, script: &str) -> String {
        let cwd = self.folder.path().join(cwd);
        let creates = self.folder.path().join(creates);
        let creates = if creates == self.folder.path() { Vec::new() } else { vec![creates] };
        let is_given = |path: &Path| path.ends_with("given");
        let hidden = Hidden { cwd: &cwd, creates: &creates, is_given: &is_given };
        let mut guard = StateGuard::by(means, &self.secrets, &hidden).unwrap();
        let said = self.folder.path().join("other/said");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script.replace("{DIR}", self.folder.path().to_str().unwrap())]);
        command.stdout(fs::File::create(&said).unwrap()).stderr(Stdio::null()).current_dir(&cwd);
        before_exec(&mut command, move || {
            guard.begin(new_user_namespace)?;
            Ok(guard.apply()?)
        });
        let mut process = self.reaper.spawn(&mut command, None).unwrap();
        assert_eq!((&mut process.ended).await.unwrap().exit, Exit::Code(0));
        fs::read_to_string(said).unwrap()
    }
}

const READS: &str = "read() { cat {DIR}/$1 >/dev/null 2>&1 && echo $1; }; \
     for file in state/session-keys link state/sessions/ended state/venvs/app/x state/elsewhere/y other/y z \
     alone/client keyfile given; do read $file; done; \
     ls {DIR}/state >/dev/null && echo listed; \
     echo new >{DIR}/other/new && read other/new; mkdir {DIR}/folder && echo made; \
     mv {DIR}/other/new {DIR}/state/venvs/app/new && read state/venvs/app/new; \
     echo x >{DIR}/direct; read direct; true";

#[tokio::test]
async fn a_namespace_hides_the_secrets_and_nothing_else() {
    let _alone = alone().await;
    let world = World::new();
    if !world.works(Means::Namespace) {
        return;
    }
    for creates in ["", "other/made", "state/venvs/new/made", "state/made"] {
        let said = world.said(Means::Namespace, creates, "other", READS).await;
        let wanted = "state/venvs/app/x state/elsewhere/y other/y z given listed other/new made \
             state/venvs/app/new direct";
        assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), wanted, "{creates}");
        let key = fs::read_to_string(world.folder.path().join("state/session-keys")).unwrap();
        assert_eq!(key, "content", "only the child's view has changed");
        fs::remove_dir(world.folder.path().join("folder")).unwrap();
    }
    assert_eq!(world.secrets.shown_if_replaced(Means::Namespace).len(), 2, "keyfile and given");
}

#[tokio::test]
async fn landlock_hides_the_secrets_and_what_is_new_on_the_way_to_them() {
    let _alone = alone().await;
    let world = World::new();
    if !world.works(Means::Landlock) {
        return;
    }
    let said = world.said(Means::Landlock, "", "other", READS).await;
    let wanted = "state/venvs/app/x state/elsewhere/y other/y z given listed other/new \
         state/venvs/app/new";
    assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), wanted);
}

#[tokio::test]
async fn landlock_keeps_what_belongs_to_the_appliance_and_nothing_else_from_changes() {
    let _alone = alone().await;
    let world = World::new();
    if !world.works(Means::Landlock) {
        return;
    }
    let refused = "cd {DIR}/state; try() { \"$@\" 2>/dev/null && echo \"$*\"; }; \
         try mv session-keys x; try mv ../z session-keys; try cp ../z session-keys; try rm session-keys; \
         try truncate -s 0 session-keys; try ln session-keys venvs/keys; try ln -s ../z planted; \
         try mkfifo fifo; try mkdir new; try touch new; try mv venvs x; try mv sessions x; \
         try rm sessions/ended; try touch sessions/new; try truncate -s 0 sessions/ended; \
         try mv sessions/ended venvs/ended; try mv ../state ../x; try mv ../alone ../x; \
         try rm ../alone/client; try cp ../z ../alone/client; try cp ../z ../keyfile; try mv ../keyfile ../x; \
         try chmod 777 /nowhere; true";
    assert_eq!(world.said(Means::Landlock, "", "other", refused).await, "");
    assert_eq!(world.said(Means::Landlock, "state/kc/stamp", "other", refused).await, "");
    let allowed = "set -e; for folder in {DIR}/state/venvs/app {DIR}/other; do cd $folder; \
         echo a >new; echo b >>new; mv new moved; ln moved hard; ln -s moved soft; truncate -s 0 moved; \
         mkfifo fifo; mkdir made; mv moved made/in; rm made/in hard soft fifo; rmdir made; \
         python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; rm s; done; \
         cp {DIR}/other/y {DIR}/z; truncate -s 0 {DIR}/z; echo x >/dev/null; echo x | cat >/dev/stdout; \
         echo x >/dev/shm/$$; rm /dev/shm/$$";
    assert_eq!(world.said(Means::Landlock, "", "other", allowed).await, "x\n");
}

#[tokio::test]
async fn a_secret_that_is_new_or_replaced_stays_hidden_from_a_running_process() {
    let _alone = alone().await;
    let world = World::new();
    let script = "touch {DIR}/other/up; i=0; until [ -e {DIR}/other/go ]; do sleep 0.05; done; \
         for file in state/session-keys state/new alone/client alone/new; do cat {DIR}/$file 2>/dev/null; done; true";
    for means in [Means::Namespace, Means::Landlock] {
        if !world.works(means) {
            continue;
        }
        let at = |name: &str| world.folder.path().join(name);
        let operator = || async {
            while !at("other/up").exists() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            for secret in ["state/session-keys", "state/new", "alone/client", "alone/new"] {
                fs::write(at("draft"), "SEEN").unwrap();
                fs::rename(at("draft"), at(secret)).unwrap();
            }
            fs::write(at("other/go"), "").unwrap();
        };
        for creates in ["", "state/kc/stamp", "state/venvs/x/y/stamp"] {
            let (said, ()) = tokio::join!(world.said(means, creates, "other", script), operator());
            assert_eq!(said, "", "{means:?} {creates}");
            for name in ["other/up", "other/go", "alone/new", "state/new"] {
                fs::remove_file(at(name)).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_setup_creates_in_its_own_folder_what_it_likes() {
    let _alone = alone().await;
    let world = World::new();
    let script = "set -e; cd {DIR}/state/$1; mkdir -p a/b new.x/home; echo x >new.x/home/file; \
         mv new.x/home kc; rm -rf new.x; python3 -m venv --without-pip venv; rm -rf venv; \
         cat kc/file >stamp; cat {DIR}/state/session-keys 2>/dev/null || cat stamp";
    for means in [Means::Namespace, Means::Landlock] {
        if !world.works(means) {
            continue;
        }
        for (creates, folder) in [("state/kc/stamp", "kc"), ("state/venvs/1/.complete", "venvs")] {
            let script = script.replace("$1", folder);
            assert_eq!(world.said(means, creates, "other", &script).await, "x\n", "{means:?}");
            assert!(world.folder.path().join("state").join(folder).join("stamp").exists());
            fs::remove_dir_all(world.folder.path().join("state").join(folder)).unwrap();
        }
        fs::create_dir_all(world.folder.path().join("state/venvs/app")).unwrap();
    }
}

#[tokio::test]
async fn a_secret_cannot_be_uncovered_moved_or_replaced() {
    let script = "key={DIR}/state/session-keys; \
         umount {DIR}/state 2>/dev/null && echo uncovered; \
         unshare -Urm sh -c \"umount {DIR}/state; cat $key\" 2>/dev/null; \
         cat session-keys ../session-keys ../../session-keys 2>/dev/null; \
         rm $key 2>/dev/null && echo removed; \
         mv {DIR}/state {DIR}/moved 2>/dev/null && echo moved; \
         echo planted 2>/dev/null >{DIR}/state/assertion-key && echo planted; true";
    let _alone = alone().await;
    let world = World::new();
    if geteuid().is_root() || !world.works(Means::Namespace) {
        // Root undoes its own mounts; it is warned of at the start.
        return;
    }
    for cwd in ["state", "state/venvs", "state/venvs/app"] {
        assert_eq!(world.said(Means::Namespace, "", cwd, script).await, "", "{cwd}");
        assert_eq!(world.said(Means::Namespace, "state/kc/stamp", cwd, script).await, "", "{cwd}");
    }
    let script =
        script.replace("echo planted 2>/dev/null >{DIR}/state/assertion-key &&", "false &&");
    assert_eq!(world.said(Means::Namespace, "state/made", "state/venvs", &script).await, "");
}

#[tokio::test]
async fn a_state_folder_that_is_elsewhere_is_a_failed_start() {
    let _alone = alone().await;
    let world = World::new();
    let at = |name: &str| world.folder.path().join(name);
    let prepared = |means| world.prepared(means);
    for means in [Means::Namespace, Means::Landlock] {
        if !world.works(means) {
            continue;
        }
        let late = prepared(means).unwrap();
        fs::rename(at("state"), at("moved")).unwrap();
        fs::create_dir(at("state")).unwrap();
        let why = prepared(means).unwrap_err().to_string();
        assert!(
            why.contains("the state_dir of the start was moved away; move it back to /"),
            "{why}"
        );
        if means == Means::Namespace {
            world.assert_stale(late);
        }
        fs::remove_dir(at("state")).unwrap();
        fs::rename(at("moved"), at("state")).unwrap();
        assert!(prepared(means).is_ok(), "it is back");
    }
}

#[tokio::test]
async fn a_folder_of_a_secret_that_is_elsewhere_is_a_failed_start() {
    let _alone = alone().await;
    let world = World::new();
    let at = |name: &str| world.folder.path().join(name);
    let prepared = |means| world.prepared(means);
    for means in [Means::Namespace, Means::Landlock] {
        if !world.works(means) {
            continue;
        }
        let late = prepared(means).unwrap();
        fs::rename(at("alone"), at("moved")).unwrap();
        let why = prepared(means).unwrap_err().to_string();
        assert!(why.contains("the folder of a secret of the appliance was moved away"), "{why}");
        fs::create_dir(at("alone")).unwrap();
        fs::write(at("alone/client"), "decoy").unwrap();
        assert!(prepared(means).is_err());
        if means == Means::Namespace {
            world.assert_stale(late);
        }
        fs::remove_dir_all(at("alone")).unwrap();
        fs::rename(at("moved"), at("alone")).unwrap();
        assert!(prepared(means).is_ok(), "it is back");
    }
}
