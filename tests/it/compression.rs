//! Compression of the responses of apps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use reqwest::{Client, Method, Response};

use crate::harness::{Appliance, eventually};

const KEPT: &str = "Content-Type: text/javascript\r\nCache-Control: public, max-age=31536000, immutable\r\nETag: \"abc\"\r\nAccept-Ranges: bytes\r\n";
const SHORT: &str =
    "Content-Type: text/css\r\nCache-Control: public, max-age=60\r\nETag: \"abc\"\r\n";
const SOON: Duration = Duration::from_secs(10);

fn script() -> Vec<u8> {
    (0..4000).flat_map(|n| format!("function f{n}(){{return {}}}\n", n * 7).into_bytes()).collect()
}

/// An app. The path of a request says how it responds; it never compresses.
fn app() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next()?.ok()?;
    lines.find(|line| line.as_ref().is_ok_and(String::is_empty))?.ok()?;
    let script = script();
    let whole = |headers: &str| {
        let length = script.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        [head.into_bytes(), script.clone()].concat()
    };
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let mut send = |bytes: &[u8]| stream.write_all(bytes).ok();
    match request.split(['/', ' ']).nth(3)? {
        "kept" => send(&whole(KEPT)),
        "short" => send(&whole(SHORT)),
        "cookie" => send(&whole(&format!("{SHORT}Set-Cookie: a=1\r\n"))),
        "private" => send(&whole("Content-Type: text/html\r\nCache-Control: private\r\n")),
        "encoded" => send(&whole(&format!("{KEPT}Content-Encoding: x-own\r\n"))),
        // The connection ends before the body.
        "cut" => send(&whole(KEPT)[..9000]),
        "cut-short" => send(&whole(SHORT)[..9000]),
        "pieces" => {
            send(
                format!(
                    "HTTP/1.1 200 OK\r\n{SHORT}Transfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n"
                )
                .as_bytes(),
            )?;
            send(&chunk(b"first,"))?;
            std::thread::sleep(Duration::from_secs(2));
            send(&chunk(b"second"))?;
            send(b"0\r\nX-End: yes\r\n\r\n")
        }
        other => panic!("{other}"),
    }
}

fn appliance(more: &str) -> Appliance {
    let port = app();
    Appliance::start(&format!(
        "{more}[apps.app]\nupstream = \"http://127.0.0.1:{port}\"\npath = \"/app\"\naccess = \"public\"\n"
    ))
}

async fn ask(appliance: &Appliance, path: &str, headers: &[(&str, &str)]) -> Response {
    let url = format!("http://localhost:{}/app/{path}", appliance.port);
    // Fails for every client but the first one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().timeout(SOON).build().unwrap();
    eventually("an answer", async || {
        let mut request = client.request(Method::GET, &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.ok().filter(|answer| answer.status() == 200)
    })
    .await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn decompressed(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text),
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut text),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut text),
        other => panic!("coding {other:?}"),
    };
    read.unwrap();
    text
}

#[tokio::test]
async fn public_texts_are_compressed_for_clients_that_accept_it() {
    let appliance = appliance("");
    for path in ["kept", "short"] {
        for coding in ["gzip", "br", "zstd"] {
            // The second time, a kept text is known.
            for _ in 0..2 {
                let response = ask(&appliance, path, &[("accept-encoding", coding)]).await;
                assert_eq!(header(&response, "content-encoding"), coding);
                assert_eq!(header(&response, "vary"), "accept-encoding");
                assert_eq!(header(&response, "etag"), "W/\"abc\"");
                assert_eq!(header(&response, "accept-ranges"), "");
                let bytes = response.bytes().await.unwrap();
                assert!(bytes.len() < script().len() / 3, "{path} {coding}: {}", bytes.len());
                assert_eq!(decompressed(coding, &bytes), script(), "{path} {coding}");
            }
        }
        let response = ask(&appliance, path, &[]).await;
        assert_eq!(header(&response, "content-encoding"), "");
        assert_eq!(header(&response, "vary"), "accept-encoding", "caches must know it as well");
        assert_eq!(header(&response, "etag"), "\"abc\"");
        assert_eq!(response.bytes().await.unwrap(), script());
    }
    let both = ask(&appliance, "kept", &[("accept-encoding", "gzip, br;q=0, zstd;q=0.9")]).await;
    assert_eq!(header(&both, "content-encoding"), "gzip");
}

#[tokio::test]
async fn nothing_else_is_compressed() {
    let on = appliance("");
    let all = ("accept-encoding", "gzip, br, zstd");
    for (path, more) in [
        ("cookie", all),
        ("private", all),
        ("encoded", all),
        ("kept", ("range", "bytes=0-")),
        ("kept", ("accept-encoding", "identity")),
        ("kept", ("accept-encoding", "deflate")),
    ] {
        let response = ask(&on, path, &[more, ("accept-encoding", "gzip;q=0")]).await;
        let coding = if path == "encoded" { "x-own" } else { "" };
        assert_eq!(header(&response, "content-encoding"), coding, "{path} {more:?}");
        assert_eq!(response.bytes().await.unwrap(), script(), "{path} {more:?}");
    }
    let off = appliance("compression = false\n");
    let response = ask(&off, "kept", &[all]).await;
    assert_eq!(header(&response, "content-encoding"), "");
    assert_eq!(header(&response, "vary"), "");
}

#[tokio::test]
async fn a_text_that_breaks_off_is_not_complete_when_compressed() {
    let appliance = appliance("");
    for path in ["cut", "cut-short"] {
        for coding in ["gzip", "br", "zstd"] {
            let response = ask(&appliance, path, &[("accept-encoding", coding)]).await;
            assert_eq!(header(&response, "content-encoding"), coding);
            assert!(response.bytes().await.is_err(), "{path} {coding}");
        }
    }
    let response = ask(&appliance, "kept", &[("accept-encoding", "gzip")]).await;
    assert_eq!(decompressed("gzip", &response.bytes().await.unwrap()), script());
}

#[tokio::test]
async fn the_client_can_read_what_the_app_has_sent_before_a_pause() {
    let appliance = appliance("");
    ask(&appliance, "kept", &[]).await;
    for coding in ["gzip", "br", "zstd"] {
        let mut stream = TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let host = format!("localhost:{}", appliance.port);
        write!(
            stream,
            "GET /app/pieces HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: {coding}\r\nTE: trailers\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.contains(&format!("content-encoding: {coding}\r\n")), "{head}");
        let first = chunk(&mut reader);
        let mut begin = [0; 6];
        let read = match coding {
            "gzip" => flate2::read::GzDecoder::new(&first[..]).read_exact(&mut begin),
            "br" => brotli::Decompressor::new(&first[..], 64).read_exact(&mut begin),
            _ => zstd::stream::read::Decoder::new(&first[..]).unwrap().read_exact(&mut begin),
        };
        read.unwrap();
        assert_eq!(&begin, b"first,", "{coding}");
        let mut all = first;
        loop {
            let next = chunk(&mut reader);
            if next.is_empty() {
                break;
            }
            all.extend(next);
        }
        assert_eq!(decompressed(coding, &all), b"first,second", "{coding}");
        let mut trailers = String::new();
        reader.read_to_string(&mut trailers).unwrap();
        assert_eq!(trailers.to_ascii_lowercase(), "x-end: yes\r\n\r\n", "{coding}");
    }
}

/// The next chunk; empty after the last one.
fn chunk(reader: &mut impl BufRead) -> Vec<u8> {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let length = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("{line:?}"));
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).unwrap();
    if length > 0 {
        reader.read_exact(&mut [0; 2]).unwrap();
    }
    bytes
}
