//! What a person may not do, and who can change that. The words of the API server name a user, but the cause
//! may be another: no credentials at all, or no right to act as somebody.

use kube::core::Status;

use super::{Request, Scope};
use crate::cli::{cluster::login::Means, error::CliError};

/// What tells the version of the API server; it belongs to no namespace, and to no API group.
pub const VERSION: &str = "/version";
/// The role that every user has, unless an administrator took it away.
const DISCOVERY: &str = "system:discovery";
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
    if refusal.is_of_acting() {
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
    let wanted = request.who.acts_as.as_deref().unwrap_or("somebody else");
    let user = refusal.user.unwrap_or_default();
    let what = match refusal.resource {
        _ if refusal.is_of_a_deed() => {
            format!("you may not act as {wanted} to {}", request.what())
        }
        Some("users" | "serviceaccounts" | "nodes") | None => {
            format!("you may not act as {wanted}")
        }
        Some(resource) => format!("you may not act as {wanted} with these {resource}"),
    };
    let right = match refusal.resource {
        Some(resource) if refusal.is_of_a_deed() => {
            format!("to {} {resource}, or to impersonate users", refusal.verb)
        }
        None if refusal.is_of_a_deed() => {
            format!(
                "to {} {}, or to impersonate users",
                refusal.verb, request.resource
            )
        }
        resource => format!("to impersonate {}", resource.unwrap_or("users")),
    };
    CliError::new(what).because(message).next(format!(
        "do it as {user}: leave out --as, or `as` of the {}; or ask an administrator of the cluster for the right {right} for {user}",
        request.who.place,
    ))
}

/// The right to act as somebody else is missing, whatever else may be.
pub fn is_of_acting(status: &Status) -> bool {
    Refusal::parse(&status.message).is_some_and(|refusal| refusal.is_of_acting())
}

fn no_right(request: &Request, refusal: &Refusal, message: &str) -> CliError {
    let may_not = CliError::new(format!("you may not {}", request.what())).because(message);
    let administrator = match request.scope {
        Scope::Namespace(namespace) => format!("an administrator of {namespace}"),
        Scope::AllNamespaces | Scope::Cluster => "an administrator of the cluster".to_owned(),
    };
    let Some(user) = refusal.user else {
        return may_not.next(format!(
            "ask {administrator} for the right to {} {}",
            request.verb, request.resource
        ));
    };
    let reads = matches!(request.verb, "get" | "list" | "watch");
    let output = request.resource.starts_with("joboutputs");
    let role = match (reads && !output, request.resource) {
        (_, VERSION) => DISCOVERY,
        (true, _) => "view",
        (false, _) => "edit",
    };
    let ask = format!(
        "ask {administrator} for the role {role}: {}",
        binding(role, request.scope, user)
    );
    if output {
        return may_not
            .next("the role view does not read output, unless the chart is installed with rbac.viewOutput=true: ask an administrator of the cluster for that")
            .next(format!("or {ask}"));
    }
    may_not.next(ask)
}

/// The command that gives a user a role. A binding is one user's: with a name for all it could be made once.
pub fn binding(role: &str, scope: Scope, user: &str) -> String {
    let name = format!("herd-{}-{}", for_name(role), for_name(user));
    let what = match scope {
        Scope::Namespace(namespace) => format!("rolebinding {name} --namespace {namespace}"),
        Scope::AllNamespaces | Scope::Cluster => format!("clusterrolebinding {name}"),
    };
    format!(
        "kubectl create {what} --clusterrole={role} --user={}",
        for_shell(user)
    )
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

    /// Since Kubernetes 1.36 the verb says more: as whom one would act (`impersonate:user-info`), and what
    /// one would do as that (`impersonate-on:user-info:list`).
    fn is_of_acting(&self) -> bool {
        let verb = self.verb;
        verb == "impersonate" || verb.starts_with("impersonate:") || self.is_of_a_deed()
    }

    /// What it names is what was to be done, not as whom.
    fn is_of_a_deed(&self) -> bool {
        self.verb.starts_with("impersonate-on:")
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
    quoted(word)
}

/// A word in quotes, as a shell takes it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_act_as_somebody_has_a_verb_of_several_forms() {
        for (verb, of_acting, of_a_deed) in [
            ("impersonate", true, false),
            ("impersonate:user-info", true, false),
            ("impersonate:serviceaccount", true, false),
            ("impersonate:arbitrary-node", true, false),
            ("impersonate-on:user-info:list", true, true),
            ("impersonate-on:serviceaccount:create", true, true),
            ("list", false, false),
        ] {
            let message = format!("User \"dev\" cannot {verb} resource \"jobs\" in API group \"\"");
            let refusal = Refusal::parse(&message).unwrap();
            assert_eq!(
                (refusal.is_of_acting(), refusal.is_of_a_deed()),
                (of_acting, of_a_deed),
                "{verb}"
            );
            assert_eq!((refusal.user, refusal.verb), (Some("dev"), verb));
        }
        let path =
            Refusal::parse("User \"dev\" cannot impersonate-on:user-info:get path \"/version\"");
        assert!(path.is_some_and(|refusal| refusal.is_of_a_deed() && refusal.resource.is_none()));
    }
}
