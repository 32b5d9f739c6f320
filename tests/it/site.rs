//! `static`: a folder with files that the appliance serves itself.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::{Client, Method, Response};

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, NAVIGATION, PATIENCE, eventually};

/// A site whose files were made a while ago.
fn site() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| place.path().join("site").join(name);
    fs::create_dir_all(at("sub/.git")).unwrap();
    for (name, text) in [
        ("index.html", "<h1>home</h1>"),
        ("sub/index.html", "<h1>sub</h1>"),
        ("sub/.git/config", "secret"),
        (".env", "secret"),
        ("ten.txt", "0123456789"),
        ("app.js", "the script"),
        ("app.js.br", "by brotli"),
        ("app.js.gz", "by gzip"),
        ("ü ä.txt", "umlauts"),
        ("100%.txt", "percent"),
        ("%2e%2e.txt", "escaped"),
        ("empty.txt", ""),
    ] {
        fs::write(at(name), text).unwrap();
        age(&at(name));
    }
    fs::write(place.path().join("outside.txt"), "secret").unwrap();
    place
}

/// Makes a file look old, so that its tag is strong; the time of the inode cannot be set.
fn age(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
}

/// Waits until no file counts as changed a moment ago.
async fn until_tags_are_strong(appliance: &Appliance, path: &str) -> String {
    eventually("a strong tag", async || {
        let answer = ask(appliance, path, &[]).await;
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (!tag.starts_with("W/")).then_some(tag)
    })
    .await
}

fn appliance(place: &tempfile::TempDir, more: &str) -> Appliance {
    let folder = place.path().join("site");
    Appliance::start(&format!(
        "[apps.docs]\nstatic = {{ folder = \"{}\"{more} }}\npath = \"/docs\"\naccess = \"public\"\n",
        folder.display()
    ))
}

async fn live(appliance: &Appliance) {
    let browser = Browser::new(&appliance.url);
    eventually("the appliance to listen", async || {
        browser.send(Method::GET, "/_appliance/live", &[]).await.ok()
    })
    .await;
}

async fn ask(appliance: &Appliance, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
        .get(format!("{}{path}", appliance.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Sends raw bytes and returns the whole response. The connection is closed after it.
fn raw(appliance: &Appliance, line: &[u8], headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = format!("Host: localhost:{}\r\nConnection: close\r\n{headers}\r\n", appliance.port);
    stream.write_all(&[line, b" HTTP/1.1\r\n", host.as_bytes()].concat()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_site_is_under_the_login_and_the_rules_of_its_app() {
    let place = site();
    let apps = format!(
        r#"
[apps.docs]
static = "{}/site"
path = "/docs"
rules = [{{ path = "/sub/**", access = {{ groups = ["group9"] }} }}]
"#,
        place.path().display()
    );
    let fixture = Fixture::beside("", &apps).await;
    let stranger = fixture.browser();
    let get = async |path: &str, headers| stranger.send(Method::GET, path, headers).await.unwrap();
    assert_eq!(get("/docs/", NAVIGATION).await.status, 302);
    assert_eq!(get("/docs/app.js", FETCH).await.status, 401);
    assert_eq!(get("/docs/none", FETCH).await.status, 401);

    let mut alice = fixture.signed_in("alice").await;
    let answer = alice.open("/docs?a=1&b").await;
    assert_eq!((answer.status.as_u16(), answer.location()), (308, "/docs/?a=1&b"));
    let answer = alice.go("/docs?a=1").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "<h1>home</h1>"));
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "private, no-cache, no-store");
    let answer = alice.fetch("/docs/ten.txt", &[]).await;
    assert_eq!(answer.body, "0123456789");
    assert_eq!(answer.headers["cache-control"], "private, no-cache");
    assert_eq!(alice.fetch("/docs/sub/", &[]).await.status, 403);
    assert_eq!(alice.fetch("/docs/%73ub/", &[]).await.status, 403);
    let origin = ("origin", fixture.appliance.url.as_str());
    let answer = alice.send(Method::POST, "/docs/ten.txt", &[origin]).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()),
        (405, "GET, HEAD")
    );

    let state = fixture.appliance.wait_for_state("docs", "ready").await;
    assert_eq!((&state["pid"], &state["path"]), (&serde_json::Value::Null, &"/docs".into()));
    let log = eventually("the access lines", async || {
        let log = fixture.appliance.log();
        log.contains("path=/docs/ten.txt status=405").then_some(log)
    })
    .await;
    let line = log.lines().find(|line| line.contains("path=/docs/ten.txt status=200")).unwrap();
    for field in ["app=docs", "user=alice", "bytes_out=10", "decision=allow"] {
        assert!(line.contains(field), "{line}");
    }
}

