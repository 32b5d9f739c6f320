//! Compressed texts for all sessions, and the limits of what compression may use.
//!
//! The key of a text is its own digest: a text can only be taken for itself, whatever app and
//! address it comes from, and whatever that app says about it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use ring::digest::{SHA256, digest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::encoder::{Effort, Encoder};
use crate::proxy::phases::headers::content_coding::Coding;

/// Size of all compressed texts that are kept, bytes.
const KEPT: u64 = 8 * 1024 * 1024;
/// About the size of one.
const USUAL: u64 = 32 * 1024;
/// The longest text that is compressed as a whole, bytes.
const LONGEST: u64 = 8 * 1024 * 1024;
/// Texts that are compressed as a whole at the same time, KiB.
const WHOLE_TEXTS: usize = 24 * 1024;
/// Least share of one of them, KiB, so that not too many wait for their turn.
const LEAST: u32 = 256;
/// Texts of which the encoder runs at the same time: it has up to 20 MiB, however short the text.
const TURNS: usize = 2;
/// Responses that are compressed piece by piece at the same time. An encoder has about 1 MiB.
const STREAMS: usize = 32;

/// The texts and limits, shared by all workers.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Store {
    texts: Arc<Cache<Key, Bytes, Length>>,
    whole_texts: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

fn texts(bytes: u64) -> Cache<Key, Bytes, Length> {
    let usual = usize::try_from(bytes / USUAL).unwrap_or_default();
    // One part: a text must fit into its part.
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(usual)
        .weight_capacity(bytes)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            Length,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        Err(_) => Cache::with_weighter(usual, bytes, Length),
    }
}

/// Room for a text that is compressed as a whole.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) length: usize,
    _held: OwnedSemaphorePermit,
}

/// The place of a response that is compressed piece by piece.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

type Key = ([u8; 32], Coding);

#[derive(Debug, Clone)]
struct Length;

impl Weighter<Key, Bytes> for Length {
    fn weight(&self, _: &Key, text: &Bytes) -> u64 {
        text.len() as u64 + 128
    }
}

impl Store {
    pub(in crate::proxy) fn new() -> Self {
        Self::keeping(KEPT)
    }

    fn keeping(bytes: u64) -> Self {
        Self {
            texts: Arc::new(texts(bytes)),
            whole_texts: Arc::new(Semaphore::new(WHOLE_TEXTS)),
            turns: Arc::new(Semaphore::new(TURNS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// Room for a text of this length, if there is any.
    pub(super) fn room(&self, length: u64) -> Option<Room> {
        let kib = u32::try_from(length / 1024 + 1).ok().filter(|_| length <= LONGEST)?.max(LEAST);
        let held = Arc::clone(&self.whole_texts).try_acquire_many_owned(kib).ok()?;
        Some(Room { length: usize::try_from(length).ok()?, _held: held })
    }

    /// Waits until the encoder may run for a whole text.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// A place for one more response, if there is any.
    pub(super) fn place(&self) -> Option<Place> {
        Arc::clone(&self.streams).try_acquire_owned().ok().map(Place)
    }

    /// Compresses a text, or finds what was made of it before. Takes up to some tenths of a second.
    pub(super) fn compressed(&self, text: &[u8], coding: Coding) -> io::Result<Bytes> {
        let mut key = ([0; 32], coding);
        key.0.copy_from_slice(digest(&SHA256, text).as_ref());
        if let Some(known) = self.texts.get(&key) {
            return Ok(known);
        }
        let compressed = Bytes::from(Encoder::all(coding, Effort::ForMany, text)?);
        self.texts.insert(key, compressed.clone());
        Ok(compressed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::tests::decompressed;
    use super::*;

    #[test]
    fn a_text_is_compressed_once_for_each_coding() {
        let store = Store::new();
        let text = "body { color: red }\n".repeat(500).into_bytes();
        let first = store.compressed(&text, Coding::Gzip).unwrap();
        let again = store.compressed(&text, Coding::Gzip).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        let other = store.compressed(&text, Coding::Brotli).unwrap();
        assert_ne!(first, other);
        let another = store.compressed(&text[1..], Coding::Gzip).unwrap();
        assert_eq!(decompressed(Coding::Gzip, &another), text[1..]);
        assert_eq!(decompressed(Coding::Gzip, &first), text);
    }

    #[test]
    fn a_long_text_is_kept_too() {
        let store = Store::new();
        let piece = |n: u32| digest(&SHA256, &n.to_le_bytes()).as_ref().to_vec();
        let random: Vec<u8> = (0..100_000).flat_map(piece).collect();
        let first = store.compressed(&random, Coding::Gzip).unwrap();
        assert!(first.len() > 3_000_000);
        assert_eq!(first.as_ptr(), store.compressed(&random, Coding::Gzip).unwrap().as_ptr());
    }

    #[test]
    fn the_memory_is_bounded() {
        let store = Store::keeping(64 * 1024);
        for number in 0..200_u32 {
            let piece = |n: u32| digest(&SHA256, &(number * 100 + n).to_le_bytes());
            let random: Vec<u8> = (0..50).flat_map(|n| piece(n).as_ref().to_vec()).collect();
            store.compressed(&random, Coding::Gzip).unwrap();
        }
        let kept = store.texts.weight();
        assert!(kept <= 64 * 1024 && kept > 32 * 1024, "{kept}");
        assert!(store.room(LONGEST + 1).is_none());
        let rooms: Vec<_> = std::iter::from_fn(|| store.room(LONGEST - 1)).collect();
        assert_eq!(rooms.len(), 3);
        drop(rooms);
        assert!(store.room(LONGEST - 1).is_some());
        let short: Vec<_> = std::iter::from_fn(|| store.room(1024)).collect();
        assert_eq!(short.len(), WHOLE_TEXTS / 256);
        let places: Vec<_> = std::iter::from_fn(|| store.place()).collect();
        assert_eq!(places.len(), STREAMS);
    }
}
