use axum::Extension;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::*;

struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    tls: watch::Sender<Arc<ServerConfig>>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

/// Whatever takes longer never comes.
const DEADLINE: Duration = Duration::from_secs(20);

const PATIENT: Limits = Limits {
    connections: 100,
    header_timeout: Duration::from_secs(60),
    idle_timeout: Duration::from_secs(60),
};

fn identity() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(vec!["store".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}

impl Server {
    async fn start(limits: Limits) -> Server {
        let router = Router::new()
            .route(
                "/",
                get(async |Extension(peer): Extension<Peer>| peer.address.to_string()),
            )
            .route("/hang", get(std::future::pending::<()>));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, certificate) = identity();
        let (tls, served) = watch::channel(config);
        let (stop, stopped) = watch::channel(false);
        Server {
            address,
            certificate,
            tls,
            stop,
            serving: tokio::spawn(serve(listener, served, router, limits, stopped)),
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Empty<Bytes>>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("store").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await?;
        let (requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Ok(requests)
    }
}

async fn ask(client: &mut SendRequest<Empty<Bytes>>, path: &str) -> hyper::Result<String> {
    client.ready().await?;
    let request = hyper::Request::get(path)
        .header("host", "store")
        .body(Empty::new())
        .unwrap();
    let body = client
        .send_request(request)
        .await?
        .into_body()
        .collect()
        .await?
        .to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// Waits until the other end closes.
async fn closed(mut silent: TcpStream) {
    let mut byte = [0];
    let over = async { while let Ok(1) = silent.read(&mut byte).await {} };
    timeout(DEADLINE, over).await.unwrap();
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let server = Server::start(PATIENT).await;
    let mut client = server.connect().await.unwrap();
    let peer = ask(&mut client, "/").await.unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(
        ask(&mut client, "/").await.unwrap(),
        peer,
        "the connection is kept"
    );
}

#[tokio::test]
async fn those_who_say_nothing_make_room_and_those_served_stay() {
    let server = Server::start(Limits {
        connections: 3,
        ..PATIENT
    })
    .await;
    let mut served = server.connect().await.unwrap();
    ask(&mut served, "/").await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut new = server.connect().await.unwrap();
    ask(&mut new, "/").await.unwrap();
    ask(&mut served, "/").await.unwrap();
    closed(silent.remove(0)).await;
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let short = Duration::from_millis(50);
    let server = Server::start(Limits {
        header_timeout: short,
        ..PATIENT
    })
    .await;
    closed(TcpStream::connect(server.address).await.unwrap()).await;

    let server = Server::start(Limits {
        idle_timeout: short,
        ..PATIENT
    })
    .await;
    let mut client = server.connect().await.unwrap();
    ask(&mut client, "/").await.unwrap();
    let over = async {
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, over).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections() {
    let mut server = Server::start(PATIENT).await;
    let mut old = server.connect().await.unwrap();
    ask(&mut old, "/").await.unwrap();
    let (config, certificate) = identity();
    server.tls.send(config).unwrap();
    assert!(
        server.connect().await.is_err(),
        "the old certificate is not presented any more"
    );
    server.certificate = certificate;
    ask(&mut server.connect().await.unwrap(), "/")
        .await
        .unwrap();
    ask(&mut old, "/").await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_what_is_idle_at_once_and_what_hangs_soon() {
    let server = Server::start(PATIENT).await;
    let mut idle = server.connect().await.unwrap();
    ask(&mut idle, "/").await.unwrap();
    let mut hanging = server.connect().await.unwrap();
    let hang = tokio::spawn(async move { ask(&mut hanging, "/hang").await });
    server.stop.send(true).unwrap();
    timeout(2 * STOP_GRACE, server.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(hang.await.unwrap().is_err());
    assert!(ask(&mut idle, "/").await.is_err());
}
