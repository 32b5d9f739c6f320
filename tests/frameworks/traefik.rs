//! Traefik in front of the appliance, with the labels of docs/behind-a-proxy.md.
//!
//! Traefik reads labels from a Docker engine. The one here is of the test, and knows one container:
//! the appliance.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{eventually, free_port};
use crate::packages;

/// The proxy. Its drop ends the program.
pub(crate) struct Traefik {
    pub(crate) port: u16,
    program: Option<Child>,
}

impl Traefik {
    pub(crate) fn new() -> Self {
        Self { port: free_port(), program: None }
    }

    /// Starts the program, and returns when it serves the appliance on this port.
    pub(crate) async fn start(&mut self, appliance: u16) {
        let engine = engine(labels(appliance)).await;
        let program = Command::new(packages::programs().join("traefik"))
            .arg(format!("--entrypoints.web.address=127.0.0.1:{}", self.port))
            .arg(format!("--providers.docker.endpoint=tcp://127.0.0.1:{engine}"))
            .args(["--global.checknewversion=false", "--global.sendanonymoususage=false"])
            .stdin(Stdio::null())
            .spawn();
        self.program = Some(program.unwrap());
        eventually("Traefik to listen", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }
}

impl Drop for Traefik {
    fn drop(&mut self) {
        if let Some(program) = &mut self.program {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// The lines of the page, with the host and the port of the test.
fn labels(appliance: u16) -> Value {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/behind-a-proxy.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let lines = rest.split_once("```").unwrap().0;
    let lines = lines.replace("apps.example.org", "apps.test");
    let lines = lines.replace("8080", &appliance.to_string());
    let pairs = lines.lines().map(|line| line.split_once(": ").unwrap());
    let labels: Map<_, _> =
        pairs.map(|(name, value)| (name.into(), json!(value.trim_matches('"')))).collect();
    assert_eq!(labels.len(), 4, "{labels:?}");
    Value::Object(labels)
}

/// Starts the engine and returns its port.
async fn engine(labels: Value) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let container = json!({
        "Id": "a1",
        "Name": "/appliance",
        "Created": "2026-01-01T00:00:00Z",
        "State": { "Status": "running", "Running": true },
        "Config": { "Labels": labels },
        "HostConfig": { "NetworkMode": "bridge" },
        "NetworkSettings": { "Ports": {}, "Networks": { "bridge": { "IPAddress": "127.0.0.1" } } },
    });
    let container = Arc::new(container);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let container = container.clone();
            let service = service_fn(move |request| answer(request, container.clone()));
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

async fn answer(
    request: Request<Incoming>,
    container: Arc<Value>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let body = if path.ends_with("/containers/json") {
        json!([{ "Id": "a1", "Names": ["/appliance"], "State": "running" }])
    } else if path.ends_with("/containers/a1/json") {
        (*container).clone()
    } else if path.ends_with("/version") {
        json!({ "Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24" })
    } else if path.ends_with("/events") {
        std::future::pending().await
    } else {
        json!("OK")
    };
    let answer = Response::builder().header("api-version", "1.48");
    Ok(answer
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap())
}
