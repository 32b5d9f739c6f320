//! Writes to fd 1 directly: without buffer, lock or panic, and without changing its flags.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Blocking writes to descriptor 1.
#[derive(Debug)]
pub(super) struct Stdout;

impl io::Write for Stdout {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let stdout = io::stdout();
        loop {
            match nix::unistd::write(stdout.as_fd(), text) {
                // Another process that shares the descriptor has made it non-blocking.
                Err(Errno::EAGAIN) => {
                    let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
                    poll(&mut ready, PollTimeout::NONE).or_else(|errno| match errno {
                        Errno::EINTR => Ok(0),
                        other => Err(other),
                    })?;
                }
                Err(Errno::EINTR) => {}
                done => return done.map_err(io::Error::from),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
