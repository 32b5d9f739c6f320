//! A reload that moves `listen` to an address that overlaps with the former one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::processes::not_run;
use crate::harness::{Appliance, eventually};
use crate::replicas::{edit, run};

/// Asks over a new connection.
fn ask(ip: &str, port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((ip, port))?;
    stream.set_read_timeout(Some(crate::harness::PATIENCE))?;
    let head = "GET /_appliance/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Asks again and again over new connections; how often, and what went wrong.
fn keep_asking(
    ip: &'static str,
    port: u16,
    stop: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<(usize, Vec<String>)> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let (mut asked, mut wrong) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            asked += 1;
            match ask(ip, port) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => {}
                other => wrong.push(format!("{other:?}")),
            }
        }
        (asked, wrong)
    })
}

#[tokio::test]
async fn the_listener_moves_to_all_interfaces_and_back_without_a_gap() {
    let appliance = Appliance::start("");
    appliance.wait_ready().await;
    let port = appliance.port;
    let listen = |ip: &str| format!("listen = \"{ip}:{port}\"");
    for (before, after, served) in [
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
        ("127.0.0.2", "0.0.0.0", "127.0.0.2"),
    ] {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = keep_asking(served, port, &stop);
        tokio::time::sleep(Duration::from_millis(100)).await;
        edit(&appliance, &listen(before), &listen(after));
        assert_eq!(run(&appliance, &["reload"]), "update server: listen\n");
        // The other addresses of the machine follow.
        for ip in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let wanted = after == "0.0.0.0" || after == ip;
            eventually("the address to follow", async || {
                (ask(ip, port).is_ok() == wanted).then_some(())
            })
            .await;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        stop.store(true, Ordering::Relaxed);
        let (asked, wrong) = asking.join().unwrap();
        assert!(asked > 0 && wrong.is_empty(), "{before} {after}: {asked} {wrong:?}");
    }
}

#[tokio::test]
async fn addresses_of_one_file_that_overlap_are_refused() {
    let appliance = Appliance::start("");
    appliance.wait_ready().await;
    let port = appliance.port;
    let old = format!("listen = \"127.0.0.1:{port}\"");
    edit(&appliance, &old, &format!("listen = [\"127.0.0.1:{port}\", \"0.0.0.0:{port}\"]"));
    let answer = appliance.cli(&["reload"]);
    assert_eq!(answer.status.code(), Some(78), "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.stderr).contains("Address already in use"));
    assert!(ask("127.0.0.1", port).is_ok());
}

/// Browsers open `localhost` by IPv6 first: nobody else may wait for them there.
#[tokio::test]
async fn no_other_program_gets_the_port_by_ipv6() {
    let is_free = |port| std::net::TcpListener::bind(("::1", port)).is_ok();
    if !is_free(0) {
        return not_run(
            "reload_listen::no_other_program_gets_the_port_by_ipv6",
            "there is no IPv6",
        );
    }
    let appliance = Appliance::start("");
    appliance.wait_ready().await;
    let port = appliance.port;
    assert!(!is_free(port));
    let text = |listen: &str| format!("listen = {listen}");
    let mut before = text(&format!("\"127.0.0.1:{port}\""));
    let all = format!("\"0.0.0.0:{port}\"");
    let both = format!("[\"0.0.0.0:{port}\", \"[::1]:{port}\"]");
    for listen in [&all, &both] {
        edit(&appliance, &before, &text(listen));
        assert_eq!(run(&appliance, &["reload"]), "update server: listen\n");
        before = text(listen);
        assert!(!is_free(port));
    }
    eventually("the appliance itself to listen there", async || {
        ask("::1", port).is_ok().then_some(())
    })
    .await;
    let taken = std::net::TcpListener::bind(("::1", 0)).unwrap();
    let second = taken.local_addr().unwrap().port();
    edit(&appliance, &before, &text(&format!("\"127.0.0.1:{second}\"")));
    assert_eq!(run(&appliance, &["reload"]), "update server: listen\n");
    appliance.logs("another program listens on the port of `listen` by IPv6").await;
}