#[tokio::test]
async fn a_rule_holds_for_every_name_of_a_file() {
    let place = site();
    fs::write(place.path().join("site/404.html"), "<h1>own 404</h1>").unwrap();
    let folder = place.path().join("site");
    let staff = "access = { groups = [\"group1\"] }";
    let app = |name: &str, more: &str, path: &str| {
        format!(
            "[apps.{name}]\nstatic = {{ folder = \"{}\"{more} }}\npath = \"/{name}\"\naccess = \"public\"\nrules = [{{ path = \"{path}\", {staff} }}]\n",
            folder.display()
        )
    };
    let apps = [
        app("sub", "", "/sub/index.html"),
        app("script", "", "/app.js"),
        app("form", "", "/app.js.br"),
        app("web", ", spa = true", "/index.html"),
        app("gone", "", "/404.html"),
    ];
    let fixture = Fixture::beside("", &apps.concat()).await;
    let stranger = fixture.browser();
    let alice = fixture.signed_in("alice").await;
    let page = ("accept", "text/html");
    let brotli = ("accept-encoding", "br");
    for (path, header, text) in [
        ("/sub/sub/", page, "<h1>sub</h1>"),
        ("/script/app.js.gz", page, "by gzip"),
        ("/script/app.js.br", page, "by brotli"),
        ("/form/app.js", brotli, "by brotli"),
        ("/web/", page, "<h1>home</h1>"),
        ("/web/users/7", page, "<h1>home</h1>"),
    ] {
        let answer = stranger.send(Method::GET, path, &[header]).await.unwrap();
        assert!([302, 401].contains(&answer.status.as_u16()), "{path}: {}", answer.body);
        let answer = alice.send(Method::GET, path, &[header]).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, text), "{path}");
        let caching = answer.headers["cache-control"].to_str().unwrap();
        assert!(caching.starts_with("private"), "{path}: {caching}");
    }
    let missing = stranger.send(Method::GET, "/gone/none", &[page]).await.unwrap();
    assert_eq!(missing.status, 404);
    assert!(!missing.body.contains("own 404"), "{}", missing.body);
    let missing = alice.send(Method::GET, "/gone/none", &[page]).await.unwrap();
    assert_eq!((missing.status.as_u16(), missing.body.as_str()), (404, "<h1>own 404</h1>"));
    assert!(missing.headers["cache-control"].to_str().unwrap().starts_with("private"));
    // Everything else of these sites stays open.
    for (path, text) in [
        ("/sub/", "<h1>home</h1>"),
        ("/script/ten.txt", "0123456789"),
        ("/web/app.js", "the script"),
        ("/gone/sub/", "<h1>sub</h1>"),
        ("/script/none", "<h1>own 404</h1>"),
    ] {
        let answer = stranger.send(Method::GET, path, &[page]).await.unwrap();
        assert_eq!(answer.body, text, "{path}");
    }
}

