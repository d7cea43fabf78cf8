//! HTTPS for our servers: axum over rustls, with limits that a hostile client meets first.
//!
//! Everybody in the cluster may knock. So the number of connections is bounded, a handshake and a
//! request's header have to come in time, and a connection on which nobody has got a good answer yet
//! gives up its seat when a new one needs it: however many sit there and say nothing, whoever has a
//! right to be served gets in and stays.
//!
//! Nothing here sets a length or a deadline on an answer: a follower's may last for hours without a
//! byte. That its other end is still there, TCP finds out.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::process::canonical;
use seats::{Seat, Seats};

mod seats;
#[cfg(test)]
mod tests;

/// What a connection holds of requests and answers at most, in bytes; a longer header is refused.
const BUFFER: usize = 32 * 1024;

/// Header lines of a request; the API server sends one for each group of a user.
const MAX_HEADERS: usize = 512;

/// Requests that run when the server is told to stop get this long; followers come back elsewhere.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long to wait when there are no descriptors or no memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A peer that is gone without a word is noticed after about the first of these and three of the second.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Who is at the other end of a connection; in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// As presented and, where the configuration verifies clients, verified; the client's own first.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At the same time, of all clients.
    pub connections: usize,
    /// For the handshake, and for the first request's header after it.
    pub header_timeout: Duration,
    /// Between two requests, the second one's header included.
    pub idle_timeout: Duration,
}

/// Serves until `stop` is true (or its sender gone), then ends open requests within a few seconds. The
/// newest of `tls` counts for each new connection. Errors are those of a listener that can't go on.
pub async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let seats = Seats::new(limits.connections);
    let mut connections = JoinSet::new();
    loop {
        let (tcp, address) = tokio::select! {
            biased;
            () = told(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_passing(&error) => {
                    warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let seat = tokio::select! {
            biased;
            () = told(&mut stop) => break,
            seat = seats.take() => seat,
        };
        let address = canonical(address);
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let (router, mut stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            let served = async {
                let stream = handshake(&acceptor, tcp, limits.header_timeout).await?;
                answer(stream, address, router, limits, &seat, &mut stop).await
            };
            tokio::select! {
                () = seat.wanted() => debug!(%address, "closed to make room"),
                ended = served => if let Err(error) = ended {
                    debug!(%address, error, "connection ended");
                },
            }
        });
    }
    drop(listener);
    let ended = timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        debug!(open = connections.len(), "connections cut at the stop");
    }
    Ok(())
}

type Ended<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

async fn told(stop: &mut watch::Receiver<bool>) {
    // Without a sender nobody could ever tell us.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// True for what concerns one connection, or passes when others end.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_the_machine = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
    ];
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) || Errno::from_io_error(error).is_some_and(|errno| of_the_machine.contains(&errno))
}

async fn handshake(
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    limit: Duration,
) -> Ended<TlsStream<TcpStream>> {
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&tcp, true)?;
    sockopt::set_tcp_keepidle(&tcp, KEEPALIVE_AFTER)?;
    sockopt::set_tcp_keepintvl(&tcp, KEEPALIVE_EVERY)?;
    sockopt::set_tcp_keepcnt(&tcp, KEEPALIVE_PROBES)?;
    Ok(timeout(limit, acceptor.accept(tcp)).await??)
}

/// Answers the requests of a connection until one of its ends closes it.
async fn answer(
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    router: Router,
    limits: Limits,
    seat: &Seat,
    stop: &mut watch::Receiver<bool>,
) -> Ended<()> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Peer {
        address,
        certificates: certificates.to_vec(),
    };
    let router = TowerToHyperService::new(router);
    let begun = tokio::sync::Notify::new();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        begun.notify_one();
        request.extensions_mut().insert(peer.clone());
        let answer = router.call(request);
        async {
            let answer = answer.await?;
            if answer.status().is_success() {
                seat.keep();
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    // hyper counts this limit from the last answer's end, so it is the one for idleness too.
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        first = timeout(limits.header_timeout, begun.notified()) => first?,
    }
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = told(stop) => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}
