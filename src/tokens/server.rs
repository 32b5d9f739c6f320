//! Listens on a port of 127.0.0.1. The port stays the same over reloads: running programs know it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::answer::{PREFIX, answer};
use crate::config::AppName;
use crate::net::SmallServer;
use crate::proxy::Door;

/// How many ports the kernel is asked for.
const ATTEMPTS: usize = 100;

/// The bound address.
#[derive(Debug)]
pub struct Server {
    socket: SmallServer,
    port: u16,
}

impl Server {
    /// Binds a port that the kernel chooses, but none of `taken`, which others need later.
    ///
    /// # Errors
    /// There is no port, or no descriptor.
    pub fn bind(taken: &[u16]) -> io::Result<Self> {
        // Held, so that the kernel does not choose it again.
        let mut unusable = Vec::new();
        for _ in 0..ATTEMPTS {
            let socket = SmallServer::bind((Ipv4Addr::LOCALHOST, 0).into())?;
            let port = socket.port()?;
            if !taken.contains(&port) {
                return Ok(Self { socket, port });
            }
            unusable.push(socket);
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the program of an app gets access tokens from the server at `port`.
    pub fn url(port: u16, app: &AppName) -> String {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        format!("http://{address}{PREFIX}{app}")
    }

    /// Answers requests until it is dropped. Must be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be registered.
    pub fn serve(self, door: Door) -> io::Result<impl Future<Output = ()>> {
        self.socket.serve("access tokens", move |head, client| {
            let proxy = door.proxy();
            async move { answer(&head, client, &proxy).await }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_chooses_among_the_ports_that_nobody_needs() {
        let half = |port: u16| port / 2 % 2;
        let first = half(Server::bind(&[]).unwrap().port());
        let taken: Vec<u16> = (1..=u16::MAX).filter(|port| half(*port) == first).collect();
        assert_ne!(half(Server::bind(&taken).unwrap().port()), first);
        let app = AppName::new("app").unwrap();
        assert_eq!(Server::url(80, &app), "http://127.0.0.1:80/token/app");
    }
}
