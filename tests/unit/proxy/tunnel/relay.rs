//! One direction of a tunnel: to an app behind TLS that reads nothing for a while, and with a broken
//! socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::task::Waker;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

const CERTIFICATE: &[u8] = include_bytes!("tls/localhost.der");
const KEY: &[u8] = include_bytes!("tls/localhost.key.der");
/// A time limit for reads that fail only by blocking for ever.
const LONG: Duration = Duration::from_secs(10);

/// The app: after a message on `read_now` it reads to the end and returns the last bytes.
fn app(listener: &TcpListener, read_now: &mpsc::Receiver<()>) -> Vec<u8> {
    let key = PrivateKeyDer::try_from(KEY.to_vec()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)
        .unwrap();
    let connection = ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
    stream.flush().unwrap();
    read_now.recv().unwrap();
    stream.sock.set_read_timeout(Some(LONG)).unwrap();
    let (mut last, mut piece) = (Vec::new(), [0; 1 << 13]);
    while !last.ends_with(b"last") {
        let count = stream.read(&mut piece).unwrap_or(0);
        if count == 0 {
            break;
        }
        last = piece[count.saturating_sub(4)..count].to_vec();
    }
    last
}

async fn connect(port: u16) -> Stream {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE)).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    Stream::tls(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap().into())
}

/// A connection: the socket of the peer, and the socket of the proxy.
fn pair() -> (TcpStream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let own = listener.accept().unwrap().0;
    own.set_nonblocking(true).unwrap();
    (peer, Stream::tcp(tokio::net::TcpStream::from_std(own).unwrap()))
}

/// Closes a connection with a reset.
fn reset(stream: TcpStream) {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &at_once).unwrap();
    drop(stream);
}

#[tokio::test]
async fn the_broken_socket_is_reported() {
    for lost in [BrokenSocket::Source, BrokenSocket::Destination] {
        let (mut client, mut from) = pair();
        let (app, mut to) = pair();
        let mut relay = Relay::new(Bytes::new(), true);
        let mut scratch = vec![0; 1 << 16];
        match lost {
            BrokenSocket::Source => reset(client),
            BrokenSocket::Destination => {
                reset(app);
                client.write_all(b"x").unwrap();
            }
        }
        let outcome = std::future::poll_fn(|cx| relay.poll(cx, &mut from, &mut to, &mut scratch));
        assert_eq!(outcome.await, Err(lost));
    }
}

/// Writes until TLS holds bytes back. Returns whether any bytes were written.
fn fill(to: &mut Stream) -> bool {
    let mut without_waker = Context::from_waker(Waker::noop());
    let mut written = false;
    while to.poll_flush_tls(&mut without_waker).is_ready() {
        let given = to.poll_send(&mut without_waker, &[0; 1024]);
        assert!(matches!(given, Poll::Ready(Ok(1024))), "{given:?}");
        written = true;
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_held_back_by_tls_are_sent_when_the_app_reads_again() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (go, read_now) = mpsc::channel();
    let reading = tokio::spawn(crate::threads::blocking(move || app(&listener, &read_now)));
    let mut to = connect(port).await;

    while fill(&mut to) {
        // Bytes that the kernel still sends to the app make room again.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let (mut client, mut from) = pair();
    let mut relay = Relay::new(Bytes::new(), true);
    let mut scratch = vec![0; 1 << 16];
    client.write_all(b"last").unwrap();
    let relaying = std::future::poll_fn(|cx| relay.poll(cx, &mut from, &mut to, &mut scratch));
    let received = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        go.send(()).unwrap();
        reading.await.unwrap()
    };
    tokio::select! {
        _ = relaying => panic!("the client has not ended"),
        last = received => assert_eq!(last, b"last"),
    }
}
