//! Whom a request acts as.

use serde_json::json;

use super::{API, Kit};
use crate::{row::Row, world::PLAIN};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let acting = json!({"token": "t0ken", "as": "jane", "as-uid": "7", "as-groups": ["a", "b c"],
        "as-user-extra": {"reason": ["x", "y"], "example.com/Scope %": ["ü"]}});
    vec![
        Row::new("acting by the kubeconfig", &kit.user(acting.clone())),
        Row::new("acting by a flag", &kit.usual()).with(&["--as", "jo:Ü"]),
        Row::new("acting by all flags", &kit.usual()).with(&[
            "--as=jo",
            "--as-group=a",
            "--as-group=b",
            "--as-uid=8",
        ]),
        Row::new("a flag over the kubeconfig", &kit.user(acting.clone())).with(&["--as", "jo"]),
        Row::new("groups over the kubeconfig's", &kit.user(acting.clone()))
            .with(&["--as-group", "z"]),
        Row::new("groups of nobody", &kit.usual())
            .with(&["--as-group", "z"])
            .says("but no user"),
        Row::new(
            "groups of nobody by the kubeconfig",
            &kit.user(json!({"token": "t", "as-groups": ["a"]})),
        )
        .says("but no user"),
        Row::new(
            "acting without TLS",
            &kit.config(json!({"server": format!("http://{API}:{PLAIN}")}), acting),
        ),
    ]
}
