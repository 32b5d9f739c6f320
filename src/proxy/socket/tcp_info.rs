//! What the kernel knows about the bytes that a socket has sent: how many have arrived, and whether
//! the peer still answers (`tcp(7)`, `TCP_INFO`).

use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use tokio::net::TcpStream;

/// The first 128 bytes of the kernel's `struct tcp_info`, which every kernel since 4.2 has.
type Words = [u32; 32];

sockopt_impl!(
    /// `TCP_INFO`
    TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Words
);
/// Linux 6.15 has the option; older kernels refuse the option.
const TCP_RTO_MAX_MS: libc::c_int = 44;
sockopt_impl!(
    /// `TCP_RTO_MAX_MS`
    TcpRtoMax, SetOnly, libc::IPPROTO_TCP, TCP_RTO_MAX_MS, u32
);

/// The bytes that a socket has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentBytes {
    /// How many the peer has acknowledged.
    pub acknowledged: u64,
    /// The time since the peer's last acknowledgement, if the peer owes one.
    pub unanswered: Option<Duration>,
}

/// The bytes that a socket has sent; `None` if the kernel does not tell.
pub(super) fn sent_bytes(socket: &TcpStream) -> Option<SentBytes> {
    let words = getsockopt(socket, TcpInfo).ok()?;
    let [_state, _recovery, _retransmits, window_probes] = words[0].to_ne_bytes();
    let (in_flight, last_sent, last_ack) = (words[6], words[11], words[14]);
    // A peer without room answers, too, and the bytes stay in flight. Kernels leave one of several
    // questions in quick succession without an answer.
    let owes = in_flight > 0 && last_sent < last_ack || window_probes > 1;
    Some(SentBytes {
        acknowledged: u64_at(&words, 30),
        unanswered: owes.then(|| Duration::from_millis(last_ack.into())),
    })
}

fn u64_at(words: &Words, at: usize) -> u64 {
    let [low, high] = [words[at], words[at + 1]].map(u32::to_ne_bytes);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&low);
    bytes[4..].copy_from_slice(&high);
    u64::from_ne_bytes(bytes)
}

/// Limits the pause between two questions to a peer that does not answer or does not read.
pub(super) fn limit_pause(socket: &TcpStream, longest: Duration) {
    let milliseconds = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
    // Without the option the kernel asks at most every two minutes.
    let _ = setsockopt(socket, TcpRtoMax, &milliseconds.clamp(1000, 120_000));
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn acknowledged_bytes_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let before = sent_bytes(&socket).unwrap();
        socket.write_all(&[0; 3000]).await.unwrap();
        peer.read_exact(&mut [0; 3000]).await.unwrap();
        let mut after = before;
        for _ in 0..100 {
            after = sent_bytes(&socket).unwrap();
            if after.unanswered.is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(after.acknowledged - before.acknowledged, 3000, "{after:?}");
        assert_eq!(after.unanswered, None);
        limit_pause(&socket, Duration::from_secs(10));
    }
}
