//! Hides the secrets in `state_dir` from processes that run as the appliance's own user.
//!
//! File modes cannot do that, because a process may read the files of its user. There are two ways:
//!
//! - **A mount namespace** in which every secret file is covered and the folder of sessions is empty.
//!   Everything else stays as it is. Without root it needs a user namespace, which many containers
//!   and some distributions forbid.
//! - **Landlock**, which takes a list of what is allowed: everything but the secrets may be read. Files
//!   that do not exist yet cannot be on the list. A file that is created later, directly in a folder
//!   above `state_dir`, is therefore not readable before the next start of the app.
//!
//! The secrets are what the appliance itself keeps in the folder: all files, and the folder of
//! sessions. Other folders belong to apps (virtual environments, Keycloak, data). The control socket
//! is not covered, because it refuses apps with an answer.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    AccessFs, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _,
};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, write};

/// The folders in `state_dir` that the appliance keeps secrets in.
const SECRET_FOLDERS: [&str; 1] = ["sessions"];

/// How the secrets are hidden; unset in processes that hide nothing.
pub(super) static GUARD: OnceLock<(Means, PathBuf)> = OnceLock::new();

/// How secrets can be hidden on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a mount namespace.
    Namespace,
    /// By Landlock.
    Landlock,
}

/// What a child does between fork and exec, prepared before the fork.
#[derive(Debug)]
pub(super) enum StateGuard {
    Namespace(Covers),
    /// Taken when it is enforced.
    Landlock(Option<RulesetCreated>),
}

#[derive(Debug)]
pub(super) struct Covers {
    files: Vec<CString>,
    folders: Vec<CString>,
    /// The lines of `uid_map` and `gid_map`, without root.
    user_maps: Option<(String, String)>,
}

impl StateGuard {
    /// For a process that runs as the appliance's user; `None` if nothing is hidden. A setup fills
    /// folders in `state_dir` that do not exist yet, so Landlock cannot guard it.
    pub(super) fn prepare(is_setup: bool) -> io::Result<Option<Self>> {
        match GUARD.get() {
            Some((Means::Landlock, _)) if is_setup => Ok(None),
            Some((means, state_dir)) => Self::by(*means, state_dir).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn by(means: Means, state_dir: &Path) -> io::Result<Self> {
        match means {
            Means::Namespace => Covers::of(state_dir).map(Self::Namespace),
            Means::Landlock => ruleset(state_dir).map(Some).map(Self::Landlock),
        }
    }

    /// Only system calls on prepared values: nothing is allocated.
    pub(super) fn apply(&mut self) -> nix::Result<()> {
        match self {
            Self::Namespace(covers) => covers.apply(),
            Self::Landlock(ruleset) => {
                let enforced = ruleset.take().map(RulesetCreated::restrict_self);
                enforced.map_or(Ok(()), |done| done.map(drop).map_err(|_| Errno::last()))
            }
        }
    }
}

fn is_secret_folder(path: &Path) -> bool {
    path.file_name().is_some_and(|name| SECRET_FOLDERS.iter().any(|secret| name == *secret))
}

impl Covers {
    fn of(state_dir: &Path) -> io::Result<Self> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(state_dir)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let c_path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
            if kind.is_dir() && is_secret_folder(&path) {
                folders.push(c_path);
            } else if !kind.is_dir() && !kind.is_socket() && !kind.is_symlink() {
                files.push(c_path);
            }
        }
        let map = |id: u32| format!("{id} {id} 1");
        let user_maps =
            (!geteuid().is_root()).then(|| (map(geteuid().as_raw()), map(getegid().as_raw())));
        Ok(Self { files, folders, user_maps })
    }

    fn apply(&self) -> nix::Result<()> {
        match &self.user_maps {
            None => unshare(CloneFlags::CLONE_NEWNS)?,
            Some((uid, gid)) => {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                // Otherwise these files belong to root, because the appliance is not dumpable.
                prctl::set_dumpable(true)?;
                put(c"/proc/self/setgroups", b"deny")?;
                put(c"/proc/self/uid_map", uid.as_bytes())?;
                put(c"/proc/self/gid_map", gid.as_bytes())?;
                prctl::set_dumpable(false)?;
            }
        }
        let nothing: Option<&std::ffi::CStr> = None;
        // Later mounts of the system appear in this namespace; mounts of this namespace stay in it.
        let receive = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        mount(nothing, c"/", nothing, receive, nothing)?;
        let shut = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
        for path in &self.files {
            // A device on a mount without devices cannot be opened, not even by root.
            match mount(Some(c"/dev/null"), &**path, nothing, MsFlags::MS_BIND, nothing) {
                // A temporary file that was renamed meanwhile.
                Err(Errno::ENOENT) => continue,
                done => done?,
            }
            let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | shut;
            mount(nothing, &**path, nothing, again, nothing)?;
        }
        for path in &self.folders {
            mount(Some(c"none"), &**path, Some(c"tmpfs"), shut, Some(c"mode=000,size=4k"))?;
        }
        Ok(())
    }
}

