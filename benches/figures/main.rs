//! Measures the appliance and its peers in the same run: `cargo bench`.
//!
//! CPU per request is the CPU time of the proxy's processes, as the kernel counts it, divided by the
//! number of responses. The rounds of all contestants are interleaved, and each ratio is from one round,
//! so noise of the machine shifts both sides. Absolute times of two runs are not comparable.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    unreachable_pub,
    dead_code,
    reason = "a benchmark starts processes, prints, and ends at the first error"
)]

#[path = "../../tests/it/harness.rs"]
mod harness;
#[path = "../../tests/it/issuer.rs"]
mod issuer;
mod life;
mod load;
mod peers;
mod procfs;
mod sockets;

use harness::{Appliance, Browser, free_port};
use issuer::{Call, Fault, Issuer};

const ROUNDS: usize = 5;
const SECONDS: u64 = 3;
const SOCKETS: usize = 2000;

/// A proxy in front of the app, and the request that is sent through the proxy.
struct Contestant {
    name: &'static str,
    port: u16,
    path: &'static str,
    headers: Vec<(String, String)>,
    pids: Vec<u32>,
}

#[tokio::main]
async fn main() {
    raise_descriptors();
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let mut issuer = Issuer::new().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "oidc-client-secret").unwrap();
    issuer.order(|orders| orders.client_secret = "oidc-client-secret".into());

    let app_port = free_port();
    let _app = peers::app(app_port);
    let echo = sockets::echo().await;
    println!("# Figures\n");
    hops(&issuer, secret.path(), app_port, echo).await;
    first_login(&mut issuer, secret.path()).await;
    life::kill_and_stop().await;
}

fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536), hard).unwrap();
}

fn configuration(issuer: &str, secret: &std::path::Path, app: u16, echo: u16) -> String {
    format!(
        "[log]\naccess = false\n[oidc]\nissuer = \"{issuer}\"\nclient_id = \"appliance\"\n\
         client_secret = {{ file = \"{}\" }}\n\
         [apps.open]\npath = \"/open\"\nupstream = \"http://127.0.0.1:{app}\"\naccess = \"public\"\n\
         [apps.closed]\npath = \"/closed\"\nupstream = \"http://127.0.0.1:{app}\"\n\
         [apps.echo]\npath = \"/echo\"\nupstream = \"http://127.0.0.1:{echo}\"\n",
        secret.display()
    )
}

async fn hops(issuer: &Issuer, secret: &std::path::Path, app: u16, echo: u16) {
    let appliance = Appliance::start(&configuration(&issuer.url, secret, app, echo));
    appliance.wait_ready().await;
    let mut browser = Browser::new(&appliance.url);
    assert_eq!(browser.go("/closed/").await.status, 200);
    let ours = vec![u32::try_from(appliance.pid()).unwrap()];
    let cookie = ("Cookie".to_owned(), browser.cookie_line());
    let host = ("Host".to_owned(), appliance.url.trim_start_matches("http://").to_owned());

    let (plain_port, guarded_port, o2p_port) = (free_port(), free_port(), free_port());
    let plain = peers::plain_hop(plain_port, app);
    let public = format!("http://127.0.0.1:{guarded_port}");
    let binary = peers::build_oauth2_proxy();
    let oauth2_proxy = peers::oauth2_proxy(&binary, o2p_port, &issuer.url, &public);
    let guarded = peers::guarded_hop(guarded_port, app, o2p_port);
    let mut peer_browser = Browser::new(&public);
    assert_eq!(peer_browser.go("/").await.status, 200, "a login through oauth2-proxy");
    let peer_cookie = ("Cookie".to_owned(), peer_browser.cookie_line());

    let contestants = [
        Contestant {
            name: "nginx, plain keep-alive hop",
            port: plain_port,
            path: "/",
            headers: vec![],
            pids: procfs::family(plain.pid()),
        },
        Contestant {
            name: "nginx auth_request + oauth2-proxy",
            port: guarded_port,
            path: "/",
            headers: vec![peer_cookie.clone()],
            pids: [procfs::family(guarded.pid()), procfs::family(oauth2_proxy.pid())].concat(),
        },
        Contestant {
            name: "appliance, public",
            port: appliance.port,
            path: "/open/",
            headers: vec![host.clone()],
            pids: ours.clone(),
        },
        Contestant {
            name: "appliance, signed in",
            port: appliance.port,
            path: "/closed/",
            headers: vec![host.clone(), cookie.clone()],
            pids: ours.clone(),
        },
    ];
    let logged = Logged::start(issuer, secret, app, echo).await;
    cpu(&contestants.iter().chain(&logged.contestants).collect::<Vec<_>>());
    drop(logged);
    latency(&contestants).await;
    memory(&contestants, &ours, &cookie.1, &host.1, plain_port_for(echo)).await;
}

/// nginx and the appliance with their access logs on.
struct Logged {
    contestants: [Contestant; 2],
    _nginx: peers::Peer,
    _appliance: Appliance,
}