#[tokio::test]
async fn root_follows_links_of_others_to_their_own_files_only() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = site();
    let at = |name: &str| place.path().join("site").join(name);
    for folder in ["up", "private", "..2026"] {
        fs::create_dir(at(folder)).unwrap();
    }
    for name in ["up/own.txt", "private/x.txt", "..2026/map.txt"] {
        fs::write(at(name), name).unwrap();
    }
    fs::set_permissions(at("private/x.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    for (target, name) in [
        ("../private/x.txt", "up/a.txt"),
        ("../.env", "up/b.txt"),
        ("../private", "up/folder"),
        ("own.txt", "up/latest.txt"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    for name in ["up", "up/own.txt", "up/a.txt", "up/b.txt", "up/folder", "up/latest.txt"] {
        std::os::unix::fs::lchown(at(name), Some(41_234), None).unwrap();
    }
    // As Kubernetes mounts a ConfigMap.
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/map.txt", at("map.txt")).unwrap();
    symlink("private/x.txt", at("chosen.txt")).unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    for path in ["/docs/up/a.txt", "/docs/up/b.txt", "/docs/up/folder/x.txt"] {
        assert_eq!(ask(&appliance, path, &[]).await.status(), 404, "{path}");
    }
    for (path, text) in [
        ("/docs/up/latest.txt", "up/own.txt"),
        ("/docs/map.txt", "..2026/map.txt"),
        ("/docs/chosen.txt", "private/x.txt"),
    ] {
        assert_eq!(ask(&appliance, path, &[]).await.text().await.unwrap(), text, "{path}");
    }
    let log = appliance.log();
    let why = "up/a.txt cannot be read: a link of uid 41234 leads to what belongs to another user";
    assert!(log.contains(why), "{log}");
}

#[tokio::test]
async fn only_the_files_of_the_folder_are_served() {
    let place = site();
    let at = |name: &str| place.path().join("site").join(name);
    symlink("../outside.txt", at("out.txt")).unwrap();
    symlink("/etc/passwd", at("passwd")).unwrap();
    symlink("/proc/self/environ", at("environ")).unwrap();
    symlink("sub", at("inside")).unwrap();
    symlink("circle", at("circle")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    let many = format!("/docs/{}", "x".repeat(300));
    let deep = format!("/docs/{}", "x/".repeat(3000));
    for (path, wanted, body) in [
        ("/docs/", 200, "<h1>home</h1>"),
        ("/docs/index.html", 200, "<h1>home</h1>"),
        ("/docs/inside/", 200, "<h1>sub</h1>"),
        ("/docs/%c3%bc%20%C3%A4.txt", 200, "umlauts"),
        ("/docs/100%25.txt", 200, "percent"),
        ("/docs/%252e%252e.txt", 200, "escaped"),
        ("/docs/t%65n.txt", 200, "0123456789"),
        ("/docs/ten.txt?x=/../..", 200, "0123456789"),
        ("/docs/sub", 308, ""),
        ("/docs/sub?x=%2F", 308, ""),
        ("/docs/ten.txt/", 404, ""),
        ("/docs/none", 404, ""),
        ("/docs/TEN.txt", 404, ""),
        ("/docs/.env", 404, ""),
        ("/docs/%2eenv", 404, ""),
        ("/docs/sub/.git/config", 404, ""),
        ("/docs/sub/%2egit/config", 404, ""),
        ("/docs/out.txt", 404, ""),
        ("/docs/passwd", 404, ""),
        ("/docs/environ", 404, ""),
        ("/docs/circle", 404, ""),
        ("/docs/pipe", 404, ""),
        ("/docs/socket", 404, ""),
        (&many, 404, ""),
        (&deep, 404, ""),
        ("/docs/../outside.txt", 400, ""),
        ("/docs/%2e%2e/outside.txt", 400, ""),
        ("/docs/..%2foutside.txt", 400, ""),
        ("/docs/sub%2findex.html", 400, ""),
        ("/docs/..%5coutside.txt", 400, ""),
        ("/docs/ten.txt%00.html", 400, ""),
        ("/docs//ten.txt", 400, ""),
        ("/docs/./ten.txt", 400, ""),
        ("/docs/ten.txt;x", 400, ""),
        ("/docs/%zz", 400, ""),
        ("/docs/\u{fc}.txt", 400, ""),
        ("/docsx/ten.txt", 404, ""),
    ] {
        let answer = raw(&appliance, format!("GET {path}").as_bytes(), "");
        assert_eq!(status(&answer), wanted, "{path}: {answer}");
        let shown = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(wanted != 200 || shown == body, "{path}: {answer}");
        assert!(!answer.contains("secret") && !answer.contains("root:"), "{path}: {answer}");
    }
    let slash = raw(&appliance, b"GET /docs/sub?x=%2F", "");
    assert!(slash.contains("location: /docs/sub/?x=%2F\r\n"), "{slash}");
    for (method, wanted) in [
        ("HEAD", 200),
        ("POST", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("OPTIONS", 405),
        ("PROPFIND", 405),
        ("TRACE", 405),
    ] {
        let answer = raw(&appliance, format!("{method} /docs/ten.txt").as_bytes(), "");
        assert_eq!(status(&answer), wanted, "{method}: {answer}");
        assert!(wanted != 405 || answer.contains("allow: GET, HEAD"), "{method}: {answer}");
        let is_head = answer.contains("content-length: 10\r\n") && answer.ends_with("\r\n\r\n");
        assert!(method != "HEAD" || is_head, "{answer}");
    }
    let handshake = "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(status(&raw(&appliance, b"GET /docs/ten.txt", handshake)), 404);
    let upload = "Content-Length: 1000\r\n";
    assert_eq!(status(&raw(&appliance, b"POST /docs/ten.txt", upload)), 405);
    let log = appliance.log();
    let told = "a file cannot be served app=docs why=\"a link leads out of the folder\"";
    assert_eq!(log.matches(told).count(), 1, "{log}");
}

#[tokio::test]
async fn conditions_and_ranges_are_those_of_the_standard() {
    let place = site();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    let tag = until_tags_are_strong(&appliance, "/docs/ten.txt").await;
    let whole = ask(&appliance, "/docs/ten.txt", &[]).await;
    let modified = header(&whole, "last-modified").to_owned();
    assert_eq!(modified, "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    assert_eq!(header(&whole, "cache-control"), "public, no-cache");
    let tag = tag.as_str();
    let range = |range: &'static str| ("range", range);
    for (headers, wanted, shown, body) in [
        (vec![("if-none-match", tag)], 304, "", ""),
        (vec![("if-none-match", "\"x\"")], 200, "", "0123456789"),
        (vec![("if-modified-since", modified.as_str())], 304, "", ""),
        (vec![("if-modified-since", "Tue, 14 Nov 2023 22:13:19 GMT")], 200, "", "0123456789"),
        (vec![("if-match", "\"x\"")], 412, "", ""),
        (vec![range("bytes=2-4")], 206, "bytes 2-4/10", "234"),
        (vec![range("bytes=-2")], 206, "bytes 8-9/10", "89"),
        (vec![range("bytes=0-99")], 206, "bytes 0-9/10", "0123456789"),
        (vec![range("bytes=10-")], 416, "bytes */10", ""),
        (vec![range("bytes=0-1,4-5")], 200, "", "0123456789"),
        (vec![range("lines=1-2")], 200, "", "0123456789"),
        (vec![range("bytes=2-4"), ("if-range", tag)], 206, "bytes 2-4/10", "234"),
        (vec![range("bytes=2-4"), ("if-range", "\"x\"")], 200, "", "0123456789"),
        (vec![range("bytes=2-4"), ("if-range", modified.as_str())], 206, "bytes 2-4/10", "234"),
        (vec![range("bytes=2-4"), ("if-none-match", tag)], 304, "", ""),
    ] {
        let answer = ask(&appliance, "/docs/ten.txt", &headers).await;
        assert_eq!(answer.status(), wanted, "{headers:?}: {answer:?}");
        assert_eq!(header(&answer, "content-range"), shown, "{headers:?}");
        if wanted == 304 {
            assert_eq!(header(&answer, "etag"), tag, "{headers:?}");
            assert_eq!(header(&answer, "cache-control"), "public, no-cache");
        }
        assert_eq!(answer.text().await.unwrap(), body, "{headers:?}");
    }
    let empty = ask(&appliance, "/docs/empty.txt", &[range("bytes=0-")]).await;
    assert_eq!((empty.status().as_u16(), header(&empty, "content-range")), (416, "bytes */0"));
    assert_eq!(ask(&appliance, "/docs/empty.txt", &[]).await.text().await.unwrap(), "");
    // Another content, of the same length and with the same time.
    fs::write(place.path().join("site/ten.txt"), "9876543210").unwrap();
    age(&place.path().join("site/ten.txt"));
    let answer = ask(&appliance, "/docs/ten.txt", &[("if-none-match", tag)]).await;
    assert_eq!(answer.text().await.unwrap(), "9876543210");
}

#[tokio::test]
async fn a_compressed_neighbour_is_another_form_of_the_same_file() {
    let place = site();
    let text = "a line that repeats\n".repeat(500);
    fs::write(place.path().join("site/long.txt"), &text).unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    let mut tags = Vec::new();
    for (accepted, coding, body) in [
        ("gzip, br, zstd", "br", "by brotli"),
        ("gzip, br;q=0.5", "gzip", "by gzip"),
        ("gzip;q=0, br;q=0", "", "the script"),
        ("zstd", "", "the script"),
        ("identity, gzip;q=0.5", "", "the script"),
        ("", "", "the script"),
    ] {
        let answer = ask(&appliance, "/docs/app.js", &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&answer, "content-encoding"), coding, "{accepted}");
        assert_eq!(header(&answer, "vary"), "accept-encoding", "{accepted}");
        assert_eq!(header(&answer, "content-type"), "text/javascript; charset=utf-8");
        tags.push(header(&answer, "etag").to_owned());
        assert_eq!(answer.text().await.unwrap(), body, "{accepted}");
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "{tags:?}");
    let accepts = ("accept-encoding", "br");
    let part = ask(&appliance, "/docs/app.js", &[accepts, ("range", "bytes=3-5")]).await;
    assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, "bytes 3-5/9"));
    assert_eq!(part.text().await.unwrap(), "bro");
    // Without a neighbour, a public text is compressed as the one of an app.
    let answer = ask(&appliance, "/docs/long.txt", &[("accept-encoding", "gzip")]).await;
    assert_eq!(
        (header(&answer, "content-encoding"), header(&answer, "vary")),
        ("gzip", "accept-encoding")
    );
    let bytes = answer.bytes().await.unwrap();
    let mut read = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut read).unwrap();
    assert_eq!(read, text);
}

#[tokio::test]
async fn paths_without_a_file_get_the_page_of_the_site_or_of_the_web_app() {
    let place = site();
    let page = &[("accept", "text/html")][..];
    let plain = appliance(&place, "");
    live(&plain).await;
    let answer = ask(&plain, "/docs/none", page).await;
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("Page not found"));
    fs::write(place.path().join("site/404.html"), "<h1>own 404</h1>").unwrap();
    for path in ["/docs/none", "/docs/none.js", "/docs/.env", "/docs/none/"] {
        let answer = ask(&plain, path, page).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "etag")), (404, ""), "{path}");
        assert_eq!(answer.text().await.unwrap(), "<h1>own 404</h1>", "{path}");
    }
    let web = appliance(&place, ", spa = true");
    live(&web).await;
    for (path, headers, wanted) in [
        ("/docs/users/7", page, 200),
        ("/docs/users/7/", page, 200),
        ("/docs/users/7", &[("accept", "application/json")][..], 404),
        ("/docs/users/7.js", page, 404),
        ("/docs/ten.txt", page, 200),
    ] {
        let answer = ask(&web, path, headers).await;
        assert_eq!(answer.status(), wanted, "{path} {headers:?}");
        let is_home = answer.text().await.unwrap() == "<h1>home</h1>";
        assert_eq!(is_home, path.starts_with("/docs/users") && wanted == 200, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_becomes_shorter_ends_the_connection() {
    let place = site();
    let large = place.path().join("site/large.bin");
    let file = fs::File::create(&large).unwrap();
    file.set_len(64 << 20).unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    let mut stream = TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = appliance.port;
    write!(stream, "GET /docs/large.bin HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    assert!(head.contains("content-length: 67108864\r\n"), "{head}");
    file.set_len(1000).unwrap();
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "{}", rest.len());
    let log = eventually("the access line", async || {
        let log = appliance.log();
        log.contains("path=/docs/large.bin").then_some(log)
    })
    .await;
    assert!(log.contains("reason=\"failed to fill whole buffer\""), "{log}");
}

/// Peak of the memory of a process, bytes.
fn peak(appliance: &Appliance) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", appliance.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_huge_file_takes_little_memory() {
    let place = site();
    let file = fs::File::create(place.path().join("site/huge.bin")).unwrap();
    file.set_len(1 << 30).unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    ask(&appliance, "/docs/ten.txt", &[]).await;
    let before = peak(&appliance);
    let mut answer = ask(&appliance, "/docs/huge.bin", &[]).await;
    let mut length = 0;
    while let Some(piece) = answer.chunk().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 1 << 30);
    let grown = peak(&appliance) - before;
    assert!(grown < 32 << 20, "{grown}");
}

