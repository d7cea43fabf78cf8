//! What every server of ours does as a process: it listens, writes its log and ends when it is asked
//! to.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::api::json;

/// Where a log of JSON lines goes: names and errors in it are strangers' words, and whoever reads it has a
/// terminal.
pub struct PlainLog<W>(pub W);

impl<W: Write> Write for PlainLog<W> {
    /// The logger brings one whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&json::plain_bytes(line.to_vec()))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Listens there. `[::]` takes connections of both families, so that it does for any cluster; where the node
/// has no IPv6 at all, it takes those of IPv4.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    if bound.is_ok() || address.ip() != IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        return bound;
    }
    let narrow = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    TcpListener::bind(narrow).await.or(bound)
}

/// The address as its family writes it: one of IPv4 comes to a listener of both in IPv6's clothes.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Lets the process have as many descriptors as it may: a connection and a file are one each, and a
/// container starts with a limit of 1024 where its runtime has no other.
pub fn raise_descriptor_limit() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Returns when SIGTERM or SIGINT arrives.
pub async fn terminated() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_in_a_log_line_are_escaped_and_mean_the_same() {
        let mut written = Vec::new();
        let line = serde_json::json!({"error": "a\u{1b}]0;x\u{7}\u{7f}\u{9b}2J\u{202e}\u{ffff}ö"});
        writeln!(PlainLog(&mut written), "{line}").unwrap();
        assert!(written.ends_with(b"\n"));
        let text = String::from_utf8(written).unwrap();
        let is_plain = |c: char| matches!(c, ' '..='~' | 'ö' | '\n');
        assert!(text.chars().all(is_plain), "{text:?}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, line);
    }

    #[tokio::test]
    async fn a_listener_on_every_address_takes_both_families() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for to in ["127.0.0.1", "::1"] {
            let to = SocketAddr::new(to.parse().unwrap(), port);
            let _stream = tokio::net::TcpStream::connect(to).await.unwrap();
            let (_, from) = listener.accept().await.unwrap();
            assert_eq!(canonical(from).ip(), to.ip());
        }
    }
}
