//! The log of the built binary with slow and missing readers.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Appliance, eventually};

/// An app that prints more lines than the log buffers, and ignores a request to stop.
const STUBBORN: &str = "[apps.stubborn]\ncommand = [\"/bin/sh\", \"-c\", '''\
    trap '' TERM; : >{DIR}/up; seq 1 100000''']\n";
/// An app that prints without end.
const LOUD: &str = "[apps.loud]\ncommand = [\"yes\"]\n";

#[tokio::test]
async fn a_slow_reader_receives_every_line() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut appliance = Appliance::start_into(writer, STUBBORN);
    eventually("the app to be up", async || appliance.path("up").exists().then_some(())).await;
    appliance.signal(Signal::SIGTERM);
    let reading = tokio::task::spawn_blocking(|| read_slowly(reader.into()));
    let log = reading.await.unwrap();
    assert_eq!(appliance.end().await, 0);
    let said = log.lines().filter_map(|line| line.split_once("stubborn    | "));
    let said: Vec<u32> = said.map(|(_, number)| number.parse().unwrap()).collect();
    assert!(said.iter().copied().eq(1..=100_000), "{} lines", said.len());
    assert!(log.ends_with("| the appliance ends code=0\n"));
}

fn read_slowly(mut reader: File) -> String {
    let (mut text, mut block) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match reader.read(&mut block).unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            n => text.extend_from_slice(&block[..n]),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn a_second_signal_stops_without_waiting_for_a_reader() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut appliance = Appliance::start_into(writer, LOUD);
    appliance.wait_for_state("loud", "ready").await;
    appliance.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = Instant::now();
    assert_eq!(appliance.stop().await, 0);
    assert!(again.elapsed() < Duration::from_secs(3), "{:?}", again.elapsed());
    drop(reader);
}
