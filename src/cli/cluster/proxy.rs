//! Which proxy the way to the API server takes: kubectl's rules, which are those of Go's `net/http` for the
//! environment. No crate has them: others match NO_PROXY as curl does, without ports, and send loopback
//! addresses to the proxy too.

use std::{fmt, net::IpAddr};

use http::{HeaderValue, Uri, uri::Scheme};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

use super::login::basic;

/// The proxies that the environment names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    pub http: String,
    pub https: String,
    pub none: String,
    /// In a CGI program HTTP_PROXY is a header of its client's.
    pub cgi: bool,
}

/// A proxy, and how to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub kind: Kind,
    /// Its address, always with a port and never with a password.
    pub address: Uri,
    pub login: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Http,
    /// HTTP within TLS.
    Https,
    Socks5,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    #[error("it must begin with http://, https:// or socks5://")]
    Scheme,
    #[error("it must name a host, and a port if any as a number")]
    Address,
}

impl Environment {
    /// Capitals come first, and an empty variable is none.
    pub fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        let any = |names: [&str; 2]| {
            let set = names.into_iter().filter_map(&get);
            set.into_iter()
                .find(|value| !value.is_empty())
                .unwrap_or_default()
        };
        Environment {
            http: any(["HTTP_PROXY", "http_proxy"]),
            https: any(["HTTPS_PROXY", "https_proxy"]),
            none: any(["NO_PROXY", "no_proxy"]),
            cgi: get("REQUEST_METHOD").is_some_and(|method| !method.is_empty()),
        }
    }

    /// The proxy for requests to `server`; of one that can't be read, the variable.
    pub fn proxy(&self, server: &Uri) -> Result<Option<Proxy>, &'static str> {
        let (name, text) = match server.scheme_str() {
            Some("https") => ("HTTPS_PROXY", &self.https),
            Some("http") if !self.cgi => ("HTTP_PROXY", &self.http),
            _ => return Ok(None),
        };
        if text.is_empty() || !self.is_proxied(server) {
            return Ok(None);
        }
        Proxy::of_environment(text).map(Some).ok_or(name)
    }

    fn is_proxied(&self, server: &Uri) -> bool {
        let Some(host) = server.host() else {
            return false;
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host == "localhost" {
            return false;
        }
        let host = host.to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        if address.is_some_and(|ip| ip.is_loopback()) {
            return false;
        }
        let default = if server.scheme() == Some(&Scheme::HTTPS) {
            443
        } else {
            80
        };
        let port = server.port_u16().unwrap_or(default).to_string();
        let mut entries = self.none.split(',').filter_map(Exception::parse);
        !entries.any(|entry| entry.means(&host, address, &port))
    }
}

/// An entry of NO_PROXY.
#[derive(Debug)]
enum Exception {
    All,
    Network(IpNet),
    /// The empty port is any.
    Address(IpAddr, String),
    /// With a dot in front.
    Domain {
        suffix: String,
        port: String,
        itself: bool,
    },
}

impl Exception {
    /// None for an entry that means nothing.
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return Some(Exception::All);
        }
        if let Ok(network) = entry.parse() {
            return Some(Exception::Network(network));
        }
        let (host, port) = split_port(&entry).unwrap_or((&entry, ""));
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Exception::Address(address.to_canonical(), port.to_owned()));
        }
        let host = match host.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => domain,
            _ => host,
        };
        let itself = !host.starts_with('.');
        let dot = if itself { "." } else { "" };
        (!host.is_empty()).then(|| Exception::Domain {
            suffix: format!("{dot}{host}"),
            port: port.to_owned(),
            itself,
        })
    }

    fn means(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let is_port = |wanted: &str| wanted.is_empty() || wanted == port;
        match (self, address) {
            (Exception::All, _) => true,
            (Exception::Network(network), Some(address)) => network.contains(&address),
            (Exception::Address(wanted, wanted_port), Some(address)) => {
                *wanted == address && is_port(wanted_port)
            }
            (
                Exception::Domain {
                    suffix,
                    port,
                    itself,
                },
                None,
            ) => {
                let inside = host.ends_with(suffix.as_str());
                (inside || (*itself && host == &suffix[1..])) && is_port(port)
            }
            _ => false,
        }
    }
}

/// `host:port` or `[host]:port` in its parts; none where there is no port.
fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once("]:");
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

impl Proxy {
    /// From a variable: without a scheme it is an HTTP proxy, and so is one of a scheme that is unknown.
    fn of_environment(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if !rest.is_empty() => (scheme.to_ascii_lowercase(), rest),
            _ => ("http".to_owned(), text),
        };
        let kind = match scheme.as_str() {
            "https" => Kind::Https,
            "socks5" | "socks5h" => Kind::Socks5,
            _ => Kind::Http,
        };
        Proxy::at(kind, rest)
    }

    /// From the field `proxy-url` of a kubeconfig, which NO_PROXY does not change.
    pub fn of_kubeconfig(text: &str) -> Result<Self, BadProxy> {
        let (scheme, rest) = text.split_once("://").ok_or(BadProxy::Scheme)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => Kind::Http,
            "https" => Kind::Https,
            "socks5" => Kind::Socks5,
            _ => return Err(BadProxy::Scheme),
        };
        Proxy::at(kind, rest).ok_or(BadProxy::Address)
    }

    /// `rest`: what comes after the scheme. A path is of no use to a proxy.
    fn at(kind: Kind, rest: &str) -> Option<Self> {
        let authority = rest.split(['/', '?', '#']).next()?;
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            (plain(user), plain(password))
        });
        let (scheme, port) = match kind {
            Kind::Http => ("http", 80),
            Kind::Https => ("https", 443),
            Kind::Socks5 => ("socks5", 1080),
        };
        let host = host.strip_suffix(':').unwrap_or(host);
        let parsed: Uri = format!("{scheme}://{host}/").parse().ok()?;
        let name = parsed.host().filter(|name| !name.is_empty())?;
        let port = match parsed.authority()?.as_str().strip_prefix(name)? {
            "" => port,
            _ => parsed.port_u16()?,
        };
        let address = format!("{scheme}://{name}:{port}/").parse().ok()?;
        Some(Proxy {
            kind,
            address,
            login,
        })
    }

    /// What tells an HTTP proxy who asks.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.login.as_ref()?;
        Some(basic(user, password))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address.to_string().trim_end_matches('/'))
    }
}

/// Never the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests;
