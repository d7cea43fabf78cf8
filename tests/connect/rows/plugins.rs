//! Login plugins.

use serde_json::{Value, json};

use super::{API, Kit, laid_over};
use crate::{row::Row, world::PLAIN};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let exec = |more: Value| {
        let usual = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "plugin", "interactiveMode": "IfAvailable"});
        kit.user(json!({"exec": laid_over(usual, more)}))
    };
    let gives = json!({"token": "pl0gin"});
    let certificate = json!({"clientCertificateData": kit.world.client.certificate, "clientKeyData": kit.world.client.key});
    let beta =
        json!({"apiVersion": "client.authentication.k8s.io/v1beta1", "interactiveMode": null});
    let info = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "plugin",
        "interactiveMode": "Never", "provideClusterInfo": true}});
    let told = kit.cluster(
        json!({"tls-server-name": API, "disable-compression": true, "extensions":
        [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}]}),
    );
    vec![
        Row::new("a plugin", &exec(json!({}))).plugin("v1", &gives),
        Row::new("a plugin of the older version", &exec(beta.clone())).plugin("v1beta1", &gives),
        Row::new("a plugin that answers with another version", &exec(beta)).plugin("v1", &gives).says("answered with another apiVersion"),
        Row::new("a plugin without interactiveMode", &exec(json!({"interactiveMode": null}))).plugin("v1", &gives).says("has no interactiveMode"),
        Row::new("a plugin that must ask", &exec(json!({"interactiveMode": "Always"}))).plugin("v1", &gives).says("standard input is not a terminal"),
        Row::new("a plugin with arguments and a variable", &exec(json!({"args": ["get", "a b"],
            "env": [{"name": "PLUGIN_VARIABLE", "value": "set"}]}))).plugin("v1", &gives),
        Row::new("a plugin beside the kubeconfig", &exec(json!({"command": "./bin/plugin"}))).plugin("v1", &gives),
        Row::new("a plugin that is told of the cluster", &kit.config(told, info)).plugin("v1", &gives),
        Row::new("a plugin that gives a certificate", &exec(json!({}))).plugin("v1", &certificate),
        Row::new("a plugin that gives both", &exec(json!({}))).plugin("v1", &laid_over(certificate, gives.clone())),
        Row::new("a plugin that gives a key alone", &exec(json!({}))).plugin("v1", &json!({"clientKeyData": "x"})).says("gave only one of certificate and key"),
        Row::new("a plugin that gives nothing", &exec(json!({}))).plugin("v1", &json!({})).says("gave neither a token nor a certificate"),
        Row::new("a plugin whose token ended long ago", &exec(json!({}))).plugin("v1", &laid_over(gives.clone(),
            json!({"expirationTimestamp": "2999-01-01T00:00:00Z"}))),
        Row::new("a plugin that is missing", &exec(json!({"command": "missing"}))).says("the login plugin missing is not installed"),
        Row::new("a plugin that fails", &exec(json!({"command": "false"}))).says("the login plugin false of the user u in"),
        Row::new("a plugin that says nothing", &exec(json!({"command": "true"}))).says("printed no ExecCredential"),
        Row::new("a plugin beside a token", &laid_over(exec(json!({"command": "missing"})), json!({"users":
            [{"name": "u", "user": {"token": "t0ken", "exec": {"apiVersion": "client.authentication.k8s.io/v1",
                "command": "missing", "interactiveMode": "Never"}}}]}))),
        Row::new("a plugin and no TLS", &kit.config(
            json!({"server": format!("http://{API}:{PLAIN}")}),
            json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "missing", "interactiveMode": "Never"}}),
        )),
    ]
}
