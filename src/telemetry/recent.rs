//! The newest lines of each app, and the followers of new lines. Access lines have memory of their
//! own, so that many requests do not displace the other lines.
//!
//! Keeps lines when they are queued, not when they are written, so that `appliance logs` works
//! while stdout is blocked. Memory is bounded for each app and for each follower. A follower that
//! reads too slowly loses lines, gets a note about it, and delays nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::app_of;

/// Bytes kept for each app.
const KEPT: usize = 256 * 1024;
/// Memory of a block besides its text.
const OVERHEAD: usize = 96;
/// Bytes that may wait for one follower.
const BEHIND: usize = 1024 * 1024;

/// Which lines to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All lines of all apps and of the appliance.
    All,
    /// The lines of one app, or of the appliance, without access lines.
    App(String),
    /// The access lines: all, or those of requests to one app.
    Access(Option<String>),
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// A line of an app, or of the appliance.
    App(&'a str),
    /// The access line of a request to an app, or to the appliance itself.
    Access(&'a str),
}

/// The newest lines of the log.
#[derive(Debug, Default)]
pub(super) struct Recent {
    apps: HashMap<Box<str>, Ring>,
    access: HashMap<Box<str>, Ring>,
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
    selection: Selection,
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
    /// Remembers a block of whole lines from one source.
    pub(super) fn push(&mut self, source: Source<'_>, block: &Bytes) {
        self.count += 1;
        let (rings, app) = match source {
            Source::App(app) => (&mut self.apps, app),
            Source::Access(app) => (&mut self.access, app),
        };
        if let Some(ring) = rings.get_mut(app) {
            ring.push(self.count, block);
        } else {
            let mut ring = Ring::default();
            ring.push(self.count, block);
            rings.insert(app.into(), ring);
        }
        self.followers.retain_mut(|follower| follower.offer(source, block));
    }

    /// The last `n` lines of a selection, oldest first, each with its newline.
    pub(super) fn tail(&self, selection: &Selection, n: usize) -> Vec<Bytes> {
        let apps = self.apps.iter().map(|(app, ring)| (Source::App(app), ring));
        let access = self.access.iter().map(|(app, ring)| (Source::Access(app), ring));
        let rings = apps.chain(access).filter(|(source, _)| selection.includes(*source));
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

    /// The last `n` lines of a selection, then all new lines without a gap.
    pub(super) fn follow(&mut self, selection: Selection, n: usize) -> Follower {
        let (sender, lines) = mpsc::unbounded_channel();
        let behind = Arc::new(AtomicUsize::new(0));
        for line in self.tail(&selection, n) {
            behind.fetch_add(line.len(), Ordering::Relaxed);
            let _ = sender.send(line);
        }
        self.followers.push(Watched {
            selection,
            lines: sender,
            behind: behind.clone(),
            lost: false,
        });
        Follower { lines, behind, block: Bytes::new() }
    }
}

impl Selection {
    fn includes(&self, source: Source<'_>) -> bool {
        match (self, source) {
            (Selection::All, _) | (Selection::Access(None), Source::Access(_)) => true,
            (Selection::App(wanted), Source::App(app)) => {
                // The lines of an app with several processes are those of all of them.
                app == wanted || app_of(app) == wanted
            }
            (Selection::Access(Some(wanted)), Source::Access(app)) => wanted == app,
            _ => false,
        }
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
    fn offer(&mut self, source: Source<'_>, block: &Bytes) -> bool {
        if !self.selection.includes(source) {
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
            recent.push(Source::App(app), &Bytes::from_static(block.as_bytes()));
        }
        assert_eq!(joined(&recent.tail(&Selection::All, 3)), "a2\nb1\na3\n");
        assert_eq!(joined(&recent.tail(&Selection::App("a".into()), 2)), "a2\na3\n");
        assert_eq!(joined(&recent.tail(&Selection::All, 100)), "a1\na2\nb1\na3\n");
        assert!(
            recent.tail(&Selection::All, 0).is_empty()
                && recent.tail(&Selection::App("c".into()), 9).is_empty()
        );
    }

    #[test]
    fn access_lines_are_a_selection_of_their_own() {
        let mut recent = Recent::default();
        for (source, line) in [
            (Source::App("appliance"), "app ready\n"),
            (Source::Access("appliance"), "request to the portal\n"),
            (Source::App("a"), "hello\n"),
            (Source::Access("a"), "request to a\n"),
        ] {
            recent.push(source, &Bytes::from_static(line.as_bytes()));
        }
        for (selection, lines) in [
            (Selection::All, "app ready\nrequest to the portal\nhello\nrequest to a\n"),
            (Selection::App("appliance".into()), "app ready\n"),
            (Selection::App("a".into()), "hello\n"),
            (Selection::Access(None), "request to the portal\nrequest to a\n"),
            (Selection::Access(Some("a".into())), "request to a\n"),
            (Selection::Access(Some("b".into())), ""),
        ] {
            assert_eq!(joined(&recent.tail(&selection, 9)), lines, "{selection:?}");
        }
    }

    #[test]
    fn requests_do_not_displace_the_lines_of_the_appliance() {
        let mut recent = Recent::default();
        recent.push(Source::App("appliance"), &Bytes::from_static(b"still here\n"));
        for _ in 0..10_000 {
            recent.push(Source::Access("appliance"), &Bytes::from(vec![b'x'; 300]));
        }
        assert_eq!(joined(&recent.tail(&Selection::App("appliance".into()), 9)), "still here\n");
        assert!(recent.access["appliance"].size <= KEPT);
    }

    #[test]
    fn a_flood_of_one_app_leaves_the_lines_of_another() {
        let mut recent = Recent::default();
        recent.push(Source::App("quiet"), &Bytes::from_static(b"still here\n"));
        let block = Bytes::from(vec![b'\n'; 64 * 1024]);
        for _ in 0..100 {
            recent.push(Source::App("loud"), &block);
        }
        assert_eq!(joined(&recent.tail(&Selection::App("quiet".into()), 9)), "still here\n");
        assert!(recent.apps["loud"].size <= KEPT);
    }

    #[tokio::test]
    async fn a_slow_follower_loses_lines_and_gets_a_note() {
        let mut recent = Recent::default();
        recent.push(Source::App("a"), &Bytes::from_static(b"before\n"));
        let mut follower = recent.follow(Selection::App("a".into()), 10);
        recent.push(Source::App("b"), &Bytes::from_static(b"other\n"));
        let line = "x".repeat(BEHIND / 2);
        for _ in 0..10 {
            recent.push(Source::App("a"), &Bytes::from(format!("{line}\n")));
        }
        assert_eq!(follower.next().await.unwrap(), "before");
        for _ in 0..2 {
            assert_eq!(follower.next().await.unwrap(), line);
        }
        recent.push(Source::App("a"), &Bytes::from_static(b"after\n"));
        assert!(follower.next().await.unwrap().starts_with("[lines are missing"));
        assert_eq!(follower.next().await.unwrap(), "after");
        drop(follower);
        recent.push(Source::App("a"), &Bytes::from_static(b"unread\n"));
        assert!(recent.followers.is_empty());
        drop(recent);
    }
}
