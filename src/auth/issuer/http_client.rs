//! HTTP to the issuer.
//!
//! No proxy of the environment, no redirects, a deadline on every call and a limit on every body.
//! An error's text never has a query in it: queries carry codes and tokens.
//!
//! When the issuer is one of our own apps it is behind our own front door, which is not open
//! before the issuer is right. Its URLs stay the public ones, but the calls go to it directly,
//! saying by `Host` and `X-Forwarded-*` which URL was meant.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

use crate::auth::SetupError;
use crate::config::{Dial, Oidc};

const DEADLINE: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1 << 20;
/// Shorter than any server keeps an idle connection: a token request on a stale one is an outage.
const IDLE: Duration = Duration::from_secs(4);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The way to the issuer.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    loopback: Option<Loopback>,
}

/// Calls to the public authority go to another address, in clear.
#[derive(Debug)]
struct Loopback {
    public: Authority,
    dialled: Authority,
}

/// A call that brought no answer to work with.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("does not answer: {0}")]
    NoAnswer(String),
    #[error("answers {0}")]
    Status(StatusCode),
    #[error("answers with more than 1 MiB")]
    TooLarge,
}

impl Http {
    pub(crate) fn new(oidc: &Oidc) -> Result<Self, SetupError> {
        // Another part of the process may have installed it: then it is the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .https_only(oidc.dial.is_none() && oidc.issuer.starts_with("https:"))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(DEADLINE)
            .connect_timeout(DEADLINE)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4);
        if let Some(Dial::Unix(path)) = &oidc.dial {
            builder = builder.unix_socket(path.as_path());
        }
        builder = match &oidc.ca_file {
            Some(path) => builder.tls_certs_merge(bundle(path)?),
            // An image without the system's certificates must do for an issuer without TLS.
            None if oidc.dial.is_some() || oidc.issuer.starts_with("http:") => {
                builder.tls_certs_only([])
            }
            None => builder,
        };
        let client = builder.build().map_err(|error| {
            let why = format!("the issuer cannot be called: {}", innermost(&error));
            SetupError::new(&["oidc"], why)
        })?;
        let loopback = oidc.dial.as_ref().map(|dial| Loopback::new(&oidc.issuer, dial));
        Ok(Self { client, loopback: loopback.transpose()? })
    }

    /// Sends it. A server error (5xx, 429) is no answer.
    pub(crate) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, HttpError> {
        let request = match &self.loopback {
            Some(loopback) => loopback.redirect(request),
            None => request,
        };
        let request = request.try_into().map_err(|error| no_answer(&error))?;
        let mut answer = self.client.execute(request).await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(HttpError::Status(status));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

impl Loopback {
    fn new(issuer: &str, dial: &Dial) -> Result<Self, SetupError> {
        let bad = |what: &str| {
            let why = format!("[oidc] {what} is no address of an issuer");
            SetupError::new(&["oidc", "issuer"], why)
        };
        let uri: Uri = issuer.parse().map_err(|_| bad(issuer))?;
        let public = uri.authority().cloned().ok_or_else(|| bad(issuer))?;
        let dialled = match dial {
            Dial::Tcp(host, port) => format!("{host}:{port}"),
            Dial::Unix(_) => "localhost".to_owned(),
        };
        let dialled = dialled.parse().map_err(|_| bad(&dialled))?;
        Ok(Self { public, dialled })
    }

    /// Points a request for the public authority at the address that is dialled.
    fn redirect(&self, mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
        if request.uri().authority() != Some(&self.public) {
            return request;
        }
        let proto = request.uri().scheme_str().unwrap_or("http").to_owned();
        let path = request.uri().path_and_query().cloned();
        let target = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.dialled.clone())
            .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
            .build();
        let host = HeaderValue::from_str(self.public.as_str());
        let (Ok(target), Ok(host), Ok(proto)) = (target, host, HeaderValue::from_str(&proto))
        else {
            return request;
        };
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(FORWARDED_HOST, host);
        headers.insert(FORWARDED_PROTO, proto);
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("127.0.0.1"));
        request
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn bundle(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>, SetupError> {
    let shown = path.display();
    let bad =
        |why: &str| SetupError::new(&["oidc", "ca_file"], format!("[oidc] ca_file {shown} {why}"));
    let pem = std::fs::read(path).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(bad("holds no certificates (PEM)")),
    }
}

fn no_answer(error: &reqwest::Error) -> HttpError {
    let why = if error.is_timeout() {
        format!("nothing within {} s", DEADLINE.as_secs())
    } else {
        in_words(&innermost(error))
    };
    HttpError::NoAnswer(why)
}

/// What rustls says, with what to do about it.
fn in_words(why: &str) -> String {
    if let Some(why) = why.strip_prefix("invalid peer certificate: ") {
        let why = why.trim_start_matches("Other(OtherError(").trim_end_matches("))");
        format!("its TLS certificate is not trusted ({why}); name who signed it as [oidc] ca_file")
    } else if why.starts_with("received corrupt message") {
        "it does not speak TLS; is the issuer an http:// address?".to_owned()
    } else {
        why.to_owned()
    }
}

/// The last cause, which says most and has no URL in it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(error) = cause {
        text = Some(error.to_string());
        cause = error.source();
    }
    text.unwrap_or_else(|| "the request failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(issuer: &str, url: &str) -> Request<Vec<u8>> {
        let dial = Dial::Tcp("127.0.0.1".into(), 8600);
        let loopback = Loopback::new(issuer, &dial).unwrap();
        loopback.redirect(Request::get(url).body(Vec::new()).unwrap())
    }

    #[test]
    fn public_urls_are_dialled_over_loopback_and_keep_their_host() {
        let issuer = "https://id.example.com:8443/realms/main";
        let request = redirected(issuer, "https://id.example.com:8443/realms/main/x?y=1");
        assert_eq!(request.uri(), "http://127.0.0.1:8600/realms/main/x?y=1");
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(header("host"), "id.example.com:8443");
        assert_eq!(header("x-forwarded-host"), "id.example.com:8443");
        assert_eq!(header("x-forwarded-proto"), "https");
    }

    #[test]
    fn tls_that_fails_says_what_to_set() {
        let why = in_words("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))");
        assert!(why.contains("(CaUsedAsEndEntity)") && why.contains("ca_file"), "{why}");
        let why = in_words("received corrupt message of type InvalidContentType");
        assert!(why.contains("http://"), "{why}");
        assert_eq!(in_words("Connection refused"), "Connection refused");
    }

    #[test]
    fn other_hosts_are_left_alone() {
        let request = redirected("https://id.example.com/x", "https://keys.example.com/jwks");
        assert_eq!(request.uri(), "https://keys.example.com/jwks");
        assert!(request.headers().is_empty());
    }
}