impl Logged {
    async fn start(issuer: &Issuer, secret: &std::path::Path, app: u16, echo: u16) -> Self {
        let quiet = configuration(&issuer.url, secret, app, echo);
        let appliance = Appliance::start(&quiet.replace("access = false", "access = true"));
        appliance.wait_ready().await;
        let mut browser = Browser::new(&appliance.url);
        assert_eq!(browser.go("/closed/").await.status, 200);
        let port = free_port();
        let nginx = peers::logged_hop(port, app);
        let theirs = Contestant {
            name: "nginx, plain keep-alive hop, access log on",
            port,
            path: "/",
            headers: vec![],
            pids: procfs::family(nginx.pid()),
        };
        let ours = Contestant {
            name: "appliance, signed in, access log on",
            port: appliance.port,
            path: "/closed/",
            headers: vec![
                ("Host".to_owned(), appliance.url.trim_start_matches("http://").to_owned()),
                ("Cookie".to_owned(), browser.cookie_line()),
            ],
            pids: vec![u32::try_from(appliance.pid()).unwrap()],
        };
        Self { contestants: [theirs, ours], _nginx: nginx, _appliance: appliance }
    }
}

/// CPU per request, and its ratio to nginx in the same round.
fn cpu(contestants: &[&Contestant]) {
    let mut us = vec![Vec::new(); contestants.len()];
    for round in 0..=ROUNDS {
        for (&contestant, us) in contestants.iter().zip(&mut us) {
            let before = procfs::cpu_us(&contestant.pids);
            let url = format!("http://127.0.0.1:{}{}", contestant.port, contestant.path);
            let run = load::wrk(&url, &contestant.headers, SECONDS);
            assert_eq!(run.errors, 0, "{}", contestant.name);
            // The first round fills pools and caches and does not count.
            if round > 0 {
                us.push((procfs::cpu_us(&contestant.pids) - before) / run.requests as f64);
            }
        }
    }
    println!(
        "## CPU per request\n\n512 bytes, 64 connections, {ROUNDS} rounds of {SECONDS} s, median.\n"
    );
    println!("| | µs | × nginx's plain hop |\n|---|---|---|");
    for (contestant, times) in contestants.iter().zip(&us) {
        let ratios: Vec<f64> = times.iter().zip(&us[0]).map(|(ours, nginx)| ours / nginx).collect();
        println!("| {} | {:.1} | {:.2} |", contestant.name, median(times), median(&ratios));
    }
}

async fn latency(contestants: &[Contestant]) {
    println!("\n## Latency at 400 requests/s\n\n| | p50 ms | p99 ms |\n|---|---|---|");
    for contestant in contestants {
        let mut request = format!("GET {} HTTP/1.1\r\n", contestant.path);
        if !contestant.headers.iter().any(|(name, _)| name == "Host") {
            request += "Host: localhost\r\n";
        }
        for (name, value) in &contestant.headers {
            request += &[name, ": ", value, "\r\n"].concat();
        }
        let (p50, p99) = load::paced(contestant.port, request + "\r\n", 400, 5).await;
        println!("| {} | {p50:.2} | {p99:.2} |", contestant.name);
    }
}

/// nginx as a plain hop in front of the WebSocket app.
fn plain_port_for(echo: u16) -> (peers::Peer, u16) {
    let port = free_port();
    (peers::plain_hop(port, echo), port)
}

async fn memory(
    contestants: &[Contestant],
    ours: &[u32],
    cookie: &str,
    host: &str,
    (nginx, nginx_port): (peers::Peer, u16),
) {
    let port = contestants.last().map_or(0, |contestant| contestant.port);
    println!("\n## Memory\n\n| | kB |\n|---|---|");
    println!(
        "| appliance, proportional set size after the load above | {} |",
        procfs::pss_kb(ours)
    );
    let nginx_pids = procfs::family(nginx.pid());
    for (name, pids, port, host, path, cookie) in [
        ("nginx, one idle WebSocket", &nginx_pids[..], nginx_port, "localhost", "/echo/", ""),
        ("appliance, one idle WebSocket", ours, port, host, "/echo/", cookie),
    ] {
        let before = procfs::pss_kb(pids);
        let mut open = Vec::with_capacity(SOCKETS);
        for _ in 0..SOCKETS {
            open.push(sockets::open(port, host, path, cookie).await);
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let each = (procfs::pss_kb(pids).saturating_sub(before)) as f64 / SOCKETS as f64;
        println!("| {name} (of {SOCKETS}) | {each:.1} |");
    }
}

/// The time from a valid discovery document to the first successful start of a login.
async fn first_login(issuer: &mut Issuer, secret: &std::path::Path) {
    let mut took = Vec::new();
    for _ in 0..5 {
        issuer.fault(Call::Discovery, Fault::Status(503), usize::MAX);
        let appliance = Appliance::start(&configuration(&issuer.url, secret, 9, 9));
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let mut browser = Browser::new(&appliance.url);
        issuer.heal();
        let right = std::time::Instant::now();
        while !browser.open("/oauth2/start?rd=/").await.status.is_redirection() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        assert!(browser.go("/oauth2/userinfo").await.status.as_u16() > 0);
        took.push(right.elapsed().as_secs_f64() * 1000.0);
    }
    println!("\n## Times\n\n| | ms, median of 5 |\n|---|---|");
    println!(
        "| from the issuer's first good answer to the first possible login | {:.0} |",
        median(&took)
    );
}

/// The median.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
