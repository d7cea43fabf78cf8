//! Connects to the API server: directly, or through the proxy that applies. kube's own client takes its proxy
//! from the environment by other rules than kubectl, cannot log in to a SOCKS proxy, and asks plain HTTP of a
//! proxy by CONNECT.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{
    Connected, Connection, HttpConnector,
    proxy::{SocksV5, Tunnel},
};
use tower::{BoxError, Service, ServiceExt, service_fn};

use super::proxy::{Kind, Proxy};

/// An API server or proxy that does not take the connection is not waited for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum NoConnection {
    #[error("can't reach {}", Self::place(.proxy))]
    Unreachable {
        /// Where it is this that can't be reached.
        proxy: Option<String>,
        #[source]
        cause: BoxError,
    },
    /// The proxy is there, and does not connect us.
    #[error("the proxy {proxy} made no connection: {words}")]
    Refused { proxy: String, words: String },
}

impl NoConnection {
    fn place(proxy: &Option<String>) -> &str {
        proxy.as_deref().unwrap_or("the API server")
    }
}

/// Connects to the API server, or to the proxy and through it.
#[derive(Clone)]
pub struct Connector {
    pub proxy: Option<Proxy>,
    pub tcp: HttpConnector,
    /// For a proxy that is spoken to within TLS. Go trusts the same authorities for it as for the server.
    pub tls: HttpsConnector<HttpConnector>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = NoConnection;
    type Future = BoxFuture<'static, Result<Stream, NoConnection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let proxy = connector.proxy.as_ref().map(ToString::to_string);
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connector.connect(server)).await;
            connected.unwrap_or_else(|_| {
                let cause = io::Error::from(io::ErrorKind::TimedOut).into();
                Err(NoConnection::Unreachable { proxy, cause })
            })
        })
    }
}

impl Connector {
    async fn connect(self, server: Uri) -> Result<Stream, NoConnection> {
        let Some(proxy) = self.proxy else {
            let connected = self.tcp.oneshot(server).await;
            return connected
                .map(Stream::plain)
                .map_err(|cause| NoConnection::Unreachable {
                    proxy: None,
                    cause: cause.into(),
                });
        };
        let unreachable = |cause: BoxError| NoConnection::Unreachable {
            proxy: Some(proxy.to_string()),
            cause,
        };
        let refused = |words: &dyn fmt::Display| NoConnection::Refused {
            proxy: proxy.to_string(),
            words: words.to_string(),
        };
        let address = proxy.address.clone();
        let to_proxy = match proxy.kind {
            Kind::Https => {
                let connected = self.tls.oneshot(address.clone()).await;
                Stream::plain(connected.map_err(unreachable)?)
            }
            Kind::Http | Kind::Socks5 => {
                let connected = self.tcp.oneshot(address.clone()).await;
                Stream::plain(connected.map_err(|cause| unreachable(cause.into()))?)
            }
        };
        let secure = server.scheme() == Some(&Scheme::HTTPS);
        let server = with_port(server);
        let mut to_proxy = Some(to_proxy);
        // The way to the proxy stands already: so what fails below is the proxy's refusal.
        let once = service_fn(move |_: Uri| {
            let stream = to_proxy.take();
            async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        match proxy.kind {
            Kind::Socks5 => {
                let socks = SocksV5::new(address, once);
                let mut socks = match proxy.login.clone() {
                    Some((user, password)) => socks.with_auth(user, password),
                    None => socks,
                };
                socks.call(server).await.map_err(|why| refused(&why))
            }
            Kind::Http | Kind::Https if secure => {
                let tunnel = Tunnel::new(address, once);
                let mut tunnel = match proxy.authorization() {
                    Some(authorization) => tunnel.with_auth(authorization),
                    None => tunnel,
                };
                tunnel.call(server).await.map_err(|why| refused(&why))
            }
            Kind::Http | Kind::Https => {
                let mut once = once;
                let stream = once.call(address).await.map_err(|why| refused(&why))?;
                Ok(Stream {
                    asks_proxy: true,
                    ..stream
                })
            }
        }
    }
}

/// A SOCKS proxy is always told a port.
fn with_port(server: Uri) -> Uri {
    let port = if server.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let mut parts = server.clone().into_parts();
    let authority = server
        .host()
        .filter(|_| server.port().is_none())
        .and_then(|host| format!("{host}:{port}").parse().ok());
    if authority.is_none() {
        return server;
    }
    parts.authority = authority;
    Uri::from_parts(parts).unwrap_or(server)
}

trait Bytes: Read + Write + Send + Unpin {}
impl<T: Read + Write + Send + Unpin> Bytes for T {}

/// A connection, however it was made.
pub struct Stream {
    bytes: Box<dyn Bytes>,
    /// Its other end is a proxy that wants whole URLs.
    asks_proxy: bool,
}

impl Stream {
    fn plain(bytes: impl Bytes + 'static) -> Self {
        Stream {
            bytes: Box::new(bytes),
            asks_proxy: false,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.asks_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(cx, bytes)
    }
}
