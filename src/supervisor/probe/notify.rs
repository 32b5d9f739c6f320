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

use super::notifier::{Notifier, Sender};

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

    /// Resolves when the app has reported that it is ready. On a socket, only messages that the
    /// notifier accepts count.
    pub(crate) async fn ready(&mut self, notifier: &Notifier) {
        let said = match self {
            Self::Pipe(pipe) => newline(pipe).await,
            Self::Socket(socket) => datagram(socket, notifier).await,
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

async fn datagram(socket: &UnixDatagram, notifier: &Notifier) -> bool {
    loop {
        let Ok((text, sender)) = socket.async_io(Interest::READABLE, || receive(socket)).await
        else {
            return false;
        };
        let says_ready = text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
        if says_ready && sender.is_some_and(|sender| notifier.accepts(sender)) {
            return true;
        }
    }
}

/// The next message. There is no room for descriptors, which any process can send: the kernel closes
/// them, and for that `systemd-notify` waits. Such a message has no known sender and does not count.
fn receive(socket: &UnixDatagram) -> io::Result<(Vec<u8>, Option<Sender>)> {
    let mut text = vec![0; 4096];
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let sender = message.cmsgs().ok().and_then(|mut controls| {
        controls.find_map(|control| match control {
            ControlMessageOwned::ScmCredentials(who) => {
                Some(Sender { uid: who.uid(), pid: who.pid() })
            }
            _ => None,
        })
    });
    let length = message.bytes;
    text.truncate(length);
    Ok((text, sender))
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::RawFd;
    use std::time::Duration;

    use nix::sys::socket::{ControlMessage, sendmsg};
    use tokio::time::timeout;

    use super::*;
    use crate::config::AppName;
    use crate::supervisor::process::reaper::Reaper;

    /// As many as one message can bring (`SCM_MAX_FD`).
    const MOST_DESCRIPTORS: usize = 253;

    /// The listener of an app without other apps beside it, and its address.
    fn listener(uid: u32) -> (ReadyListener, UnixAddr, Notifier) {
        let (listener, name) = ReadyListener::socket().unwrap();
        let address = UnixAddr::new_abstract(&name.as_bytes()[1..]).unwrap();
        let (app, reaper) = (AppName::new("a").unwrap(), Reaper::unstarted());
        let leader = nix::unistd::Pid::from_raw(1);
        (listener, address, Notifier { app, uid, leader, reaper })
    }

    /// Sends a message with this many descriptors.
    fn send(to: &UnixAddr, text: &[u8], descriptors: usize) {
        let socket = StdDatagram::unbound().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let sent: Vec<RawFd> = vec![null.as_raw_fd(); descriptors];
        let rights = [ControlMessage::ScmRights(&sent)];
        let rights = if descriptors > 0 { rights.as_slice() } else { &[] };
        let parts = [IoSlice::new(text)];
        sendmsg(socket.as_raw_fd(), &parts, rights, MsgFlags::empty(), Some(to)).unwrap();
    }

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[tokio::test]
    async fn descriptors_in_a_message_are_closed_and_the_next_message_counts() {
        let _alone = crate::one_process::alone().await;
        let (mut listener, address, notifier) = listener(nix::unistd::geteuid().as_raw());
        let before = open_descriptors();
        for descriptors in [1, 2, MOST_DESCRIPTORS] {
            send(&address, b"x", descriptors);
            send(&address, b"STATUS=\nREADY=1\n", 0);
            listener.ready(&notifier).await;
        }
        assert!(open_descriptors() < before + MOST_DESCRIPTORS, "they were closed");
    }

    #[tokio::test]
    async fn only_a_line_of_the_apps_user_or_of_root_counts() {
        let us = nix::unistd::geteuid().as_raw();
        let (mut listener, address, notifier) = listener(us);
        for text in [b"READY=0".as_slice(), b"NOT_READY=1", b"READY=11", b""] {
            send(&address, text, 0);
            let soon = Duration::from_millis(20);
            assert!(timeout(soon, listener.ready(&notifier)).await.is_err(), "{text:?}");
        }
        let of = |uid| Notifier { uid, ..notifier.clone() };
        let (own, root, other) =
            (Sender { uid: 7, pid: 1 }, Sender { uid: 0, pid: 1 }, Sender { uid: 8, pid: 1 });
        assert_eq!([own, root, other].map(|sender| of(7).accepts(sender)), [true, true, false]);
    }
}
