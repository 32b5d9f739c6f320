//! Readiness notifications from the app: on a descriptor (s6) or a socket (systemd).

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram as StdDatagram;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, bind, recvmsg, setsockopt,
    sockopt::PassCred,
};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixDatagram;
use tokio::net::unix::pipe;

/// The appliance's end of the pipe or socket that the app writes to.
#[derive(Debug)]
pub(crate) enum ReadyListener {
    /// One newline means ready.
    Pipe(pipe::Receiver),
    /// A datagram with the line `READY=1` means ready.
    Socket(UnixDatagram),
}

impl ReadyListener {
    /// Creates a pipe; the second value is the end that the child inherits.
    pub(crate) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        Ok((Self::Pipe(pipe::Receiver::from_owned_fd(reader.into())?), writer.into()))
    }

    /// Creates a socket and its name for `NOTIFY_SOCKET`. The socket has no file, so that a child
    /// of any user reaches it. The kernel chooses the name: containers that share a network share
    /// all names, and the appliance's PID is 1 in each of them.
    pub(crate) fn socket() -> io::Result<(Self, String)> {
        let socket = StdDatagram::unbound()?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        setsockopt(&socket, PassCred, &true)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let name = address.as_abstract_name().unwrap_or_default();
        let name = format!("@{}", String::from_utf8_lossy(name));
        Ok((Self::Socket(UnixDatagram::from_std(socket)?), name))
    }

    /// Resolves when the app has reported that it is ready. On a socket, only messages from the
    /// app's user or from root count.
    pub(crate) async fn ready(&mut self, uid: u32) {
        let said = match self {
            Self::Pipe(pipe) => newline(pipe).await,
            Self::Socket(socket) => datagram(socket, uid).await,
        };
        if !said {
            std::future::pending::<()>().await;
        }
    }
}

async fn newline(pipe: &mut pipe::Receiver) -> bool {
    let mut bytes = [0; 64];
    loop {
        match pipe.read(&mut bytes).await {
            Ok(0) | Err(_) => return false,
            Ok(read) if bytes[..read].contains(&b'\n') => return true,
            Ok(_) => {}
        }
    }
}

async fn datagram(socket: &UnixDatagram, uid: u32) -> bool {
    loop {
        let Ok((text, sender)) = socket.async_io(Interest::READABLE, || receive(socket)).await
        else {
            return false;
        };
        let known = sender.is_some_and(|sender| sender.uid() == uid || sender.uid() == 0);
        if known && text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return true;
        }
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<(Vec<u8>, Option<UnixCredentials>)> {
    let mut text = vec![0; 4096];
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let sender = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmCredentials(sender) => Some(sender),
        _ => None,
    });
    let length = message.bytes;
    text.truncate(length);
    Ok((text, sender))
}
