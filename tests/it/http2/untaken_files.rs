//! What files cost that a client asks for and does not take.

use http::Method;
use tokio::net::TcpStream;

use super::shut;
use crate::harness::{Appliance, eventually};

const CONNECTIONS: usize = 5;
const STREAMS: usize = 100;
/// For each response, with its task and its place in h2. A long piece of a file is larger than that.
const MOST: usize = 80 * 1024;

#[tokio::test]
async fn a_file_that_a_client_does_not_take_costs_a_small_piece_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("a.bin")).unwrap().set_len(300_000).unwrap();
    let site = format!("[apps.site]\nstatic = \"{}\"\n", folder.path().display());
    let config = format!("h2c = true\n{site}path = \"/site\"\naccess = \"public\"\n");
    let appliance = Appliance::start(&config);
    eventually("the appliance to listen", async || {
        TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()
    })
    .await;
    let before = memory(&appliance);
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = shut(&appliance).await;
        for _ in 0..STREAMS {
            let client = client.clone();
            let get = client.request(Method::GET, "/site/a.bin", &[]);
            streams.push(tokio::spawn(async move { client.head(get).await }));
        }
    }
    let mut served = Vec::new();
    for stream in streams {
        served.push(stream.await.unwrap().unwrap());
    }
    assert!(served.iter().all(|one| one.status().is_success()));
    let grown = memory(&appliance).saturating_sub(before);
    assert!(grown < CONNECTIONS * STREAMS * MOST, "{grown} bytes");
}

/// Resident memory, bytes.
fn memory(appliance: &Appliance) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", appliance.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