#[tokio::test]
async fn a_download_ends_with_the_session() {
    let place = site();
    let file = fs::File::create(place.path().join("site/huge.bin")).unwrap();
    file.set_len(1 << 30).unwrap();
    let apps =
        format!("[apps.docs]\nstatic = \"{}/site\"\npath = \"/docs\"\n", place.path().display());
    let fixture = Fixture::beside("", &apps).await;
    let alice = fixture.signed_in("alice").await;
    let port = fixture.appliance.port;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /docs/huge.bin HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {}\r\n\r\n",
        alice.cookie_line()
    )
    .unwrap();
    let mut some = vec![0; 1 << 20];
    stream.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"));
    let origin = ("origin", fixture.appliance.url.as_str());
    let answer = alice.send(Method::POST, "/oauth2/sign_out", &[origin]).await.unwrap();
    assert_eq!(answer.status, 302, "{answer:?}");
    let log = eventually("the access line", async || {
        let log = fixture.appliance.log();
        log.contains("path=/docs/huge.bin").then_some(log)
    })
    .await;
    assert!(log.contains("the session has ended"), "{log}");
}

#[tokio::test]
async fn a_reload_changes_the_folder_at_once() {
    let (place, other) = (site(), site());
    fs::write(other.path().join("site/ten.txt"), "other").unwrap();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.text().await.unwrap(), "0123456789");
    let path = appliance.path("appliance.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (old, new) = (place.path().display().to_string(), other.path().display().to_string());
    fs::write(&path, text.replace(&old, &new)).unwrap();
    let told = appliance.cli(&["reload"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "update docs: static\n", "{told:?}");
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.text().await.unwrap(), "other");
}

