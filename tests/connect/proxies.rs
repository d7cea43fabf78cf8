//! Proxies of each kind. Each notes what it was asked, and does it.

use std::{io, net::Ipv6Addr, sync::Arc};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::world::Log;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

async fn listen(port: u16) -> TcpListener {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .await
        .unwrap()
}

fn note(log: &Log, line: String) {
    log.lock().unwrap().proxied.insert(line);
}

pub async fn http(port: u16, log: Log) {
    let listener = listen(port).await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(stream, "http", log.clone()));
        }
    });
}

pub async fn https(port: u16, config: Arc<ServerConfig>, log: Log) {
    let listener = listen(port).await;
    let acceptor = TlsAcceptor::from(config);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, log) = (acceptor.clone(), log.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = forward(stream, "https", log).await;
                }
            });
        }
    });
}

/// One that wants a login that nobody has.
pub async fn refusing(port: u16, log: Log) {
    let listener = listen(port).await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                let head = head(&mut stream).await.unwrap_or_default();
                note(
                    &log,
                    format!("refused {}", head.lines().next().unwrap_or_default()),
                );
                let answer =
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            });
        }
    });
}

/// A request's head, byte by byte, so that nothing after it is taken.
async fn head(stream: &mut impl Stream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn forward(mut stream: impl Stream, kind: &str, log: Log) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let first = head.lines().next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let login = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("proxy-authorization:")
    });
    let login = login
        .and_then(|line| line.split_once(": "))
        .map(|(_, value)| value);
    if method == "CONNECT" {
        note(&log, format!("{kind} CONNECT {target} {login:?}"));
        let mut server = TcpStream::connect(target).await?;
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await?;
        copy_bidirectional(&mut stream, &mut server).await?;
        return Ok(());
    }
    // A whole URL; after it the connection is for the same server.
    let rest = target.strip_prefix("http://").unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    note(&log, format!("{kind} {method} {host} {login:?}"));
    let mut server = TcpStream::connect(host).await?;
    let kept = head
        .lines()
        .skip(1)
        .filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
    let kept = kept.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let kept: Vec<&str> = kept.filter(|line| !line.is_empty()).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n",
        kept.join("\r\n")
    );
    server.write_all(request.as_bytes()).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

pub async fn socks(port: u16, log: Log) {
    let listener = listen(port).await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_socks(stream, log.clone()));
        }
    });
}

async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// RFC 1928, with names and passwords of RFC 1929 where they are offered.
async fn serve_socks(mut stream: TcpStream, log: Log) -> io::Result<()> {
    let (_version, methods) = (stream.read_u8().await?, stream.read_u8().await?);
    let mut offered = vec![0; usize::from(methods)];
    stream.read_exact(&mut offered).await?;
    let mut login = None;
    if offered.contains(&2) {
        stream.write_all(&[5, 2]).await?;
        stream.read_u8().await?;
        login = Some((text(&mut stream).await?, text(&mut stream).await?));
        stream.write_all(&[1, 0]).await?;
    } else {
        stream.write_all(&[5, 0]).await?;
    }
    let mut start = [0; 4];
    stream.read_exact(&mut start).await?;
    let host = match start[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => format!("[{}]", Ipv6Addr::from(stream.read_u128().await?)),
        _ => text(&mut stream).await?,
    };
    let target = format!("{host}:{}", stream.read_u16().await?);
    note(&log, format!("socks {target} {login:?}"));
    let mut server = TcpStream::connect(&target).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}
