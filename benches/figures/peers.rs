//! The peers of the appliance, nginx and oauth2-proxy, and the app behind all contestants.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is stopped when this value is dropped.
pub struct Peer {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Peer {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn until_listening(port: u16) {
    let end = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts nginx with one worker and the given `http` directives.
pub fn nginx(port: u16, http: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    let text = format!(
        "daemon off; worker_processes 1; pid {dir}/pid; error_log stderr warn;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;\n\
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n{http}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let child = Command::new("nginx")
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(folder.path().join("nginx.conf"))
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx is needed: apt-get install nginx");
    until_listening(port);
    Peer { child, _folder: folder }
}

/// The app: nginx sends 512 bytes at once, so that the proxy in front is the larger cost.
pub fn app(port: u16) -> Peer {
    let body = "x".repeat(512);
    nginx(
        port,
        &format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{body}'; }} }}"),
    )
}

/// nginx as a plain proxy with keep-alive and the usual forwarding headers.
pub fn plain_hop(port: u16, app: u16) -> Peer {
    hop(port, app, "")
}

/// Like [`plain_hop`], with an access log in a file.
pub fn logged_hop(port: u16, app: u16) -> Peer {
    hop(port, app, "access_log access.log combined;")
}

fn hop(port: u16, app: u16, log: &str) -> Peer {
    nginx(
        port,
        &format!(
            "upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}\n\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
             server {{ listen 127.0.0.1:{port}; {log} location / {{ {PROXY} proxy_read_timeout 1h; proxy_pass http://app; }} }}"
        ),
    )
}

/// nginx with `auth_request` to oauth2-proxy, with keep-alive to both.
pub fn guarded_hop(port: u16, app: u16, oauth2_proxy: u16) -> Peer {
    nginx(
        port,
        &format!(
            "upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}\n\
             upstream auth {{ server 127.0.0.1:{oauth2_proxy}; keepalive 64; }}\n\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
             server {{ listen 127.0.0.1:{port};\n\
               location /oauth2/ {{ {PROXY} proxy_pass http://auth; }}\n\
               location = /oauth2/auth {{ internal; {PROXY} proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass http://auth; }}\n\
               location / {{ auth_request /oauth2/auth; auth_request_set $user $upstream_http_x_auth_request_user;\n\
                 error_page 401 = /oauth2/start?rd=$request_uri;\n\
                 {PROXY} proxy_set_header X-Forwarded-User $user; proxy_read_timeout 1h; proxy_pass http://app; }} }}"
        ),
    )
}

const PROXY: &str = "proxy_http_version 1.1; proxy_set_header Host $http_host; \
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; \
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;";

/// oauth2-proxy as the authenticator for `auth_request`, without logs.
pub fn oauth2_proxy(binary: &std::path::Path, port: u16, issuer: &str, public: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let flag = |name: &str, value: &str| format!("--{name}={value}");
    let child = Command::new(binary)
        .args([
            flag("http-address", &format!("127.0.0.1:{port}")),
            flag("provider", "oidc"),
            flag("oidc-issuer-url", issuer),
            flag("client-id", "appliance"),
            flag("client-secret", "oidc-client-secret"),
            flag("cookie-secret", "0123456789abcdef0123456789abcdef"),
            flag("cookie-secure", "false"),
            flag("email-domain", "*"),
            flag("redirect-url", &format!("{public}/oauth2/callback")),
            flag("reverse-proxy", "true"),
            flag("set-xauthrequest", "true"),
            flag("skip-provider-button", "true"),
            flag("insecure-oidc-allow-unverified-email", "true"),
            flag("code-challenge-method", "S256"),
            // By default oauth2-proxy sends no nonce.
            flag("insecure-oidc-skip-nonce", "false"),
            flag("upstream", "static://202"),
            flag("request-logging", "false"),
            flag("auth-logging", "false"),
            flag("standard-logging", "false"),
        ])
        .stdin(Stdio::null())
        .spawn()
        .expect("oauth2-proxy");
    until_listening(port);
    Peer { child, _folder: folder }
}

/// Builds oauth2-proxy with `go install`, once.
pub fn build_oauth2_proxy() -> std::path::PathBuf {
    const VERSION: &str = "v7.15.3";
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("oauth2-proxy");
    let binary = folder.join("oauth2-proxy");
    if !binary.exists() {
        let built = Command::new("go")
            .env("GOBIN", &folder)
            .args(["install", &format!("github.com/oauth2-proxy/oauth2-proxy/v7@{VERSION}")])
            .status()
            .expect("go is needed to build oauth2-proxy: apt-get install golang");
        assert!(built.success(), "go install oauth2-proxy");
    }
    binary
}
