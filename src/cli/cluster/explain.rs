//! Turns what came back from the API server, or did not, into sentences with a next step.

use std::{error::Error, io, time::Duration};

use hyper_util::client::legacy;
use kube::{client::AuthError, core::Status};
use rustls::CertificateError;

use crate::{api::text::one_line, cli::error::CliError};

/// Where an answer is no `Status`, its whole body is the message.
const MAX_CAUSE: usize = 512;

/// What was asked of the API server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub server: &'a str,
    /// Kubernetes' own word, as RBAC has it.
    pub verb: &'static str,
    pub resource: &'static str,
    pub scope: Scope<'a>,
    pub name: Option<&'a str>,
}

/// Where something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    Namespace(&'a str),
    AllNamespaces,
    /// In no namespace.
    Cluster,
}

impl<'a> Request<'a> {
    #[must_use]
    pub fn named(self, name: &'a str) -> Self {
        Request {
            name: Some(name),
            ..self
        }
    }

    #[must_use]
    pub fn everywhere(self, everywhere: bool) -> Self {
        let scope = if everywhere {
            Scope::AllNamespaces
        } else {
            self.scope
        };
        Request { scope, ..self }
    }

    fn place(&self) -> String {
        match self.scope {
            Scope::Namespace(namespace) => format!(" in namespace {namespace}"),
            Scope::AllNamespaces => " in all namespaces".into(),
            Scope::Cluster => String::new(),
        }
    }

    fn what(&self) -> String {
        match self.name {
            Some(name) => format!("{} {} {name}{}", self.verb, self.resource, self.place()),
            None => format!("{} {}{}", self.verb, self.resource, self.place()),
        }
    }
}

/// An error in words.
pub fn explain(request: &Request, error: &kube::Error) -> CliError {
    match error {
        kube::Error::Api(status) => refused(request, status),
        kube::Error::Auth(error) => cannot_log_in(error),
        error => certificate(request, error)
            .or_else(|| unreachable(request, error))
            .unwrap_or_else(|| {
                CliError::new(format!("failed to {}", request.what())).because(deepest(error))
            }),
    }
}

/// The request may have been carried out: it went out, and what came back does not say.
pub fn is_open(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500,
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => true,
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            !find::<legacy::Error>(error).is_some_and(legacy::Error::is_connect)
        }
        _ => false,
    }
}

/// No answer at all.
pub fn no_answer(request: &Request, after: Duration) -> CliError {
    CliError::new(format!(
        "the API server at {} did not answer within {} s",
        request.server,
        after.as_secs()
    ))
    .next("try again; if it stays so, see whether kubectl get namespaces answers")
}

pub fn no_namespace(namespace: &str) -> CliError {
    CliError::new(format!("there is no namespace {namespace}"))
        .next("name another: -n NAME; kubectl get namespaces lists them")
}

/// A refusal in words.
pub fn refused(request: &Request, status: &Status) -> CliError {
    let details = status.details.as_ref();
    let failed = || CliError::new(format!("failed to {}", request.what()));
    match status.code {
        401 => CliError::new("the API server does not know you")
            .because(&status.message)
            .next("log in again, as your cluster's documentation says; kubectl auth whoami tells who you are to it"),
        403 => forbidden(request, status),
        404 if details.is_some_and(|details| details.kind == "namespaces") => {
            match request.scope {
                Scope::Namespace(namespace) => no_namespace(namespace),
                Scope::AllNamespaces | Scope::Cluster => failed().because(&status.message),
            }
        }
        // A missing object is named; only a missing kind is not.
        404 if details.is_none_or(|details| details.name.is_empty()) => not_installed(request),
        404 => CliError::new(format!(
            "there is no {} {}{}",
            request.resource,
            request.name.unwrap_or_default(),
            request.place()
        )),
        409 if status.is_already_exists() => CliError::new(format!(
            "there is a Job {} already{}",
            request.name.unwrap_or_default(),
            request.place()
        ))
        .next("choose another --name, or leave it out: each run gets a name of its own"),
        400 | 422 => invalid(request, status),
        429 => failed()
            .because("the API server is overloaded")
            .next("try again in a while"),
        500.. => failed()
            .because(&status.message)
            .next("try again; the fault is the API server's"),
        _ => failed().because(&status.message),
    }
}

