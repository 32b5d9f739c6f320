//! The log's queue: order, back-pressure, drops that are counted.

use std::sync::Condvar;

use super::*;
use crate::config::{Color, Log, LogFormat};

/// A sink that writes nothing before it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(bool, Vec<u8>)>, Condvar)>);

impl Gate {
    fn open(&self) {
        self.0.0.lock().unwrap().0 = true;
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().1).into_owned()
    }
}

impl Write for Gate {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let mut inside = self.0.1.wait_while(self.0.0.lock().unwrap(), |gate| !gate.0).unwrap();
        inside.1.extend_from_slice(text);
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
    for _ in 0..3 {
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
    queue.send("a", Bytes::from_static(b"room again\n")).await;
    queue.flushed().await.unwrap();
    let text = gate.text();
    assert!(text.contains("read too slowly lines=2"), "{}", &text[text.len() - 200..]);
    assert!(text.ends_with("room again\n"));
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
