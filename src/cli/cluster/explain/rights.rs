//! What a person may not do, and who can change that. The words of the API server name a user, but the cause
//! may be another: no credentials at all, or no right to act as somebody.

use kube::core::Status;

use super::{Request, Scope};
use crate::cli::{cluster::login::Means, error::CliError};

/// Whom the API server takes for who shows nothing that it knows.
const ANONYMOUS: &str = "system:anonymous";

/// 401: nobody that it knows.
pub fn unknown(request: &Request, status: &Status) -> CliError {
    let place = &request.who.place;
    let error = |what: String| CliError::new(what).because(&status.message);
    let refused = |what: &str| {
        error(format!("the API server does not know you: it did not take {what} of the {place}"))
            .next("log in again, as your cluster's documentation says; kubectl auth whoami shows who you are to it")
    };
    match request.who.means {
        Means::Nothing => no_credentials(request, error),
        Means::Unsent => unsent(request, error),
        Means::Token => refused("the token"),
        Means::TokenFile => refused("the token in the file"),
        Means::Password => refused("the user name and password"),
        Means::Certificate => refused("the client certificate"),
        Means::Plugin => refused("what the login plugin gave"),
    }
}

fn no_credentials(request: &Request, error: impl Fn(String) -> CliError) -> CliError {
    error(format!(
        "the API server does not know you: the {} has no credentials",
        request.who.place
    ))
    .next("log in, or fetch the kubeconfig again, as your cluster's documentation says")
    .next("see whom it names: kubectl config view --minify")
}

fn unsent(request: &Request, error: impl Fn(String) -> CliError) -> CliError {
    error(format!(
        "the API server does not know you: without TLS ({}) nothing of the {} is sent",
        request.server, request.who.place
    ))
    .next("give the cluster's server as https://… in the kubeconfig")
}

/// 403: the user may not do this; or Kubernetes means a quota or a namespace that goes away.
pub fn forbidden(request: &Request, status: &Status) -> CliError {
    let message = &status.message;
    let Some(refusal) = Refusal::parse(message) else {
        return CliError::new(format!("failed to {}", request.what())).because(message);
    };
    if refusal.verb == "impersonate" {
        return no_impersonation(request, &refusal, message);
    }
    let anonymous = refusal.user == Some(ANONYMOUS) && request.who.acts_as.is_none();
    let because = |what: String| CliError::new(what).because(message);
    match request.who.means {
        Means::Nothing if anonymous => return no_credentials(request, because),
        Means::Unsent if anonymous => return unsent(request, because),
        _ => {}
    }
    if anonymous {
        return CliError::new(format!(
            "the API server takes you for {ANONYMOUS}: the credentials of the {} did not reach it",
            request.who.place
        ))
        .because(message)
        .next("is there a proxy or a load balancer before it that ends TLS? A client certificate does not pass one");
    }
    no_right(request, &refusal, message)
}

fn no_impersonation(request: &Request, refusal: &Refusal, message: &str) -> CliError {
    let wanted = request.who.acts_as.as_deref().unwrap_or_default();
    let user = refusal.user.unwrap_or_default();
    let what = match refusal.resource {
        Some("users") | None => format!("you may not act as {wanted}"),
        Some(resource) => format!("you may not act as {wanted} with these {resource}"),
    };
    CliError::new(what).because(message).next(format!(
        "do it as {user}: leave out --as, or `as` of the {}; or ask an administrator of the cluster for the right to impersonate {} for {user}",
        request.who.place,
        refusal.resource.unwrap_or("users"),
    ))
}

fn no_right(request: &Request, refusal: &Refusal, message: &str) -> CliError {
    let may_not = CliError::new(format!("you may not {}", request.what())).because(message);
    let administrator = match request.scope {
        Scope::Namespace(namespace) => format!("an administrator of {namespace}"),
        Scope::AllNamespaces => "an administrator of the cluster".to_owned(),
    };
    let Some(user) = refusal.user else {
        return may_not.next(format!(
            "ask {administrator} for the right to {} {}",
            request.verb, request.resource
        ));
    };
    let reads = matches!(request.verb, "get" | "list" | "watch");
    let output = request.resource.starts_with("joboutputs");
    let role = if reads && !output { "view" } else { "edit" };
    // A binding is one user's: with a name for all it could be made once.
    let binding = format!("herd-{role}-{}", for_name(user));
    let binding = match request.scope {
        Scope::Namespace(namespace) => format!("rolebinding {binding} --namespace {namespace}"),
        Scope::AllNamespaces => format!("clusterrolebinding {binding}"),
    };
    let ask = format!(
        "ask {administrator} for the role {role}: kubectl create {binding} --clusterrole={role} --user={}",
        for_shell(user)
    );
    if output {
        return may_not
            .next("the role view does not read output, unless the chart is installed with rbac.viewOutput=true: ask an administrator of the cluster for that")
            .next(format!("or {ask}"));
    }
    may_not.next(ask)
}

/// What the API server refused, in its own words: `User "jane" cannot get resource "jobs" in API group …`.
#[derive(Debug, PartialEq, Eq)]
struct Refusal<'a> {
    user: Option<&'a str>,
    verb: &'a str,
    resource: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    fn parse(message: &'a str) -> Option<Self> {
        let (_, after) = message.split_once(" cannot ")?;
        Some(Refusal {
            user: between(message, "User \"", "\" cannot "),
            verb: after.split(' ').next()?,
            resource: between(after, "resource \"", "\""),
        })
    }
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

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