/// The user may not do this; or Kubernetes says 403 and means a quota or a namespace that goes away.
fn forbidden(request: &Request, status: &Status) -> CliError {
    let message = &status.message;
    if !message.contains("cannot") {
        return CliError::new(format!("failed to {}", request.what())).because(message);
    }
    let may_not = CliError::new(format!("you may not {}", request.what())).because(message);
    let Some(user) = between(message, "User \"", "\"") else {
        return may_not.next(format!(
            "ask whoever runs the cluster for the right to {} {}",
            request.verb, request.resource
        ));
    };
    let role = if matches!(request.verb, "get" | "list" | "watch")
        && !request.resource.starts_with("joboutputs")
    {
        "view"
    } else {
        "edit"
    };
    // A binding is one user's: with a name for all it could be made once.
    let binding = format!("herd-{role}-{}", for_name(user));
    let binding = match request.scope {
        Scope::Namespace(namespace) => format!("rolebinding {binding} --namespace {namespace}"),
        Scope::AllNamespaces | Scope::Cluster => format!("clusterrolebinding {binding}"),
    };
    may_not.next(format!(
        "whoever administers it can give you the role {role}: kubectl create {binding} --clusterrole={role} --user={}",
        for_shell(user)
    ))
}

/// A user as a part of an object's name: `jane@example.com` becomes `jane-example-com`.
fn for_name(user: &str) -> String {
    let words = user.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

/// A word as a shell takes it. Users' names come from elsewhere and may be anything.
fn for_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn not_installed(request: &Request) -> CliError {
    CliError::new(format!(
        "herdctl is not installed on the cluster at {}: it knows no {}",
        request.server, request.resource
    ))
    .next("install it: helm install herd CHART --namespace herd-system --create-namespace; or name another cluster: --context NAME")
}

fn invalid(request: &Request, status: &Status) -> CliError {
    let mut error = CliError::new(format!("the API server refused to {}", request.what()));
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut told = false;
    for cause in causes {
        told = true;
        error = error.because(format!("{}: {}", cause.field, cause.message));
    }
    if told {
        error
    } else {
        error.because(&status.message)
    }
}

fn cannot_log_in(error: &AuthError) -> CliError {
    let login = CliError::new("could not log in as the kubeconfig says");
    let login = match error {
        // Its standard output may be a token.
        AuthError::AuthExecRun { cmd, out } => login
            .because(format!("{cmd} ended with {}", out.status))
            .because(String::from_utf8_lossy(&out.stderr)),
        other => login.because(deepest(other)),
    };
    login.next("see whether kubectl get namespaces works; log in again if it does not")
}

fn certificate(request: &Request, error: &kube::Error) -> Option<CliError> {
    let rustls::Error::InvalidCertificate(why) = find::<rustls::Error>(error)? else {
        return None;
    };
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
    Some(
        CliError::new(format!(
            "the certificate of the API server at {} is not trusted: {words}",
            request.server
        ))
        .because(why)
        .next("fetch the kubeconfig of this cluster again: certificate-authority-data and server must belong together"),
    )
}

fn unreachable(request: &Request, error: &kube::Error) -> Option<CliError> {
    let cause = find::<io::Error>(error);
    let words = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        Some(io::ErrorKind::TimedOut) => "no answer".to_owned(),
        _ => deepest(error),
    };
    let connection = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_));
    (connection || cause.is_some()).then(|| {
        CliError::new(format!("can't reach the API server at {}", request.server))
            .because(words)
            .next("is the cluster up, and the VPN? Another cluster: --context NAME")
    })
}

/// The first error of this type in the chain. Libraries box errors within `io::Error`s, whose `source` is
/// then that of the boxed one; so each is opened too.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let boxed = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    boxed
        .and_then(|inner| find(inner))
        .or_else(|| error.downcast_ref())
        .or_else(|| find(error.source()?))
}

/// The words at the bottom of a chain, as one clean line: the layers above only say that something below
/// failed.
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    one_line(&last.to_string(), MAX_CAUSE)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
