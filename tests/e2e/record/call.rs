//! Calls past the API server, straight to the store or a gateway, from within the node's network as any
//! pod could make them.

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::AsFd,
    process::Stdio,
    thread,
    time::Duration,
};

use herdctl::api::{job::STORE_CA_ANNOTATION, protocol};
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    cluster, node,
    team::{Team, namespace::TEAM_A},
};

/// The store's name in its certificate.
const STORE: &str = "herd-store";
/// Where the store and the gateways listen.
pub const STORE_PORT: u16 = 8443;
pub const GATEWAY_PORT: u16 = 10250;
/// A server that is there takes a connection at once.
const CONNECTS: Duration = Duration::from_secs(5);
/// No call takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    /// 0: it said nothing.
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Calls a server by curl.
pub async fn curl(arguments: &[&str], body: &[u8]) -> Answer {
    let network = format!("--net={}", node::namespace("net").display());
    let longest = LONGEST.as_secs().to_string();
    let mut command = Command::new("nsenter");
    command.args([&network, "curl", "--silent", "--max-time", &longest]);
    command
        .args(["--write-out", "\n%{http_code}"])
        .args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("nsenter is on the PATH");
    let mut stdin = child.stdin.take().unwrap();
    // A server may refuse a body before it has read all of it.
    let _ = stdin.write_all(body).await;
    drop(stdin);
    let said = child.wait_with_output().await.unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let (body, status) = said.rsplit_once('\n').expect("curl is on the PATH");
    Answer {
        status: status.parse().unwrap(),
        body: body.to_owned(),
    }
}

/// Connects to a server in the cluster, and says nothing.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let network = std::fs::File::open(node::namespace("net"))?;
    // A socket belongs to the network in which it was made, whoever uses it later.
    let connecting = thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpStream::connect_timeout(&to, CONNECTS)
    });
    connecting.join().unwrap()
}

/// The addresses of a component's pods.
pub async fn addresses(component: &str) -> Vec<IpAddr> {
    let client = cluster::as_controller().await;
    let pods: Api<Pod> = Api::namespaced(client, &cluster::system_namespace());
    let label = format!("app.kubernetes.io/component={component}");
    let found = pods
        .list(&ListParams::default().labels(&label))
        .await
        .unwrap();
    let addresses = found.items.into_iter().filter_map(|pod| pod.status?.pod_ip);
    addresses.map(|address| address.parse().unwrap()).collect()
}

/// The store, as a Job's pod knows it.
pub struct Store {
    pub address: SocketAddr,
    certificates: NamedTempFile,
    host: String,
}

impl Store {
    /// Takes the store's certificates from a pod of an agent.
    pub async fn known_by(team: &Team, pod: &str) -> Store {
        let pod = team.pods().get(pod).await.unwrap();
        let mut certificates = NamedTempFile::new().unwrap();
        let text = &pod.annotations()[STORE_CA_ANNOTATION];
        certificates.write_all(text.as_bytes()).unwrap();
        let address = addresses("store").await[0];
        Store {
            address: SocketAddr::new(address, STORE_PORT),
            certificates,
            host: format!("{STORE}.{}.svc", cluster::system_namespace()),
        }
    }

    /// Calls a path; without a token none is sent.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Answer {
        self.call_with(method, path, token, body, &[]).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &[u8],
        more: &[&str],
    ) -> Answer {
        let url = format!("https://{}:{STORE_PORT}{path}", self.host);
        let resolve = format!("{}:{STORE_PORT}:{}", self.host, self.address.ip());
        let certificates = self.certificates.path().to_str().unwrap();
        let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
        let mut arguments = vec!["--path-as-is", "--request", method];
        arguments.extend(["--cacert", certificates]);
        arguments.extend(["--resolve", &resolve]);
        if let Some(bearer) = &bearer {
            arguments.extend(["--header", bearer]);
        }
        if method == "POST" {
            arguments.extend(["--data-binary", "@-"]);
        }
        arguments.extend(more);
        arguments.push(&url);
        curl(&arguments, body).await
    }

    /// Opens an attempt's stream.
    pub async fn open(&self, job: &str, attempt: u32, token: Option<&str>) -> Answer {
        let path = protocol::attempt(TEAM_A, job, attempt);
        self.call("PUT", &path, token, b"").await
    }

    /// Appends to an attempt's segment.
    pub async fn append(
        &self,
        job: &str,
        attempt: u32,
        token: Option<&str>,
        offset: u64,
        body: &[u8],
    ) -> Answer {
        self.call("POST", &append(job, attempt, offset), token, body)
            .await
    }

    /// Appends to the first attempt's segment, some bytes a second, and gives up before long.
    pub async fn append_slowly(&self, job: &str, token: &str, offset: u64, body: &[u8]) -> Answer {
        let slow = ["--limit-rate", "500", "--max-time", "20"];
        self.call_with("POST", &append(job, 1, offset), Some(token), body, &slow)
            .await
    }
}

fn append(job: &str, attempt: u32, offset: u64) -> String {
    let path = protocol::output(TEAM_A, job, attempt);
    let (at, acked) = (protocol::OFFSET, protocol::ACKED);
    format!("{path}?{at}={offset}&{acked}={offset}")
}

/// A token of the service account `default` in team-a, bound to a pod where one is named.
pub async fn token(team: &Team, audience: &str, pod: Option<&Pod>) -> String {
    let bound = pod.map(|pod| BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    });
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            bound_object_ref: bound,
            expiration_seconds: Some(3600),
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(team.client.clone(), TEAM_A);
    let answer = accounts
        .create_token_request("default", &PostParams::default(), &request)
        .await
        .unwrap();
    answer.status.unwrap().token
}
