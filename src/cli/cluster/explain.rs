//! Turns what came back from the API server, or did not, into sentences with a next step.

use std::{error::Error, io, time::Duration};

use hyper_util::client::legacy;
use kube::core::Status;

use super::{connect::Who, transport::NoLogin};
use crate::{api::text::Clean, cli::error::CliError};

mod reach;
pub mod rights;

/// Where an answer is no `Status`, its whole body is the message.
const MAX_CAUSE: usize = 512;

/// What was asked of the API server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub server: &'a str,
    pub who: &'a Who,
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
    /// What belongs to no namespace.
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

    #[must_use]
    pub fn of_cluster(self) -> Self {
        Request {
            scope: Scope::Cluster,
            ..self
        }
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
    if let kube::Error::Api(status) = error {
        return refused(request, status);
    }
    if let Some(NoLogin(told)) = find::<NoLogin>(error) {
        return told.clone();
    }
    reach::no_connection(request, error).unwrap_or_else(|| {
        CliError::new(format!("failed to {}", request.what())).because(deepest(error))
    })
}

/// The request may have been carried out: it went out, and what came back does not say.
pub fn is_open(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500,
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => true,
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            let connected = !find::<legacy::Error>(error).is_some_and(legacy::Error::is_connect);
            connected && find::<NoLogin>(error).is_none()
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
        401 => rights::unknown(request, status),
        403 => rights::forbidden(request, status),
        404 if details.is_some_and(|details| details.kind == "namespaces") => match request.scope {
            Scope::Namespace(namespace) => no_namespace(namespace),
            Scope::AllNamespaces | Scope::Cluster => failed().because(&status.message),
        },
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
    Clean::line(&last.to_string(), MAX_CAUSE).into()
}
