//! A request as it comes over the wire, and the object or list that it is about.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{Answer, failure};

/// A raw request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// The kinds that the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Agents,
    ConfigMaps,
    Jobs,
    Namespaces,
    Nodes,
    Pods,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub resource: Resource,
    pub namespace: String,
    pub name: String,
}

/// What a path leads to.
#[derive(Clone, Debug)]
pub struct Target {
    pub resource: Resource,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Request {
    pub fn new(method: &str, key: &Key, subresource: &str) -> Request {
        let mut path = key.resource.prefix().to_owned();
        if key.resource.is_namespaced() {
            path.push_str(&format!("/namespaces/{}", key.namespace));
        }
        path.push_str(&format!("/{}", key.resource.plural()));
        if method != "POST" {
            path.push_str(&format!("/{}", key.name));
        }
        if !subresource.is_empty() {
            path.push_str(&format!("/{subresource}"));
        }
        Request {
            method: method.to_owned(),
            path,
            content_type: "application/json".to_owned(),
            ..Request::default()
        }
    }

    pub fn with(mut self, content_type: &str, body: &Value) -> Request {
        self.content_type = content_type.to_owned();
        self.body = body.to_string().into_bytes();
        self
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub fn asks(&self, name: &str, value: &str) -> bool {
        self.parameter(name) == Some(value)
    }

    pub(super) fn body(&self) -> Result<Value, Answer> {
        serde_json::from_slice(&self.body)
            .map_err(|error| failure(400, "BadRequest", &format!("the body is no JSON: {error}")))
    }

    /// The object or list that this is about, if the server knows such.
    pub fn target(&self) -> Option<Target> {
        let mut steps = self.path.trim_matches('/').split('/');
        let prefix = match steps.next()? {
            "api" => format!("/api/{}", steps.next()?),
            "apis" => format!("/apis/{}/{}", steps.next()?, steps.next()?),
            _ => return None,
        };
        let mut rest: Vec<&str> = steps.collect();
        let namespace = match rest.as_slice() {
            ["namespaces", namespace, _, ..] => Some((*namespace).to_owned()),
            _ => None,
        };
        if namespace.is_some() {
            rest.drain(..2);
        }
        let mut rest = rest.into_iter();
        let plural = rest.next()?;
        let resource = Resource::ALL
            .into_iter()
            .find(|it| it.plural() == plural && it.prefix() == prefix)?;
        Some(Target {
            resource,
            namespace,
            name: rest.next().map(str::to_owned),
            subresource: rest.next().map(str::to_owned),
        })
    }
}

impl Target {
    pub fn key(&self) -> Key {
        self.with_name(self.name.as_deref().unwrap_or_default())
    }

    pub fn with_name(&self, name: &str) -> Key {
        Key::new(
            self.resource,
            self.namespace.as_deref().unwrap_or_default(),
            name,
        )
    }

    pub fn covers(&self, key: &Key) -> bool {
        key.resource == self.resource
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
    }
}

impl Key {
    pub fn new(resource: Resource, namespace: &str, name: &str) -> Key {
        Key {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl Resource {
    pub const ALL: [Resource; 6] = [
        Resource::Agents,
        Resource::ConfigMaps,
        Resource::Jobs,
        Resource::Namespaces,
        Resource::Nodes,
        Resource::Pods,
    ];

    pub fn kind(self) -> &'static str {
        match self {
            Resource::Agents => "Agent",
            Resource::ConfigMaps => "ConfigMap",
            Resource::Jobs => "Job",
            Resource::Namespaces => "Namespace",
            Resource::Nodes => "Node",
            Resource::Pods => "Pod",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Resource::Agents => "agents",
            Resource::ConfigMaps => "configmaps",
            Resource::Jobs => "jobs",
            Resource::Namespaces => "namespaces",
            Resource::Nodes => "nodes",
            Resource::Pods => "pods",
        }
    }

    /// The API group and version, as objects name them.
    pub fn api_version(self) -> &'static str {
        if self.is_ours() {
            "herdctl.dev/v1alpha1"
        } else {
            "v1"
        }
    }

    fn prefix(self) -> &'static str {
        if self.is_ours() {
            "/apis/herdctl.dev/v1alpha1"
        } else {
            "/api/v1"
        }
    }

    pub fn is_ours(self) -> bool {
        matches!(self, Resource::Agents | Resource::Jobs)
    }

    /// Changes of the spec are counted: for custom resources, as far as anybody here looks.
    pub fn counts_generations(self) -> bool {
        self.is_ours()
    }

    /// A deletion answers with the object that is gone, not only with its name.
    pub fn returns_deleted(self) -> bool {
        matches!(self, Resource::Pods | Resource::Namespaces)
    }

    pub fn is_namespaced(self) -> bool {
        !matches!(self, Resource::Namespaces | Resource::Nodes)
    }

    pub fn has_status(self) -> bool {
        !matches!(self, Resource::ConfigMaps | Resource::Agents)
    }
}
