//! Names TCP connections and notices when one is gone: on the wire, nothing else tells a process
//! from its successor.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use herdctl::process;
use tokio::net::{TcpListener, TcpStream};

use crate::App;
use crate::judge::Connection;

/// Accepts connections and names them.
pub struct Door {
    pub listener: TcpListener,
    pub app: Arc<App>,
    pub next: AtomicU64,
}

/// The other end of a request's connection.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    open: Arc<Open>,
}

/// Shared by all that belongs to one connection: the last of it to go tells the judge.
struct Open {
    connection: Connection,
    app: Arc<App>,
}

impl Peer {
    pub fn connection(&self) -> Connection {
        self.open.connection
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.address, self.open.connection)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.app.judge().disconnects(self.connection);
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (TcpStream, Peer) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let address = process::canonical(address);
        // A line of a slow scenario is to arrive when it is sent; without it, it only comes late.
        let _ = stream.set_nodelay(true);
        let open = Arc::new(Open {
            connection: self.next.fetch_add(1, Ordering::Relaxed),
            app: Arc::clone(&self.app),
        });
        (stream, Peer { address, open })
    }

    /// Nobody asks for the local address as a peer.
    fn local_addr(&self) -> std::io::Result<Peer> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}
