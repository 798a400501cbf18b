//! A port of the loopback where nobody listens until the test does.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Holds the port while it is down, so that nobody else gets it meanwhile.
pub struct Port(TcpSocket);

impl Port {
    pub fn reserve() -> Self {
        Self(bound("127.0.0.1:0".parse().unwrap()))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Until it is dropped. It may be asked for again after that.
    pub fn listen(&self) -> TcpListener {
        bound(self.address()).listen(64).unwrap()
    }
}

/// Several sockets may have the port; only those that listen get connections.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}
