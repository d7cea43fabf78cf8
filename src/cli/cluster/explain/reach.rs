//! Why no connection came about: which of the names, proxies and certificates on the way it was.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

use super::{Request, deepest, find};
use crate::cli::{cluster::connector::NoConnection, error::CliError};

/// Of an error that is about the connection.
pub fn no_connection(request: &Request, error: &kube::Error) -> Option<CliError> {
    let connection = find::<NoConnection>(error);
    if let Some(NoConnection::Refused { proxy, words }) = connection {
        return Some(refused_by_proxy(request, proxy, words));
    }
    let proxy = match connection {
        Some(NoConnection::Unreachable { proxy, .. }) => proxy.as_deref(),
        _ => None,
    };
    tls(request, proxy, error).or_else(|| unreachable(request, proxy, error))
}

/// What to do where the proxy is the wrong one, or none is wanted.
const SEE_PROXY: &str = "the proxy comes from proxy-url of the kubeconfig's cluster, or from HTTPS_PROXY or HTTP_PROXY; NO_PROXY names servers that are reached without it";

fn refused_by_proxy(request: &Request, proxy: &str, words: &str) -> CliError {
    CliError::new(format!(
        "the proxy {proxy} did not connect to the API server at {}",
        request.server
    ))
    .because(words)
    .next(
        "does it want a user and a password? They stand in its URL: http://USER:PASSWORD@HOST:PORT",
    )
    .next(SEE_PROXY)
}

fn tls(request: &Request, proxy: Option<&str>, error: &kube::Error) -> Option<CliError> {
    let other_end = match proxy {
        Some(proxy) => format!("the proxy {proxy}"),
        None => format!("the API server at {}", request.server),
    };
    match find::<rustls::Error>(error)? {
        rustls::Error::InvalidCertificate(why) => Some(certificate(&other_end, why)),
        rustls::Error::InvalidMessage(_) => Some(
            CliError::new(format!("{other_end} does not speak TLS"))
                .because(deepest(error))
                .next("is its URL right? With http:// it is spoken to without TLS"),
        ),
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied),
        ) => Some(
            CliError::new(format!(
                "{other_end} does not take the client certificate of the {}",
                request.who.place
            ))
            .because(format!("it answered {alert:?}"))
            .next("log in again, or fetch the kubeconfig of this cluster again"),
        ),
        _ => None,
    }
}

fn certificate(other_end: &str, why: &CertificateError) -> CliError {
    let words = match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it was not issued by the authority that the kubeconfig names"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: is this machine's clock right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name"
        }
        _ => "it can't be verified",
    };
    CliError::new(format!("the certificate of {other_end} is not trusted: {words}"))
        .because(why)
        .next("fetch the kubeconfig of this cluster again: certificate-authority-data and server must belong together")
}

fn unreachable(request: &Request, proxy: Option<&str>, error: &kube::Error) -> Option<CliError> {
    let cause = find::<io::Error>(error);
    let words = deepest(error);
    let host = |url: &str| {
        let url = url.parse::<http::Uri>().ok();
        url.and_then(|url| url.host().map(str::to_owned))
            .unwrap_or_default()
    };
    let words = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        Some(io::ErrorKind::TimedOut) => "no answer".to_owned(),
        _ if is_of_names(error) => format!(
            "the name {} can't be resolved: {words}",
            host(proxy.unwrap_or(request.server))
        ),
        _ => words,
    };
    let connection = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_));
    (connection || cause.is_some()).then(|| match proxy {
        None => CliError::new(format!("can't reach the API server at {}", request.server))
            .because(words)
            .next("is the cluster up, and the VPN? Another cluster: --context NAME"),
        Some(proxy) => CliError::new(format!(
            "can't reach the proxy {proxy} on the way to the API server at {}",
            request.server
        ))
        .because(words)
        .next(SEE_PROXY),
    })
}

/// True where a name was looked up without success: the connector says so only in words.
fn is_of_names(error: &(dyn Error + 'static)) -> bool {
    error.to_string().starts_with("dns error") || error.source().is_some_and(is_of_names)
}
