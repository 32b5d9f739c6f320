//! Finds out whether a client without TLS begins with HTTP/2 (RFC 9113 section 3.3).

use std::future::poll_fn;

use bytes::Bytes;

use crate::proxy::socket::entrance::Protocol;
use crate::proxy::socket::stream::Stream;

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4). No request of HTTP/1 begins like that.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until the protocol is known. Returns what was read. `None` if the client has gone.
pub(super) async fn detect(stream: &mut Stream) -> Option<(Protocol, Bytes)> {
    let mut read = [0; PREFACE.len()];
    let mut filled = 0;
    let protocol = loop {
        let count = poll_fn(|cx| stream.poll_recv(cx, &mut read[filled..])).await.ok()?;
        filled += count;
        match judge(&read[..filled]) {
            Some(protocol) => break protocol,
            None if count == 0 => return None,
            None => {}
        }
    };
    Some((protocol, Bytes::copy_from_slice(&read[..filled])))
}

/// `None` if more bytes are needed.
fn judge(read: &[u8]) -> Option<Protocol> {
    if !PREFACE.starts_with(read) {
        Some(Protocol::Http1)
    } else if read.len() == PREFACE.len() {
        Some(Protocol::Http2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        for (read, wanted) in [
            ("", None),
            ("P", None),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Protocol::Http2)),
            ("PO", Some(Protocol::Http1)),
            ("GET / HTTP/1.1\r\n", Some(Protocol::Http1)),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", Some(Protocol::Http1)),
        ] {
            assert_eq!(judge(read.as_bytes()), wanted, "{read:?}");
        }
    }
}
