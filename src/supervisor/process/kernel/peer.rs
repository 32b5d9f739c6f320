//! Where the process at the other end of a unix socket comes from.
//!
//! The kernel notes the PID of a client when it connects. By the time that the number is looked up, the
//! client may have ended and the number may be that of another process. A process descriptor of the client
//! (`SO_PEERPIDFD`, Linux 6.5) tells whether it still runs. An older kernel offers the start of the process
//! alone, which tells whether the number has changed hands since the connection was accepted.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};

use crate::supervisor::process::kin::{Descent, descent};
use crate::supervisor::process::procfs;

/// The process at the other end of a connected unix socket.
#[derive(Debug)]
pub struct Peer {
    pid: i32,
    proof: Proof,
}

/// That the number still is that of the process.
#[derive(Debug)]
enum Proof {
    Held(OwnedFd),
    /// When it was started, in clock ticks after the boot of the machine.
    Started(u64),
    Gone,
}

impl Peer {
    /// `pid`: as the kernel tells it of the other end of `socket`.
    pub fn of(socket: &impl AsFd, pid: i32) -> Self {
        let proof = match getsockopt(socket, PeerPidfd) {
            Ok(held) => Proof::Held(held),
            Err(Errno::ENOPROTOOPT | Errno::EINVAL | Errno::ENOSYS) => {
                procfs::see(pid).map_or(Proof::Gone, |seen| Proof::Started(seen.started_ticks))
            }
            Err(_) => Proof::Gone,
        };
        Self { pid, proof }
    }

    /// Where the process comes from. [`Descent::Gone`] also if its number may have changed hands.
    pub fn descent(&self) -> Descent {
        let found = descent(self.pid);
        // Afterwards: what ran until now has had its number all the time.
        if self.runs() { found } else { Descent::Gone }
    }

    fn runs(&self) -> bool {
        match &self.proof {
            Proof::Held(process) => {
                let mut asked = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
                poll(&mut asked, PollTimeout::ZERO) == Ok(0)
            }
            Proof::Started(ticks) => procfs::see(self.pid)
                .is_some_and(|seen| seen.started_ticks == *ticks && !seen.has_ended),
            Proof::Gone => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use nix::sys::signal::Signal;

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::process::reaper::Reaper;

    #[tokio::test]
    async fn the_number_of_a_client_that_has_ended_proves_nothing() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let script = "import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); time.sleep(1000)";
        let mut client = Command::new("python3");
        client.args(["-c", script]).arg(&path);
        let mut process = reaper.spawn(&mut client, None).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let pid = process.pid.as_raw();
        let own = std::process::id().cast_signed();
        let started = procfs::see(pid).unwrap().started_ticks;
        let peer = Peer::of(&stream, pid);
        assert_eq!(peer.descent(), Descent::Own { child: pid });
        let older = Peer { pid, proof: Proof::Started(started) };
        assert_eq!(older.descent(), Descent::Own { child: pid });

        reaper.signal(process.pid, Signal::SIGKILL);
        (&mut process.ended).await.unwrap();
        // As if the number were that of a process that no app has started, which would be served.
        assert_eq!(descent(own), Descent::Other);
        for proof in [peer.proof, Proof::Started(started - 1), Proof::Gone] {
            let reused = Peer { pid: own, proof };
            assert_eq!(reused.descent(), Descent::Gone, "{reused:?}");
        }
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Peer::of(&ours, own).descent(), Descent::Other);
    }
}