#[tokio::test]
async fn a_folder_that_is_replaced_by_a_link_to_secrets_is_not_served() {
    let place = site();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 200);
    let folder = place.path().join("site");
    fs::rename(&folder, place.path().join("old")).unwrap();
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 404);
    let state = appliance.path("state");
    fs::write(state.join("note.txt"), "secret").unwrap();
    for target in [state.as_path(), state.parent().unwrap(), Path::new("/")] {
        symlink(target, &folder).unwrap();
        for path in ["/docs/note.txt", "/docs/state/note.txt", "/docs/etc/passwd"] {
            let answer = ask(&appliance, path, &[]).await;
            assert_eq!(answer.status(), 404, "{path} {target:?}");
        }
        fs::remove_file(&folder).unwrap();
    }
    // Another release of the site.
    symlink("old", &folder).unwrap();
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 200);
    let log = appliance.log();
    assert!(log.contains("would serve") && log.contains("No such file"), "{log}");
}

#[tokio::test]
async fn what_the_owner_of_the_files_has_to_correct_is_said() {
    let place = site();
    let missing = appliance(&place, "");
    let folder = place.path().join("site");
    fs::remove_file(folder.join("index.html")).unwrap();
    let told = missing.cli(&["check"]);
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success(), "{text}");
    assert!(
        text.contains("warning: `docs` has no files to serve: there is no index.html in"),
        "{text}"
    );
    fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&missing.cli(&["check"]).stderr).into_owned();
    assert!(text.contains("No such file or directory"), "{text}");
    assert!(text.contains("build the site, or correct the path"), "{text}");
}

