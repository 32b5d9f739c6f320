//! The log's queue: order, back-pressure, drops that are counted.

use std::sync::Condvar;

use super::*;
use crate::config::{Color, Log, LogFormat};

/// A sink that writes nothing before it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    text: Vec<u8>,
}

impl Gate {
    fn open(&self) {
        self.0.state.lock().unwrap().open = true;
        self.0.opened.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.state.lock().unwrap().text).into_owned()
    }
}

impl Write for Gate {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let state = self.0.state.lock().unwrap();
        let mut state = self.0.opened.wait_while(state, |state| !state.open).unwrap();
        state.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn text_format() -> Format {
    let log =
        Log { format: LogFormat::Text, level: "info".into(), access: true, color: Color::Never };
    Format::new(&log, false)
}

#[tokio::test]
async fn children_wait_and_our_own_lines_are_counted() {
    let gate = Gate::default();
    let queue = Queue::start(text_format(), gate.clone()).unwrap();
    let block = Bytes::from(vec![b'\n'; 1024 * 1024]);
    for _ in 0..2 {
        queue.send("a", block.clone()).await;
    }
    let full = tokio::time::timeout(Duration::from_millis(50), queue.send("a", block.clone()));
    assert!(full.await.is_err(), "there was room beyond the bound");
    let ours = vec![b'\n'; 300 * 1024];
    for _ in 0..5 {
        queue.offer(ours.clone());
    }
    let blocked = tokio::time::timeout(Duration::from_millis(50), queue.flushed()).await;
    assert!(blocked.is_err(), "flushed behind a shut gate");
    gate.open();
    queue.flushed().await.unwrap();
    let text = gate.text();
    assert!(text.ends_with("read too slowly lines=2\n"), "{}", &text[text.len() - 200..]);
    queue.send("a", Bytes::from_static(b"room again\n")).await;
    queue.flushed().await.unwrap();
    assert!(gate.text().ends_with("lines=2\nroom again\n"));
}

#[tokio::test]
async fn a_block_larger_than_the_room_still_passes() {
    let gate = Gate::default();
    gate.open();
    let queue = Queue::start(text_format(), gate.clone()).unwrap();
    queue.send("a", Bytes::from(vec![b'\n'; CHILDREN as usize + 10])).await;
    queue.send("a", Bytes::from_static(b"next\n")).await;
    queue.flushed().await.unwrap();
    assert_eq!(gate.text().len(), CHILDREN as usize + 15);
    assert_eq!(queue.waiting(), 0);
}

#[tokio::test]
async fn the_end_waits_for_those_who_wait_for_room() {
    let gate = Gate::default();
    let queue = Queue::start(text_format(), gate.clone()).unwrap();
    queue.send("a", Bytes::from(vec![b'\n'; CHILDREN as usize])).await;
    let late = tokio::spawn({
        let queue = queue.clone();
        async move { queue.send("a", Bytes::from_static(b"late\n")).await }
    });
    let given_up = queue.send("a", Bytes::from_static(b"never\n"));
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
    gate.open();
    queue.drained().await;
    assert!(gate.text().ends_with("\nlate\n"));
    late.await.unwrap();
}
