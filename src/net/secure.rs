//! TLS over a connection to an app, and its errors in words.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Completes the handshake. The caller limits the time.
///
/// # Errors
///
/// The app is not verified, or refuses the handshake. The text says which setting to look at.
pub(crate) async fn secure(
    stream: TcpStream,
    (settings, name): (Arc<ClientConfig>, ServerName<'static>),
) -> io::Result<TlsStream<TcpStream>> {
    TlsConnector::from(settings).connect(name, stream).await.map_err(|error| {
        match tls_fault(&error) {
            Some(why) => io::Error::new(error.kind(), why),
            None => error,
        }
    })
}

/// What an error of a connection means for the settings of an app, if TLS is its cause.
pub(crate) fn tls_fault(error: &io::Error) -> Option<String> {
    let fault = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match fault {
        Error::InvalidCertificate(fault) => in_words(fault),
        Error::AlertReceived(alert) if is_about_the_client(*alert) => format!(
            "the app refuses the client certificate, or wants one ({alert:?}); check `client_cert`"
        ),
        Error::AlertReceived(alert) => format!("the app refuses the TLS handshake ({alert:?})"),
        Error::InvalidMessage(_) => "the app does not speak TLS; write `http://` for it".to_owned(),
        fault => format!("TLS: {fault}"),
    })
}

fn in_words(fault: &CertificateError) -> String {
    match fault {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate of the app has another name ({fault}); set `server_name`")
        }
        // The signature is another authority's of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the certificate of the app is not trusted ({fault:?}); set `ca_file` to its authority"
        ),
        fault => format!("the certificate of the app is not valid: {fault}"),
    }
}

/// Alerts about a client certificate (RFC 8446 section 6.2, RFC 5246 section 7.2.2).
fn is_about_the_client(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_setting() {
        for (fault, wanted) in [
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "`ca_file`"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "`server_name`"),
            (Error::InvalidCertificate(CertificateError::Expired), "not valid: "),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "`client_cert`"),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "(HandshakeFailure)"),
            (Error::DecryptError, "TLS: "),
        ] {
            let said = tls_fault(&io::Error::other(fault)).unwrap();
            assert!(said.contains(wanted), "{said}");
        }
        assert_eq!(tls_fault(&io::ErrorKind::ConnectionRefused.into()), None);
        assert_eq!(tls_fault(&io::Error::other("another")), None);
    }
}
