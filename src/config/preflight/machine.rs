//! Questions to this machine. A negative answer is a sentence.

use std::fs::Metadata;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

use crate::config::model::{EnvValue, Need, PATH, Run};
use crate::config::ownership::account::Account;
use crate::config::ownership::as_user::as_user;
use crate::config::report::suggest;

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

/// Checks that the appliance can listen there.
pub(super) fn listen(address: SocketAddr) -> Result<(), String> {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    match TcpListener::bind(address) {
        Err(error) if matches!(error.kind(), AddrInUse | AddrNotAvailable | PermissionDenied) => {
            Err(format!(
                "the appliance cannot listen on {address}: {error}; stop the program that uses the \
                 port, or choose another address, and `public_url` with it"
            ))
        }
        _ => Ok(()),
    }
}

/// Checks that the folder exists and that the app's user can enter it.
pub(super) fn folder(path: &Path, account: Option<&Account>) -> Result<(), String> {
    match path.metadata() {
        Ok(known) if known.is_dir() => reachable(&path.join("."), account),
        Ok(_) => Err(format!("{} is not a folder", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Checks that the app's user can reach what the appliance can reach.
pub(super) fn reachable(path: &Path, account: Option<&Account>) -> Result<(), String> {
    let Some(account) = account.filter(|account| account.uid != geteuid()) else { return Ok(()) };
    let wanted = path.to_owned();
    as_user(account, move || wanted.metadata().map(drop)).map_err(|error| {
        format!(
            "its user ({}) cannot reach {}: {error}; make every folder above it open for that \
             user, for example with `chmod o+x`",
            account.uid,
            path.display()
        )
    })
}

/// Checks that no other user of this machine has the number of the app's own user.
pub(super) fn own_user(run: &Run) -> Result<(), String> {
    let own = run.own_user.as_ref().filter(|_| run.user.is_none() && geteuid().is_root());
    let taken = own.and_then(|own| User::from_uid(Uid::from_raw(own.number)).ok().flatten());
    match (own, taken) {
        (Some(own), Some(user)) => Err(format!(
            "`{}` would run as {}, which is the user `{}` on this machine; set its `user` and `group` to other numbers",
            own.name, own.number, user.name
        )),
        _ => Ok(()),
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
    if found {
        Ok(())
    } else {
        Err(format!("there is no program `{program}` in PATH; install it, or write its path"))
    }
}

/// Checks a file that a preset hands to its program; a name without `/` is a program in `PATH`.
pub(super) fn needed(need: &Need, run: &Run, account: Option<&Account>) -> Result<(), String> {
    let path = &need.path;
    if !path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return program(&path.to_string_lossy(), run);
    }
    match path.metadata() {
        Ok(_) => reachable(path, account),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let help = neighbour(path).map_or_else(
                || format!("correct the path of the {}, or create the file", need.what),
                |near| format!("did you mean `{near}`?"),
            );
            Err(format!("there is no {} {}; {help}", need.what, path.display()))
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The file in the same folder whose name is most similar.
fn neighbour(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let entries = path.parent()?.read_dir().ok()?.flatten();
    let names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    suggest::nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

fn is_program(known: &Metadata) -> bool {
    known.is_file() && known.permissions().mode() & 0o111 != 0
}
