//! The network of the test: an API server with and without TLS, proxies of each kind, and what they saw.

use std::{
    collections::BTreeSet,
    env, fs, mem,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crate::{
    authority::{Authority, Pair},
    proxies, servers,
};

/// All that arrived during one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests for Jobs: what says who asks and for what.
    pub requests: BTreeSet<String>,
    /// What the proxies were asked.
    pub proxied: BTreeSet<String>,
}

pub type Log = Arc<Mutex<Seen>>;

pub struct World {
    pub kubectl: PathBuf,
    pub authority: Authority,
    /// Nobody's.
    pub other: Authority,
    pub client: Pair,
    pub stranger: Pair,
    pub itself: Pair,
    pub itself_as_authority: Pair,
    log: Log,
}

/// The API server, with TLS and without, and one whose certificate is its own authority.
pub const SECURE: u16 = 6443;
/// Not 8080, where kubectl looks when nothing is configured.
pub const PLAIN: u16 = 8081;
pub const ITSELF: u16 = 6444;
pub const ITSELF_AS_AUTHORITY: u16 = 6445;
/// The proxies.
pub const HTTP: u16 = 3128;
pub const HTTPS: u16 = 3129;
pub const REFUSING: u16 = 3130;
pub const SOCKS: u16 = 1080;

impl World {
    pub async fn start() -> Self {
        let place =
            env::var("CONNECT_WORLD").expect("run tests/connect/run, which makes a network");
        let kubectl = PathBuf::from(env::var("CONNECT_KUBECTL").unwrap());
        assert!(
            kubectl.is_file(),
            "{kubectl:?}: deploy/local/build makes it"
        );
        let authority = Authority::new("connect");
        let names = [
            "api.connect.test",
            "proxy.connect.test",
            "other.connect.test",
            "localhost",
            "10.99.0.1",
            "fd00:99::1",
            "127.0.0.1",
        ];
        let server = authority.issue("server", &names);
        let itself = Pair::of_itself(&names, false);
        let itself_as_authority = Pair::of_itself(&names, true);
        let log = Log::default();
        let tls = authority.serve(&server);
        servers::secure(SECURE, tls.clone(), log.clone()).await;
        servers::secure(ITSELF, authority.serve(&itself), log.clone()).await;
        let as_authority = authority.serve(&itself_as_authority);
        servers::secure(ITSELF_AS_AUTHORITY, as_authority, log.clone()).await;
        servers::plain(PLAIN, log.clone()).await;
        proxies::http(HTTP, log.clone()).await;
        proxies::https(HTTPS, tls, log.clone()).await;
        proxies::refusing(REFUSING, log.clone()).await;
        proxies::socks(SOCKS, log.clone()).await;
        let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
        assert!(
            PathBuf::from(place).join("secrets").is_dir(),
            "not in the network of tests/connect/run"
        );
        fs::create_dir_all(&account).unwrap();
        fs::write(account.join("token"), "pod-token\n").unwrap();
        fs::write(account.join("ca.crt"), &authority.pem).unwrap();
        fs::write(account.join("namespace"), "team-a").unwrap();
        World {
            kubectl,
            client: authority.issue("dev", &[]),
            stranger: authority.issue("stranger", &[]),
            other: Authority::new("other"),
            authority,
            itself,
            itself_as_authority,
            log,
        }
    }

    /// What was seen since the last time.
    pub fn take(&self) -> Seen {
        mem::take(&mut *self.log.lock().unwrap())
    }
}
