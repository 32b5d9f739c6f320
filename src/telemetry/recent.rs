//! The newest lines of each app, and the followers of new lines.
//!
//! Keeps lines when they are queued, not when they are written, so that `appliance logs` works
//! while stdout is blocked. Memory is bounded for each app and for each follower. A follower that
//! reads too slowly loses lines, gets a note about it, and delays nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes kept for each app.
const KEPT: usize = 256 * 1024;
/// Memory of a block besides its text.
const OVERHEAD: usize = 96;
/// Bytes that may wait for one follower.
const BEHIND: usize = 1024 * 1024;

/// The newest lines of the log.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rings: HashMap<Box<str>, Ring>,
    followers: Vec<Watched>,
    count: u64,
}

/// Blocks of whole lines with their number in the common order.
#[derive(Debug, Default)]
struct Ring {
    blocks: VecDeque<(u64, Bytes)>,
    size: usize,
}

#[derive(Debug)]
struct Watched {
    app: Option<Box<str>>,
    lines: mpsc::UnboundedSender<Bytes>,
    behind: Arc<AtomicUsize>,
    lost: bool,
}

/// Receives new lines. Ends when the log ends.
#[derive(Debug)]
pub struct Follower {
    lines: mpsc::UnboundedReceiver<Bytes>,
    behind: Arc<AtomicUsize>,
    block: Bytes,
}

impl Recent {
    /// Remembers a block of whole lines of one app.
    pub(super) fn push(&mut self, app: &str, block: &Bytes) {
        self.count += 1;
        if let Some(ring) = self.rings.get_mut(app) {
            ring.push(self.count, block);
        } else {
            let mut ring = Ring::default();
            ring.push(self.count, block);
            self.rings.insert(app.into(), ring);
        }
        self.followers.retain_mut(|follower| follower.offer(app, block));
    }

    /// The last `n` lines, of one app or of all, oldest first, each with its newline.
    pub(super) fn tail(&self, app: Option<&str>, n: usize) -> Vec<Bytes> {
        let rings = self.rings.iter().filter(|(name, _)| app.is_none_or(|app| ***name == *app));
        let mut blocks: Vec<_> = rings.flat_map(|(_, ring)| &ring.blocks).collect();
        blocks.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut lines = Vec::new();
        for (_, block) in blocks {
            let newest_first = block.split_inclusive(|b| *b == b'\n').rev();
            for line in newest_first.take(n - lines.len()) {
                lines.push(block.slice_ref(line));
            }
            if lines.len() == n {
                break;
            }
        }
        lines.reverse();
        lines
    }

    /// The last `n` lines, then all new lines without a gap.
    pub(super) fn follow(&mut self, app: Option<&str>, n: usize) -> Follower {
        let (sender, lines) = mpsc::unbounded_channel();
        let behind = Arc::new(AtomicUsize::new(0));
        for line in self.tail(app, n) {
            behind.fetch_add(line.len(), Ordering::Relaxed);
            let _ = sender.send(line);
        }
        let app = app.map(Box::from);
        self.followers.push(Watched { app, lines: sender, behind: behind.clone(), lost: false });
        Follower { lines, behind, block: Bytes::new() }
    }
}

impl Ring {
    fn push(&mut self, at: u64, block: &Bytes) {
        self.size += block.len() + OVERHEAD;
        self.blocks.push_back((at, block.clone()));
        // The newest block is kept even if it alone is too large, so that a tail is never empty.
        while self.size > KEPT && self.blocks.len() > 1 {
            if let Some((_, old)) = self.blocks.pop_front() {
                self.size -= old.len() + OVERHEAD;
            }
        }
    }
}

impl Watched {
    /// Passes a block on; false if the follower is gone.
    fn offer(&mut self, app: &str, block: &Bytes) -> bool {
        if self.app.as_deref().is_some_and(|wanted| wanted != app) {
            return !self.lines.is_closed();
        }
        if self.behind.load(Ordering::Relaxed) > BEHIND {
            self.lost = true;
            return !self.lines.is_closed();
        }
        if std::mem::take(&mut self.lost) {
            let gap = Bytes::from_static(b"[lines are missing here: they were read too slowly]\n");
            self.behind.fetch_add(gap.len(), Ordering::Relaxed);
            let _ = self.lines.send(gap);
        }
        self.behind.fetch_add(block.len(), Ordering::Relaxed);
        self.lines.send(block.clone()).is_ok()
    }
}

impl Follower {
    /// The next line without its line end; `None` when the log has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<String> {
        if self.block.is_empty() {
            self.block = self.lines.recv().await?;
        }
        let end = memchr::memchr(b'\n', &self.block).map_or(self.block.len(), |end| end + 1);
        let line = self.block.split_to(end);
        self.behind.fetch_sub(end, Ordering::Relaxed);
        Some(text(&line))
    }
}

/// A line as text, without its line end. The output of a child may be invalid UTF-8.
pub(super) fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[Bytes]) -> String {
        lines.iter().map(|line| String::from_utf8_lossy(line)).collect()
    }

    #[test]
    fn a_tail_has_the_order_of_sending() {
        let mut recent = Recent::default();
        for (app, block) in [("a", "a1\na2\n"), ("b", "b1\n"), ("a", "a3\n")] {
            recent.push(app, &Bytes::from_static(block.as_bytes()));
        }
        assert_eq!(joined(&recent.tail(None, 3)), "a2\nb1\na3\n");
        assert_eq!(joined(&recent.tail(Some("a"), 2)), "a2\na3\n");
        assert_eq!(joined(&recent.tail(None, 100)), "a1\na2\nb1\na3\n");
        assert!(recent.tail(None, 0).is_empty() && recent.tail(Some("c"), 9).is_empty());
    }

    #[test]
    fn a_flood_of_one_app_leaves_the_lines_of_another() {
        let mut recent = Recent::default();
        recent.push("quiet", &Bytes::from_static(b"still here\n"));
        let block = Bytes::from(vec![b'\n'; 64 * 1024]);
        for _ in 0..100 {
            recent.push("loud", &block);
        }
        assert_eq!(joined(&recent.tail(Some("quiet"), 9)), "still here\n");
        assert!(recent.rings["loud"].size <= KEPT);
    }

    #[tokio::test]
    async fn a_slow_follower_loses_lines_and_gets_a_note() {
        let mut recent = Recent::default();
        recent.push("a", &Bytes::from_static(b"before\n"));
        let mut follower = recent.follow(Some("a"), 10);
        recent.push("b", &Bytes::from_static(b"other\n"));
        let line = "x".repeat(BEHIND / 2);
        for _ in 0..10 {
            recent.push("a", &Bytes::from(format!("{line}\n")));
        }
        assert_eq!(follower.next().await.unwrap(), "before");
        for _ in 0..2 {
            assert_eq!(follower.next().await.unwrap(), line);
        }
        recent.push("a", &Bytes::from_static(b"after\n"));
        assert!(follower.next().await.unwrap().starts_with("[lines are missing"));
        assert_eq!(follower.next().await.unwrap(), "after");
        drop(follower);
        recent.push("a", &Bytes::from_static(b"unread\n"));
        assert!(recent.followers.is_empty());
        drop(recent);
    }
}
