//! The address of the API server as a kubeconfig's `server` gives it, or as a pod's environment does.

use std::net::Ipv6Addr;

use http::{Uri, uri::Scheme};
use percent_encoding::percent_decode_str;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// With scheme and host; a path before those of Kubernetes stays.
    pub address: Uri,
    /// User and password that stand in the address, decoded. The address is without them.
    pub login: Option<(String, String)>,
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    #[error("it must be a URL like https://api.example.com:6443")]
    Url,
    #[error("it must begin with https:// or http://")]
    Scheme,
    #[error("a host with a path must begin with https://")]
    PathOnly,
}

impl Server {
    /// A host without a scheme is spoken to without TLS, as kubectl does.
    pub fn parse(text: &str) -> Result<Self, BadServer> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => ("http".to_owned(), text),
        };
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(BadServer::Scheme);
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if !text.contains("://") && path.len() > 1 {
            return Err(BadServer::PathOnly);
        }
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let host = host.strip_suffix(':').unwrap_or(host);
        let address = Uri::builder()
            .scheme(scheme.as_str())
            .authority(host)
            .path_and_query(if path.is_empty() { "/" } else { path });
        let address = address.build().map_err(|_| BadServer::Url)?;
        let named = address.host().is_some_and(|host| !host.is_empty());
        let port = host
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        if !named || (port.is_some() && address.port_u16().is_none()) {
            return Err(BadServer::Url);
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (plain(user), plain(password))
        });
        Ok(Server { address, login })
    }

    /// That of the pod in which we run.
    pub fn of_pod(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name| get(name).filter(|value| !value.is_empty());
        let host = set("KUBERNETES_SERVICE_HOST")?;
        let port = set("KUBERNETES_SERVICE_PORT")?;
        let host = match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host,
        };
        Server::parse(&format!("https://{host}:{port}")).ok()
    }

    /// Only with TLS are credentials sent.
    pub fn is_secure(&self) -> bool {
        self.address.scheme() == Some(&Scheme::HTTPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<String, BadServer> {
        Server::parse(text).map(|server| server.address.to_string())
    }

    #[test]
    fn a_server_is_read_as_kubectl_reads_it() {
        for (text, expected) in [
            ("https://api.example:6443", "https://api.example:6443/"),
            ("HTTPS://API.example", "https://API.example/"),
            ("https://api.example/", "https://api.example/"),
            (
                "https://rancher.example/k8s/clusters/c-1",
                "https://rancher.example/k8s/clusters/c-1",
            ),
            (
                "https://api.example/path/?a=b#c",
                "https://api.example/path/",
            ),
            ("https://[fd00::1]:6443", "https://[fd00::1]:6443/"),
            ("https://[fd00::1]", "https://[fd00::1]/"),
            ("https://api.example:", "https://api.example/"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080/"),
            ("api.example", "http://api.example/"),
            ("https://jo:pw@api.example", "https://api.example/"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(address("api.example/path"), Err(BadServer::PathOnly));
        assert_eq!(address("ftp://api.example"), Err(BadServer::Scheme));
        for text in ["https://", "https:// a", "https://a b", "https://a:b"] {
            assert_eq!(address(text), Err(BadServer::Url), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_taken_out() {
        let server = Server::parse("https://jo:p%40w@api.example").unwrap();
        assert_eq!(server.login, Some(("jo".into(), "p@w".into())));
        assert!(!server.address.to_string().contains("p@w"));
    }

    #[test]
    fn a_pod_knows_its_server_by_two_variables() {
        let of = |host: &str, port: &str| {
            let server = Server::of_pod(|name| {
                let value = if name.ends_with("HOST") { host } else { port };
                Some(value.to_owned())
            });
            server.map(|server| server.address.to_string())
        };
        assert_eq!(
            of("10.96.0.1", "443").as_deref(),
            Some("https://10.96.0.1:443/")
        );
        assert_eq!(
            of("fd00::1", "443").as_deref(),
            Some("https://[fd00::1]:443/")
        );
        assert_eq!(of("", "443"), None);
        assert_eq!(of("10.96.0.1", ""), None);
    }
}
