//! Questions to this machine. A negative answer is a sentence.

use std::fs::Metadata;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::config::model::{EnvValue, PATH, Run};

pub(super) fn user(name: &str) -> Result<(), String> {
    let known = User::from_name(name).map_err(|error| format!("user `{name}`: {error}"))?;
    // A numeric user needs no entry in the user database.
    let number = || name.parse().ok().map(Uid::from_raw);
    let Some(uid) = known.map(|known| known.uid).or_else(number) else {
        return Err(format!("there is no user `{name}`; create it, or set another `user`"));
    };
    if geteuid().is_root() || geteuid() == uid {
        Ok(())
    } else {
        Err(format!("only root can run an app as the user `{name}`; {START_AS_ROOT}"))
    }
}

const START_AS_ROOT: &str = "start the appliance as root, or remove `user` and `group`";

pub(super) fn group(name: &str) -> Result<(), String> {
    let known = Group::from_name(name).map_err(|error| format!("group `{name}`: {error}"))?;
    let number = || name.parse().ok().map(Gid::from_raw);
    let Some(gid) = known.map(|known| known.gid).or_else(number) else {
        return Err(format!("there is no group `{name}`; create it, or set another `group`"));
    };
    if geteuid().is_root() || getegid() == gid {
        Ok(())
    } else {
        Err(format!("only root can run an app with the group `{name}`; {START_AS_ROOT}"))
    }
}

pub(super) fn port(port: u16) -> Result<(), String> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(format!(
            "port {port} is already in use; stop the program that uses it, or choose another port"
        )),
        // Any other error depends on the app's own user.
        _ => Ok(()),
    }
}

pub(super) fn folder(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Ok(known) if known.is_dir() => Ok(()),
        Ok(_) => Err(format!("{} is not a folder", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// A bare name is looked up in the `PATH` that the app will have.
pub(super) fn program(program: &str, run: &Run) -> Result<(), String> {
    if program.contains('/') {
        return match Path::new(program).metadata() {
            Ok(known) if is_program(&known) => Ok(()),
            Ok(_) => Err(format!("{program} is not executable: permission denied")),
            Err(error) => Err(format!("{program}: {error}")),
        };
    }
    let path = run.env.iter().find_map(|(name, value)| match value {
        EnvValue::Plain(path) if name == "PATH" => Some(path.clone()),
        _ => None,
    });
    let path = path.or_else(|| std::env::var("PATH").ok()).unwrap_or_else(|| PATH.to_owned());
    let found = std::env::split_paths(&path)
        .any(|dir| dir.join(program).metadata().is_ok_and(|known| is_program(&known)));
    if found { Ok(()) } else { Err(format!("there is no program `{program}` in PATH")) }
}

fn is_program(known: &Metadata) -> bool {
    known.is_file() && known.permissions().mode() & 0o111 != 0
}
