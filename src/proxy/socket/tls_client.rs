//! TLS to apps that run elsewhere. Certificates are verified against the certificate store of the
//! system; ALPN offers HTTP/1.1 only.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::Stream;

/// Connects and completes the TLS handshake. The caller limits the time.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<Stream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Without TCP_NODELAY small writes are only slower, so an error is ignored.
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tls_config().map_err(|why| io::Error::other(why.clone()))?;
    TlsConnector::from(config).connect(name, stream).await.map(|stream| Stream::tls(stream.into()))
}

/// The TLS settings, with the trusted certificates of the system. They are read once, because
/// reading them takes long. The error says why they cannot be read.
pub fn tls_config() -> Result<Arc<ClientConfig>, &'static String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let mut config = ClientConfig::with_platform_verifier().map_err(|e| e.to_string())?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        })
        .as_ref()
        .map(Arc::clone)
}
