//! Requests with too large headers: the page names the header, and a button deletes the cookies.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::fixture::Fixture;
use crate::harness::{PATIENCE, eventually};

const PAGE: &str = "Accept: text/html\r\n";

/// Sends a request with `size` kB of cookies and reads the response to its end.
fn ask(fixture: &Fixture, line: &str, more: &str, size: usize) -> String {
    let port = fixture.appliance.port;
    let cookies: Vec<String> =
        (0..size.div_ceil(4)).map(|at| format!("c{at}={}", "x".repeat(3990))).collect();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{more}Cookie: {}\r\n\r\n",
        cookies.join("; ")
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sizes that the appliance refuses, that do not fit into the buffer, and that arrive in many pieces.
const SIZES: [usize; 4] = [36, 80, 140, 480];

#[tokio::test]
async fn the_page_names_the_cookies_and_a_way_out() {
    let fixture = Fixture::new().await;
    for size in SIZES {
        for path in ["/app/", "/", "/oauth2/callback?code=x", "/_appliance/"] {
            let answer = ask(&fixture, &format!("GET {path}"), PAGE, size);
            assert!(answer.starts_with("HTTP/1.1 431 "), "{size} {path} {answer}");
            for part in [
                "text/html",
                "x-request-id: ",
                "no-store",
                "header Cookie",
                "Delete the cookies",
                "settings of your browser",
            ] {
                assert!(answer.contains(part), "{part} {size} {path} {answer}");
            }
            assert!(
                answer.contains(r#"method="post" action="?appliance-delete-cookies""#),
                "{answer}"
            );
        }
        let answer = ask(&fixture, "GET /app/", "", size);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 ") && head.contains("application/json"), "{head}");
        assert!(serde_json::from_str::<String>(body).unwrap().contains("Cookie"), "{body}");
        let answer = ask(&fixture, "HEAD /app/", PAGE, size);
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    eventually("the log names the header", async || {
        let log = fixture.appliance.log();
        let named =
            log.lines().filter(|line| line.contains("the headers are too large: Cookie has"));
        (named.count() >= SIZES.len() * 6).then_some(())
    })
    .await;
    assert!(ask(&fixture, "GET /open/", PAGE, 8).starts_with("HTTP/1.1 200 "));
    // The page of a moderately large jar has its style.
    let style = ask(&fixture, "GET /_appliance/style.css", "", 36);
    assert!(style.starts_with("HTTP/1.1 200 ") && style.contains("text/css"), "{style}");
}

#[tokio::test]
async fn the_button_deletes_the_cookies_for_a_person_on_a_page_of_the_same_origin_only() {
    let fixture = Fixture::new().await;
    let port = fixture.appliance.port;
    let own = format!("Origin: http://localhost:{port}\r\nContent-Length: 0\r\n");
    let navigates =
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    // 20: the request of the button may be somewhat smaller than the refused one.
    for size in [20].into_iter().chain(SIZES) {
        for more in ["", navigates] {
            for (path, back) in
                [("/_appliance/cookies", "/"), ("/app/x?appliance-delete-cookies", "/app/x")]
            {
                let answer = ask(&fixture, &format!("POST {path}"), &format!("{own}{more}"), size);
                assert!(answer.starts_with("HTTP/1.1 303 "), "{size} {answer}");
                for part in [
                    "clear-site-data: \"cookies\"",
                    format!("location: {back}\r\n").as_str(),
                    "set-cookie: c0=; Max-Age=0; Path=/\r\n",
                ] {
                    assert!(answer.contains(part), "{part} {answer}");
                }
            }
        }
    }
    let script = format!("{own}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n");
    let https = format!("Origin: https://localhost:{port}\r\nContent-Length: 0\r\n");
    for size in [4, 20].into_iter().chain(SIZES) {
        let refused = if size < 32 { "HTTP/1.1 404 " } else { "HTTP/1.1 431 " };
        for (line, more) in [
            ("POST /_appliance/cookies", "Content-Length: 0\r\n"),
            ("POST /_appliance/cookies", "Origin: http://evil.test\r\nContent-Length: 0\r\n"),
            ("POST /_appliance/cookies", "Origin: null\r\nContent-Length: 0\r\n"),
            ("POST /_appliance/cookies", https.as_str()),
            ("POST /_appliance/cookies", script.as_str()),
            ("GET /_appliance/cookies", own.as_str()),
        ] {
            let answer = ask(&fixture, line, more, size);
            assert!(answer.starts_with(refused), "{size} {line} {more} {answer}");
            assert!(!answer.contains("clear-site-data"), "{answer}");
        }
    }
    // No cookies are in the way.
    let answer = ask(&fixture, "POST /_appliance/cookies", &format!("{own}{navigates}"), 4);
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(!answer.contains("clear-site-data") && !answer.contains("set-cookie"), "{answer}");
}

#[tokio::test]
async fn other_headers_are_named_too() {
    let fixture = Fixture::new().await;
    for (more, named) in [
        (format!("X-Big: {}\r\n", "x".repeat(40_000)), "x-big has "),
        (format!("X-Big: {}\r\n", "x".repeat(140_000)), "x-big has "),
        ("X: y\r\n".repeat(130), "too many"),
    ] {
        let answer = ask(&fixture, "GET /app/", &format!("{PAGE}{more}"), 1);
        assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains(named), "{answer}");
        assert!(!answer.contains("/_appliance/cookies"), "{answer}");
    }
}
