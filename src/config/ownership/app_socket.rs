//! Unix sockets that apps serve. The path often lies in a folder of the app, which can put a link to
//! any other socket there: to one that only root may open, or to the socket of another app, past the
//! `access` of that app. So the appliance connects with the rights of the app's user, and sends
//! nothing over a connection to a socket that another user listens on.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Uid, geteuid};
use tokio::net::UnixStream;

use super::account::{Account, AccountError};
use super::as_user::as_user;
use super::owner::Shown;
use crate::threads::blocking;

/// A unix socket that is dialled.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnixSocket {
    path: PathBuf,
    server: Server,
}

/// The program that serves a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Server {
    /// A program that the appliance does not start, or one that runs as the appliance's user.
    Any,
    /// An app with a user of its own.
    App(Account),
    /// An app whose user does not exist, so that the app does not run.
    Nobody(String),
}

impl UnixSocket {
    /// A socket that any program may serve.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, server: Server::Any }
    }

    /// The socket of an app that the appliance starts with this account.
    pub(crate) fn served_as(&mut self, account: Result<Option<Account>, AccountError>) {
        self.server = match account {
            Ok(Some(account)) if account.uid != geteuid() => Server::App(account),
            Ok(_) => Server::Any,
            Err(error) => Server::Nobody(error.to_string()),
        };
    }

    /// Where the socket is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to the program that serves the socket.
    pub(crate) async fn connect(&self) -> io::Result<UnixStream> {
        let account = match &self.server {
            Server::Any => return UnixStream::connect(&self.path).await,
            Server::App(account) => account.clone(),
            Server::Nobody(why) => return Err(io::Error::other(why.clone())),
        };
        let (path, uid) = (self.path.clone(), account.uid);
        // The look-up of a path may wait for a file system of the app.
        let connected = blocking(move || as_user(&account, move || connect_now(&path)));
        let stream = UnixStream::from_std(connected.await?)?;
        let server = Uid::from_raw(stream.peer_cred()?.uid());
        if server == uid {
            return Ok(stream);
        }
        let (server, user) = (Shown(server), Shown(uid));
        Err(io::Error::other(format!("{server} listens there, not the app's user {user}")))
    }
}

/// Fails instead of waiting when the program accepts no connections.
fn connect_now(path: &Path) -> io::Result<StdStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let own: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(own.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(own.into())
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnixSocket").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::os::unix::net::UnixListener;

    use nix::unistd::Gid;

    use super::*;

    const APP: u32 = 41_001;
    const OTHER: u32 = 41_002;

    fn account(uid: u32) -> Account {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
        Account { uid, gid, groups: vec![gid], name: "app".into(), home: "/".into() }
    }

    /// A folder of this user with a socket that this user listens on.
    fn served(by: u32, folder: &Path) -> (PathBuf, UnixListener) {
        let folder = folder.join(by.to_string());
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(by), Some(by)).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let path = folder.join("socket");
        let own = path.clone();
        // `listen` notes the effective user of its thread.
        let listener = std::thread::spawn(move || {
            rustix::thread::set_thread_res_uid(
                rustix::process::Uid::from_raw(by),
                rustix::process::Uid::from_raw(by),
                rustix::process::Uid::from_raw(by),
            )
            .unwrap();
            UnixListener::bind(own).unwrap()
        });
        (path, listener.join().unwrap())
    }

    fn socket_of(uid: u32, path: &Path) -> UnixSocket {
        let mut socket = UnixSocket::new(path.to_owned());
        socket.served_as(Ok(Some(account(uid))));
        socket
    }

    #[tokio::test]
    async fn an_app_is_reached_at_its_own_socket_only() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let (own, _own) = served(APP, folder.path());
        let (other, _other) = served(OTHER, folder.path());
        let (of_root, _root) = served(0, folder.path());
        socket_of(APP, &own).connect().await.unwrap();
        let link = own.with_file_name("link");
        symlink(&own, &link).unwrap();
        socket_of(APP, &link).connect().await.unwrap();
        for closed in [&other, &of_root] {
            fs::remove_file(&link).unwrap();
            symlink(closed, &link).unwrap();
            let error = socket_of(APP, &link).connect().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            // Also where the app's user may open the socket itself.
            fs::set_permissions(closed.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(closed, Permissions::from_mode(0o666)).unwrap();
            let error = socket_of(APP, &link).connect().await.unwrap_err();
            assert!(error.to_string().contains("listens there"), "{error}");
            // What the appliance does not start may be served by any user.
            UnixSocket::new(link.clone()).connect().await.unwrap();
        }
    }

    #[tokio::test]
    async fn nothing_is_reached_for_an_app_whose_user_does_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let mut socket = UnixSocket::new(path);
        socket.connect().await.unwrap();
        socket.served_as(Ok(None));
        socket.connect().await.unwrap();
        socket.served_as(Err(AccountError::NoUser("x".into())));
        let error = socket.connect().await.unwrap_err();
        assert!(error.to_string().contains("there is no user x"), "{error}");
    }
}
