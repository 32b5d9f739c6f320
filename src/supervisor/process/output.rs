//! What a child writes, on its way into the log.
//!
//! Reads until the end of the pipe, not of the process: a grandchild may hold it. Memory is used
//! only while there is something to read.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use crate::telemetry::ChildStream;

/// Read at a time, bytes: what a pipe holds.
const BLOCK: usize = 64 * 1024;
/// A begun line whose writer pauses for that long is written as it is.
const PAUSE: Duration = Duration::from_secs(1);

/// Is shown every whole line of a child.
pub(crate) type Seen = Box<dyn FnMut(&[u8]) + Send>;

/// Carries all that comes out of the pipe into the log.
pub(crate) async fn carry(pipe: Receiver, mut log: ChildStream, mut seen: Seen) {
    let mut more = true;
    while more {
        if log.is_partial() {
            match timeout(PAUSE, pipe.readable()).await {
                Ok(Ok(())) => more = carry_ready(&pipe, &mut log, &mut seen).await,
                Ok(Err(_)) => more = false,
                Err(_) => log.pause(&mut seen).await,
            }
        } else {
            more = pipe.readable().await.is_ok() && carry_ready(&pipe, &mut log, &mut seen).await;
        }
    }
    log.end(&mut seen).await;
}

/// Carries what is there now; false at the end of the pipe.
async fn carry_ready(pipe: &Receiver, log: &mut ChildStream, seen: &mut Seen) -> bool {
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        match pipe.try_read_buf(&mut block) {
            Ok(0) => return false,
            Ok(_) => log.send(&block, seen).await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        block.clear();
    }
}
