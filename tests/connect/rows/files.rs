//! Which files count, and what of them.

use serde_json::{Value, json};

use super::{Kit, laid_over, token};
use crate::row::Row;

pub fn rows(kit: &Kit) -> Vec<Row> {
    let usual = kit.usual();
    let text = usual.to_string();
    let without = |fields: &[&str], more: Value| {
        let mut part = usual.clone();
        let all = part.as_object_mut().unwrap();
        all.retain(|name, _| !fields.contains(&name.as_str()));
        laid_over(part, more)
    };
    let one = without(&["users"], json!({"current-context": ""}));
    let two = without(&["clusters", "contexts"], json!({}));
    let list = |name, list: &str| Row::new(name, &usual).set("KUBECONFIG", list);
    let broken = json!({"users": [{"name": "u", "user": token()}, {"name": "x", "user": {"auth-provider": {"name": "gcp", "config": {}}}}, {"name": "y"}],
        "clusters": [usual["clusters"][0], {"name": "x", "cluster": null}],
        "contexts": [usual["contexts"][0], {"name": "x", "context": {"user": "u"}}, {"name": "y", "context": {"cluster": "nowhere", "user": "nobody"}}, {"name": "z"}],
        "preferences": {}, "extensions": null});
    vec![
        list("a list with a missing file first", "{home}/missing:{home}/config"),
        list("a list with a missing file last", "{home}/config:{home}/missing"),
        list("a list with empty entries", ":{home}/config::"),
        list("a list with a file twice", "{home}/config:{home}/config"),
        list("a list with an empty file", "{home}/empty:{home}/config").file("empty", ""),
        list("a list with a folder", "{home}:{home}/config").says("can't read the kubeconfig"),
        list("a list with rubbish", "{home}/config:{home}/rubbish").file("rubbish", "clusters: 5").says("rubbish can't be used"),
        list("a list of missing files", "{home}/missing:{home}/missing2").says("/missing or /"),
        list("only an empty file", "{home}/empty").file("empty", "").says("names no current context"),
        list("split in two, an empty current-context first", "{home}/one:{home}/two")
            .file("one", &one.to_string()).file("two", &two.to_string()),
        list("the first of two entries of one name", "{home}/config:{home}/two").file("two", &laid_over(two.clone(),
            json!({"current-context": "other", "users": [{"name": "u", "user": {"token": "later", "as": "x"}}]})).to_string()),
        list("paths of each file", "{home}/a/one:{home}/b/two")
            .file("a/one", &laid_over(one.clone(), json!({"clusters": [{"name": "c", "cluster":
                {"server": kit.secure(), "certificate-authority": "ca.crt"}}]})).to_string())
            .file("a/ca.crt", &kit.world.authority.pem)
            .file("b/two", &laid_over(two, json!({"users": [{"name": "u", "user": {"tokenFile": "token"}}]})).to_string())
            .file("b/token", "f1le"),
        Row::bare("the file in the home").file(".kube/config", &text),
        list("an empty KUBECONFIG", "").file(".kube/config", &text),
        Row::bare("a missing file by a flag").with(&["--kubeconfig", "/nowhere/config"]).says("there is no kubeconfig at /nowhere/config"),
        Row::bare("no kubeconfig at all").says("/.kube/config"),
        Row::new("no current-context", &laid_over(usual.clone(), json!({"current-context": null}))).says("names no current context"),
        Row::new("an empty current-context", &laid_over(usual.clone(), json!({"current-context": ""}))).says("names no current context"),
        Row::new("a current-context that is missing", &laid_over(usual.clone(), json!({"current-context": "gone"}))).says("no context gone, which is its current-context"),
        Row::new("a context by a flag", &laid_over(usual.clone(), json!({"current-context": "gone"}))).with(&["--context", "here"]),
        Row::new("a context by a flag that is missing", &usual).with(&["--context", "gone"]).says("has no context gone"),
        Row::new("a context without a cluster", &laid_over(usual.clone(), broken.clone())).with(&["--context", "x"]).says("names no cluster"),
        Row::new("a context of a missing cluster", &laid_over(usual.clone(), broken.clone())).with(&["--context", "y"]).says("names the cluster nowhere, which is not there"),
        Row::new("other entries that are broken", &laid_over(usual.clone(), broken)),
        Row::new("a namespace by a flag", &usual).with(&["-n", "team-b"]),
        Row::new("an empty namespace", &laid_over(usual.clone(), json!({"contexts":
            [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": ""}}]}))),
        Row::new("another kind", &laid_over(usual.clone(), json!({"kind": "Secret"}))).says("it is a Secret of v1, not a Config of v1"),
        Row::new("another version", &laid_over(usual.clone(), json!({"apiVersion": "v2"}))).says("it is a Config of v2"),
        Row::new("neither kind nor version", &without(&["kind", "apiVersion"], json!({}))),
        Row::new("two documents", &usual).file("config", &format!("{text}\n---\ncurrent-context: gone\n")),
        Row::new("a mark in front", &usual).file("config", &format!("\u{feff}{text}")),
        Row::new("a field twice", &usual).file("config", &text.replacen('{', "{\"current-context\": \"gone\",", 1)),
        Row::new("a name twice", &laid_over(usual.clone(), json!({"users": [{"name": "u", "user": token()}, {"name": "u", "user": token()}]}))).says("two of its users have the name"),
        Row::new("lines as on Windows", &usual).file("config", &text.replace(",\"", ",\r\n\"")),
        Row::new("an unknown field", &laid_over(usual.clone(), json!({"colour": {"a": [1]}}))),
    ]
}
