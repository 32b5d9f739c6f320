//! Forwards the output of a child to the log.
//!
//! Reads until the end of the pipe, not until the end of the process: a grandchild may hold the
//! pipe. Memory is used only while there is something to read.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout};

use crate::telemetry::ChildStream;

/// Bytes read at a time: the capacity of a pipe.
const BLOCK: usize = 64 * 1024;
/// An unfinished line is written after its writer has paused for this long.
const PARTIAL_LINE_PAUSE: Duration = Duration::from_secs(1);
/// A progress bar that moves without a pause is written this often.
const STATE_INTERVAL: Duration = Duration::from_secs(1);

/// Receives every whole line of a child.
pub(crate) type LineObserver = Box<dyn FnMut(&[u8]) + Send>;

/// Forwards everything from the pipe to the log.
pub(crate) async fn forward(pipe: Receiver, mut log: ChildStream, mut observer: LineObserver) {
    let mut more = true;
    let mut shown = Instant::now();
    while more {
        if log.is_overwritten() && log.is_partial() && shown.elapsed() >= STATE_INTERVAL {
            shown = Instant::now();
            log.pause(&mut observer).await;
        } else if log.is_partial() {
            match timeout(PARTIAL_LINE_PAUSE, pipe.readable()).await {
                Ok(Ok(())) => more = forward_available(&pipe, &mut log, &mut observer).await,
                Ok(Err(_)) => more = false,
                Err(_) => log.pause(&mut observer).await,
            }
        } else {
            more = pipe.readable().await.is_ok()
                && forward_available(&pipe, &mut log, &mut observer).await;
        }
    }
    log.end(&mut observer).await;
}

/// Forwards what can be read now; false at the end of the pipe.
async fn forward_available(
    pipe: &Receiver,
    log: &mut ChildStream,
    observer: &mut LineObserver,
) -> bool {
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        match pipe.try_read_buf(&mut block) {
            Ok(0) => return false,
            Ok(_) => log.send(&block, observer).await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        block.clear();
    }
}
