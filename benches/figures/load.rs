//! Load: `wrk` for throughput, and a client with a fixed rate for latency, which `wrk` does not have.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The result of a run of `wrk`: the number of responses, and of errors and responses other than 2xx.
pub struct Run {
    pub requests: u64,
    pub errors: u64,
}

/// Runs `wrk` with 64 connections for `seconds`.
pub fn wrk(url: &str, headers: &[(String, String)], seconds: u64) -> Run {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    for (name, value) in headers {
        writeln!(script, "wrk.headers[{name:?}] = {value:?}").unwrap();
    }
    let count = "done = function(s, _, _) io.write(string.format('RESULT %d %d\\n', s.requests, s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout)) end";
    writeln!(script, "{count}").unwrap();
    let output = Command::new("wrk")
        .args(["-t1", "-c64", &format!("-d{seconds}s"), "-s"])
        .arg(script.path())
        .arg(url)
        .output()
        .expect("wrk is needed: apt-get install wrk");
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT ")).expect("wrk's result");
    let mut numbers = result.split(' ').map(|number| number.parse().unwrap());
    Run { requests: numbers.next().unwrap(), errors: numbers.next().unwrap() }
}

/// The 50th and 99th percentile of the latency in milliseconds, at a fixed rate over 16 connections.
/// The time of a request that waits for its connection starts when the request was due, so there is no
/// coordinated omission.
pub async fn paced(port: u16, request: String, per_second: u32, seconds: u32) -> (f64, f64) {
    const CONNECTIONS: u32 = 16;
    let begin = Instant::now() + Duration::from_millis(50);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|lane| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut taken = Vec::new();
                for turn in (lane..per_second * seconds).step_by(CONNECTIONS as usize) {
                    let due =
                        begin + Duration::from_secs_f64(f64::from(turn) / f64::from(per_second));
                    tokio::time::sleep_until(due.into()).await;
                    stream.write_all(request.as_bytes()).await.unwrap();
                    read_answer(&mut stream).await;
                    taken.push(due.elapsed());
                }
                taken
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (all.len() as f64 * share) as usize;
        all[index.min(all.len() - 1)].as_secs_f64() * 1000.0
    };
    (at(0.5), at(0.99))
}

async fn read_answer(stream: &mut TcpStream) {
    let mut got = Vec::with_capacity(1024);
    loop {
        assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "closed in the middle");
        let text = String::from_utf8_lossy(&got);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            assert!(head.contains(" 200 "), "{head}");
            return;
        }
    }
}
