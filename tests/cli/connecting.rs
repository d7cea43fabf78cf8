//! What herdctl says and does between the kubeconfig and the API server: login plugins, keys, proxies, and a
//! prompt that is on standard input beside them. That all this goes as with kubectl is for tests/connect.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    cluster::{Cluster, NAMESPACE},
    program::Program,
};

/// A server that is never reached.
const NOWHERE: &str = "https://127.0.0.1:1";

/// The program with this cluster and this user in its kubeconfig.
fn with(cluster: &Value, user: &Value) -> Program {
    let program = Program::new("", NAMESPACE);
    program.write_kubeconfig(cluster, NAMESPACE);
    let text = fs::read_to_string(program.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = user.clone();
    fs::write(program.kubeconfig(), config.to_string()).unwrap();
    program
}

fn exec(command: &str, more: Value) -> Value {
    let mut exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": command,
        "interactiveMode": "IfAvailable"});
    json_patch::merge(&mut exec, &more);
    json!({"exec": exec})
}

/// TLS before a server without it.
async fn tls_before(port: u16) -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // Either end may go first.
                let _ = copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    front
}

/// A plugin in the program's home that reads a line, notes it, and gives a token.
fn reading_plugin(program: &Program) -> Value {
    let path = program.home().join("plugin");
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "t0ken"}});
    let script = format!(
        "#!/bin/sh\nread -r line\necho \"read: $line\" >>{0}.log\necho '{credential}'\n",
        path.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    exec(&path.display().to_string(), json!({}))
}

#[tokio::test]
async fn a_login_plugin_takes_nothing_of_a_prompt_from_standard_input() {
    let cluster = Cluster::start();
    cluster.agent("reviewer");
    let front = tls_before(cluster.port()).await;
    let server =
        json!({"server": format!("https://localhost:{front}"), "insecure-skip-tls-verify": true});
    let program = with(&server, &json!({}));
    let user = reading_plugin(&program);
    let text = fs::read_to_string(program.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"] = user;
    fs::write(program.kubeconfig(), config.to_string()).unwrap();
    let prompt = "one\ntwo\nthree\nfour\n";
    let arguments = ["run", "reviewer", "-p", "-", "--name", "asked"];
    program
        .run_with(&arguments, prompt.as_bytes())
        .await
        .exits(0);
    assert_eq!(cluster.look().jobs["asked"]["spec"]["prompt"], prompt);
    let log = fs::read_to_string(program.home().join("plugin.log")).unwrap();
    assert_eq!(log, "read: \n", "it runs once, and reads nothing");
    // And nobody is asked where nobody needs to know.
    let arguments = ["run", "reviewer", "-p", "x", "--dry-run=client"];
    program.run(&arguments).await.exits(0);
    let log = fs::read_to_string(program.home().join("plugin.log")).unwrap();
    assert_eq!(log, "read: \n");
}

#[tokio::test]
async fn a_missing_login_plugin_is_named_with_its_user_and_its_hint() {
    let cluster = json!({"server": NOWHERE});
    let program = with(&cluster, &exec("cloud-login", json!({})));
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains("os error"), "{ran:#?}");
    ran.says(&[
        "error: the login plugin cloud-login is not installed\n",
        "because: exec of the user dev in /",
        "/config asks for it",
        "next: install cloud-login",
    ]);
    let hint = json!({"installHint": "Get it:\n  apt install cloud\u{1b}[2J"});
    let program = with(&cluster, &exec("cloud-login", hint));
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:#?}");
    ran.says(&["because: Get it: apt install cloud [2J\n"]);
}

#[tokio::test]
async fn a_login_plugin_that_fails_shows_what_it_says_and_no_token() {
    let command = json!({"args": ["-c", "echo s3cret; echo please log in >&2; exit 3"]});
    let program = with(&json!({"server": NOWHERE}), &exec("sh", command));
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    ran.says(&[
        "please log in\n",
        "error: the login plugin sh of the user dev in /",
        "because: exit status: 3",
    ]);
}

#[tokio::test]
async fn a_broken_key_is_named_with_its_user_and_its_file() {
    let made = rcgen::generate_simple_self_signed(["dev".to_owned()]).unwrap();
    let program = with(
        &json!({"server": NOWHERE}),
        &json!({"client-certificate": "me.crt", "client-key": "me.key"}),
    );
    fs::write(program.home().join("me.crt"), made.cert.pem()).unwrap();
    for (key, told) in [
        (None, "error: can't read /"),
        (
            Some("rubbish"),
            "me.key) holds no private key in PEM that can be read without a password\n",
        ),
    ] {
        if let Some(key) = key {
            fs::write(program.home().join("me.key"), key).unwrap();
        }
        let ran = program.run(&["jobs", "list"]).await.exits(1);
        ran.says(&[told, "client-key of the user dev in /", "next: "]);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_refuses_is_told_from_the_api_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cluster = json!({"server": "https://api.example:6443", "proxy-url": format!("http://jo:s3cret@{address}")});
    let program = with(&cluster, &json!({}));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    assert!(!ran.stderr.contains("s3cret"), "{ran:#?}");
    ran.says(&[
        &format!("error: the proxy http://{address} did not connect to the API server at https://api.example:6443/\n"),
        "proxy authorization required",
        "next: does it want a user and a password?",
    ]);
    // The listener is gone with its first connection.
    let ran = program.run(&["jobs", "list"]).await.exits(1);
    ran.says(&[
        &format!("error: can't reach the proxy http://{address} on the way to the API server at https://api.example:6443/\n"),
        "because: nothing listens there",
        "NO_PROXY",
    ]);
}

#[tokio::test]
async fn a_prompt_that_is_no_text_says_where_and_what_to_do() {
    let program = Program::new("http://127.0.0.1:1", NAMESPACE);
    let prompt = b"menu\ncaf\xe9 cr\xe8me\n";
    let file = program.home().join("diff");
    fs::write(&file, prompt).unwrap();
    let from_file = format!("@{}", file.display());
    for (argument, whence) in [("-", "from standard input"), (&from_file, "in /")] {
        let arguments = ["run", "reviewer", "-p", argument, "--dry-run=client"];
        let ran = program.run_with(&arguments, prompt).await.exits(2);
        ran.says(&[
            &format!("error: the prompt {whence}"),
            "is not UTF-8: the byte 0xe9 at offset 8, in line 2\n",
            "next: convert it, for example from Latin-1: iconv -f LATIN1 -t UTF-8",
        ]);
    }
}