#[tokio::test]
async fn root_serves_no_folder_that_another_user_chooses() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = site();
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::rename(place.path().join("site"), home.join("site")).unwrap();
    std::os::unix::fs::chown(&home, Some(41_234), None).unwrap();
    let appliance = Appliance::start(&format!(
        "[apps.docs]\nstatic = \"{}/site\"\npath = \"/docs\"\naccess = \"public\"\n",
        home.display()
    ));
    live(&appliance).await;
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 404);
    let log = appliance.log();
    assert!(log.contains("home belongs to uid 41234, not to uid 0"), "{log}");
    std::os::unix::fs::chown(&home, Some(0), None).unwrap();
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 200);
    // The files may belong to anybody.
    std::os::unix::fs::chown(home.join("site"), Some(41_234), None).unwrap();
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 200);
}

#[tokio::test]
async fn an_unreadable_file_counts_as_missing() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let place = site();
    let at = |name: &str| place.path().join("site").join(name);
    fs::set_permissions(at("ten.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    let appliance = Appliance::start_as(
        41_234,
        &format!(
            "[apps.docs]\nstatic = \"{}/site\"\npath = \"/docs\"\naccess = \"public\"\n",
            place.path().display()
        ),
    );
    live(&appliance).await;
    for _ in 0..3 {
        assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.status(), 404);
    }
    assert_eq!(ask(&appliance, "/docs/app.js", &[]).await.status(), 200);
    let log = appliance.log();
    assert_eq!(log.matches("ten.txt cannot be read: Permission denied").count(), 1, "{log}");
}

