//! The output of a child on its way to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::LogHandle;
use super::format::Stream;
use super::lines::{Line, Lines, More};
use crate::config::AppName;

/// Bytes formatted at a time; bounds the size of a block of empty lines with their prefixes.
const STEP: usize = 8 * 1024;
/// A block of this size is sent to the queue.
const FULL: usize = 64 * 1024;

/// The output of one child.
#[derive(Debug, Clone)]
pub struct ChildLog {
    writer: Arc<Writer>,
    log: LogHandle,
}

/// Who writes. The name changes while the child runs, if the number of processes of its app changes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) name: ArcSwap<AppName>,
    /// Bytes that the app has written.
    pub(super) bytes: AtomicU64,
}

/// One of the two outputs of a child: takes bytes, logs whole lines.
#[derive(Debug)]
pub struct ChildStream {
    writer: Arc<Writer>,
    stream: Stream,
    lines: Lines,
    written: bool,
    log: LogHandle,
}

impl Writer {
    pub(super) fn new(name: AppName) -> Self {
        Self { name: ArcSwap::from_pointee(name), bytes: AtomicU64::new(0) }
    }
}

impl ChildLog {
    pub(super) fn new(writer: Arc<Writer>, log: LogHandle) -> Self {
        Self { writer, log }
    }

    /// One output of one incarnation.
    pub fn stream(&self, stream: Stream) -> ChildStream {
        ChildStream {
            writer: Arc::clone(&self.writer),
            stream,
            lines: Lines::default(),
            written: true,
            log: self.log.clone(),
        }
    }
}

impl ChildStream {
    /// Discards the output; `seen` still receives every line.
    pub fn discard(&mut self) {
        self.written = false;
    }

    /// Takes bytes as they were read. Waits while the log is full, which makes the child wait as
    /// well. `seen` receives every whole line of at most 64 KiB, without its line end.
    pub async fn send(&mut self, bytes: &[u8], seen: &mut (dyn FnMut(&[u8]) + Send)) {
        self.writer.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let format = self.log.queue.format();
        let prefix = format.child_prefix(self.writer.name.load().as_str(), self.stream);
        // A queued block occupies its whole capacity, not only its length.
        let room = |left: usize| (2 * left + prefix.len()).min(FULL + 2 * STEP);
        let mut block = Vec::with_capacity(room(bytes.len()));
        let mut left = bytes.len();
        for step in bytes.chunks(STEP) {
            self.lines.feed(step, &mut |line| {
                show(line, seen);
                format.child_line(&mut block, &prefix, line);
            });
            left -= step.len();
            if block.len() >= FULL {
                let full = std::mem::replace(&mut block, Vec::with_capacity(room(left)));
                self.write(full).await;
            }
        }
        self.write(block).await;
    }

    /// Whether an unfinished line is held.
    pub fn is_partial(&self) -> bool {
        self.lines.is_partial()
    }

    /// Whether the unfinished line is one that its writer overwrites, as a progress bar.
    pub fn is_overwritten(&self) -> bool {
        self.lines.is_overwritten()
    }

    /// Logs the unfinished line because its writer has paused. The line may continue.
    pub async fn pause(&mut self, seen: &mut (dyn FnMut(&[u8]) + Send)) {
        self.release(More::Paused, seen).await;
    }

    /// Logs the unfinished line because its writer has ended.
    pub async fn end(&mut self, seen: &mut (dyn FnMut(&[u8]) + Send)) {
        self.release(More::No, seen).await;
    }

    async fn release(&mut self, more: More, seen: &mut (dyn FnMut(&[u8]) + Send)) {
        let format = self.log.queue.format();
        let prefix = format.child_prefix(self.writer.name.load().as_str(), self.stream);
        let mut block = Vec::new();
        self.lines.release(more, &mut |line| {
            show(line, seen);
            format.child_line(&mut block, &prefix, line);
        });
        self.write(block).await;
    }

    async fn write(&self, block: Vec<u8>) {
        if self.written && !block.is_empty() {
            let name = self.writer.name.load_full();
            self.log.queue.send(name.as_str(), block.into()).await;
        }
    }
}

fn show(line: Line<'_>, seen: &mut (dyn FnMut(&[u8]) + Send)) {
    if !line.continued && line.more == More::No {
        seen(line.text);
    }
}