fn put(path: &std::ffi::CStr, bytes: &[u8]) -> nix::Result<()> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, bytes).map(drop)
}

/// Allows to read everything but the secrets. Other rights are not restricted.
fn ruleset(state_dir: &Path) -> io::Result<RulesetCreated> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::ReadFile)
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    // In every folder above the secrets, all entries are allowed except the next folder above them.
    for folder in state_dir.ancestors() {
        let next = state_dir.ancestors().find(|below| below.parent() == Some(folder));
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let is_secret = folder == state_dir && (!kind.is_dir() || is_secret_folder(&path));
            // Access through a link is checked at its target.
            if is_secret || Some(path.as_path()) == next || kind.is_symlink() {
                continue;
            }
            if let Ok(opened) = open_path(&path) {
                ruleset = ruleset
                    .add_rule(PathBeneath::new(opened, AccessFs::ReadFile))
                    .map_err(io::Error::other)?;
            }
        }
    }
    Ok(ruleset)
}

fn open_path(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::supervisor::exit::Exit;
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::process::spawn::before_exec;
    use crate::supervisor::process::state_guard_trial::works;
    use crate::supervisor::sample_apps::alone;

    /// What a shell prints that runs behind the guard. `{DIR}` is the folder above `state`.
    async fn behind(means: Means, script: &str) -> Option<(String, tempfile::TempDir)> {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        for made in ["state/sessions", "state/venvs/app", "other"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        for file in
            ["state/session-keys", "state/sessions/ended", "state/venvs/app/x", "other/y", "z"]
        {
            fs::write(folder.path().join(file), "content").unwrap();
        }
        std::os::unix::fs::symlink("state/session-keys", folder.path().join("link")).unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let state = state.canonicalize().unwrap();
        if !works(&reaper, means, &state) {
            return None;
        }
        let mut guard = StateGuard::by(means, &state).unwrap();
        let dir = folder.path().to_str().unwrap();
        let said = folder.path().join("said");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script.replace("{DIR}", dir)]);
        command.stdout(fs::File::create(&said).unwrap()).stderr(Stdio::null());
        before_exec(&mut command, move || guard.apply().map_err(io::Error::from));
        let mut process = reaper.spawn(&mut command, None).unwrap();
        assert_eq!((&mut process.ended).await.unwrap().exit, Exit::Code(0));
        Some((fs::read_to_string(said).unwrap(), folder))
    }

    const READS: &str = "read() { cat {DIR}/$1 >/dev/null 2>&1 && echo $1; }; \
         for file in state/session-keys link state/sessions/ended state/venvs/app/x other/y z; do read $file; done; \
         ls {DIR}/state >/dev/null && echo listed; \
         echo new >{DIR}/other/new && read other/new; mkdir {DIR}/folder && echo made; \
         echo x >{DIR}/direct; read direct; true";

    #[tokio::test]
    async fn a_namespace_hides_the_secrets_and_nothing_else() {
        let Some((said, folder)) = behind(Means::Namespace, READS).await else { return };
        let read: Vec<_> = said.lines().collect();
        let all = ["state/venvs/app/x", "other/y", "z", "listed", "other/new", "made", "direct"];
        assert_eq!(read, all, "{said}");
        let key = fs::read_to_string(folder.path().join("state/session-keys")).unwrap();
        assert_eq!(key, "content", "only the child's view has changed");
    }

    #[tokio::test]
    async fn landlock_hides_the_secrets_and_what_is_new_on_the_way_to_them() {
        let Some((said, _folder)) = behind(Means::Landlock, READS).await else { return };
        let read: Vec<_> = said.lines().collect();
        let all = ["state/venvs/app/x", "other/y", "z", "listed", "other/new", "made"];
        assert_eq!(read, all, "{said}");
    }

    #[tokio::test]
    async fn a_secret_cannot_be_uncovered_or_replaced() {
        let script = "umount {DIR}/state/session-keys 2>/dev/null && echo uncovered; \
             unshare -Urm sh -c 'umount {DIR}/state/session-keys && cat {DIR}/state/session-keys' 2>/dev/null; \
             rm {DIR}/state/session-keys 2>/dev/null && echo removed; true";
        if geteuid().is_root() {
            // Root undoes its own mounts; it is warned of at the start.
            return;
        }
        let Some((said, _folder)) = behind(Means::Namespace, script).await else { return };
        assert_eq!(said, "");
    }
}