#[tokio::test]
async fn many_requests_share_few_descriptors() {
    let place = site();
    let folder = place.path().join("site");
    let appliance = Appliance::start_with_open_files(
        256,
        &format!(
            "[apps.docs]\nstatic = \"{}\"\npath = \"/docs\"\naccess = \"public\"\n",
            folder.display()
        ),
    );
    live(&appliance).await;
    let file = fs::File::create(folder.join("large.bin")).unwrap();
    file.set_len(8 << 20).unwrap();
    let held: Vec<_> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", appliance.port)).ok()?;
            let port = appliance.port;
            write!(stream, "GET /docs/large.bin HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
                .ok()?;
            Some(stream)
        })
        .collect();
    drop(held);
    let browser = Browser::new(&appliance.url);
    eventually("a place", async || {
        let answer = browser.send(Method::GET, "/docs/ten.txt", &[]).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    let log = appliance.log();
    assert!(!log.contains("Too many open files"), "{log}");
}

#[tokio::test]
async fn the_example_of_the_documentation_is_served() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/apps.md")).unwrap();
    let (_, section) = page.split_once("## How do I serve a folder with files?").unwrap();
    let (_, example) = section.split_once("```toml\n").unwrap();
    let example = example.split_once("```").unwrap().0;
    // Nobody can sign in here.
    let example = example.replace("access = { groups = [\"analysts\"] }\n", "");
    let prepare = |folder: &Path| {
        for (name, text) in [("site", "docs"), ("report/target", "report"), ("web/dist", "web")] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("index.html"), text).unwrap();
        }
    };
    let appliance =
        Appliance::start_in(prepare, &format!("[access]\ndefault = \"public\"\n{example}"));
    live(&appliance).await;
    let page = &[("accept", "text/html")][..];
    for (path, wanted) in
        [("/docs/", "docs"), ("/report/", "report"), ("/web/", "web"), ("/web/a/b", "web")]
    {
        assert_eq!(ask(&appliance, path, page).await.text().await.unwrap(), wanted, "{path}");
    }
}

#[tokio::test]
async fn a_site_becomes_a_program_and_a_site_again() {
    let place = site();
    let appliance = appliance(&place, "");
    live(&appliance).await;
    let path = appliance.path("appliance.toml");
    let site = fs::read_to_string(&path).unwrap();
    let line = site.lines().find(|line| line.starts_with("static")).unwrap();
    let command =
        "command = [\"python3\", \"-m\", \"http.server\", \"{port}\"]\nstrip_prefix = true";
    fs::write(&path, site.replace(line, command)).unwrap();
    let told = appliance.cli(&["reload"]);
    assert!(told.status.success(), "{told:?}");
    eventually("the program", async || {
        let answer = ask(&appliance, "/docs/appliance.toml", &[]).await;
        (answer.status() == 200).then_some(())
    })
    .await;
    fs::write(&path, site).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    assert_eq!(ask(&appliance, "/docs/ten.txt", &[]).await.text().await.unwrap(), "0123456789");
    let state = appliance.wait_for_state("docs", "ready").await;
    assert_eq!(state["pid"], serde_json::Value::Null);
}
