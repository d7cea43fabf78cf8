use proptest::prelude::*;
use serde_json::json;

use super::*;

const VALUE: &str = "sk-ant-\0secret";

/// Of a pod with a key, a variable of the user's and an injected container.
fn redaction() -> Redaction {
    let pod = json!({"metadata": {"name": "hello-1"}, "spec": {
        "initContainers": [{"name": "proxy", "env": [{"name": "proxy_password"}]}],
        "containers": [
            {"name": "agent", "env": [{"name": "ANTHROPIC_API_KEY"}, {"name": "npm_token"}]},
            {"name": "bare"},
        ],
    }});
    Redaction::of(&serde_json::from_value(pod).unwrap())
}

/// Each with the key's value where that runtime puts it, as it writes it.
#[test]
fn what_runtimes_are_known_to_say_of_an_environment_carries_no_value() {
    let quoted = r#""ANTHROPIC_API_KEY=sk-ant-\x00secret""#;
    let shim = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process";
    for (said, told) in [
        // runc before 1.1.8, as containerd passes it on.
        (
            format!("{shim}: error during container init: environment variable value can't contain null(\\x00): {quoted}: unknown"),
            "can't contain null(\\x00): \"ANTHROPIC_API_KEY=(value hidden)",
        ),
        (
            format!("{shim}: error during container init: invalid environment variable: {quoted}: unknown"),
            "invalid environment variable: \"ANTHROPIC_API_KEY=(value hidden)",
        ),
        // The same in the quotation marks of an older runc, and of CRI-O around conmon's JSON.
        (
            r#"container create failed: {"msg":"container init caused \"invalid environment variable \\\"ANTHROPIC_API_KEY=sk-ant-\\x00sec\\\"ret\\\"\"","level":"error"}"#.to_owned(),
            "ANTHROPIC_API_KEY=(value hidden)",
        ),
        // runc from 1.1.8 on, and from 1.3: the name alone.
        (
            format!("{shim}: error during container init: environment variable \"ANTHROPIC_API_KEY\" value cannot contain null: unknown"),
            "ANTHROPIC_API_KEY=(value hidden): contains a NUL byte",
        ),
        (
            format!("{shim}: error during container init: invalid environment variable \"ANTHROPIC_API_KEY\": contains nul byte (\\x00): unknown"),
            "ANTHROPIC_API_KEY=(value hidden): contains a NUL byte",
        ),
        // crun.
        (
            format!("container create failed: cannot putenv `ANTHROPIC_API_KEY={VALUE}`: Invalid argument"),
            "cannot putenv `ANTHROPIC_API_KEY=(value hidden)",
        ),
        // What is written in Rust, youki among it.
        (
            r#"failed to set environment variable `"ANTHROPIC_API_KEY"` to `"sk-ant-\0secret"`: file name contained an unexpected NUL byte"#.to_owned(),
            "ANTHROPIC_API_KEY=(value hidden): contains a NUL byte",
        ),
        // A request of the CRI, as gRPC and Go print it.
        (
            "CreateContainer failed: Envs:[]*KeyValue{&KeyValue{Key:ANTHROPIC_API_KEY,Value:sk-ant-secret,},}".to_owned(),
            "Key:ANTHROPIC_API_KEY=(value hidden)",
        ),
        (
            r#"rpc error: envs:{key:"ANTHROPIC_API_KEY" value:"sk-ant-secret"}"#.to_owned(),
            r#"key:"ANTHROPIC_API_KEY=(value hidden)"#,
        ),
        (
            r#"invalid spec: {"name":"ANTHROPIC_API_KEY","value":"sk-ant-secret"}"#.to_owned(),
            r#""name":"ANTHROPIC_API_KEY=(value hidden)"#,
        ),
        // Where the value begins is told by the name alone: not by quotation marks, not by a line's end.
        (
            "exec failed, environment: npm_token=sk-\nant-\"secret ANTHROPIC_API_KEY=secret".to_owned(),
            "environment: npm_token=(value hidden)",
        ),
        (
            r#"cannot start "PATH=/bin\nproxy_password=secret""#.to_owned(),
            "PATH=(value hidden)",
        ),
        // Of a container that was filled from a whole Secret.
        (
            "invalid environment \"DB_PASSWORD=secret\"".to_owned(),
            "DB_PASSWORD=(value hidden)",
        ),
    ] {
        let line = redaction().line(&said);
        assert!(line.contains(told), "{line}");
        assert!(!line.contains("secret") && !line.contains("ant-"), "{line}");
    }
}

#[test]
fn words_without_a_value_stay_as_they_are() {
    for said in [
        "setenv: invalid argument",
        "exec: environment variable contains NUL",
        "grpc: error while marshaling: string field contains invalid UTF-8",
        "couldn't find key apiKey in Secret team-a/claude",
        "exec: \"/herd/herd-runner\": stat /herd/herd-runner: no such file or directory",
        "exec: \"claude\": executable file not found in $npm_token: unknown",
        "failed to fetch anonymous token: Get \"https://ghcr.io/token?scope=repository%3Aa&service=ghcr.io\": EOF",
        "x509: certificate signed by unknown authority \"CN=registry\"",
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 8Ki.",
    ] {
        assert_eq!(redaction().line(said), said);
    }
}

proptest! {
    #[test]
    fn no_value_comes_through_however_it_is_written(
        before in "[ -~]{0,40}", value in "[a-z\"'\\\\\n= ]{0,40}", after in "[\"'` ]{0,3}: unknown",
    ) {
        let said = format!("{before}ANTHROPIC_API_KEY={value}SECRET{after}");
        prop_assert!(!redaction().line(&said).contains("SECRET"));
    }
}
