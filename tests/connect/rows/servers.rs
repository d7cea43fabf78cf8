//! Addresses of API servers, and whom to trust there.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{API, Kit};
use crate::{
    row::Row,
    world::{ITSELF, ITSELF_AS_AUTHORITY, PLAIN, SECURE},
};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let other = STANDARD.encode(&kit.world.other.pem);
    let bundle = format!("{}{}", kit.world.other.pem, kit.world.authority.pem);
    let server = |server: &str| kit.of(json!({"server": server}));
    vec![
        Row::new("a token and an authority", &kit.usual()),
        Row::new("IPv6", &server(&format!("https://[fd00:99::1]:{SECURE}"))),
        Row::new("an address", &server(&format!("https://10.99.0.1:{SECURE}"))),
        Row::new("loopback", &server(&format!("https://localhost:{SECURE}"))),
        Row::new("a path", &server(&format!("https://{API}:{SECURE}/prefix"))),
        Row::new("a path and a slash", &server(&format!("https://{API}:{SECURE}/prefix/"))),
        Row::new("a slash", &server(&format!("https://{API}:{SECURE}/"))),
        Row::new("capitals", &server(&format!("HTTPS://API.connect.test:{SECURE}"))),
        Row::new("a login in the server's URL", &kit.config(
            kit.cluster(json!({"server": format!("https://jo:p%40ss@{API}:{SECURE}")})),
            json!({"username": "", "client-certificate-data": STANDARD.encode(&kit.world.client.certificate),
                "client-key-data": STANDARD.encode(&kit.world.client.key)}),
        )),
        Row::new("no TLS, so no token", &server(&format!("http://{API}:{PLAIN}"))),
        Row::new("no scheme", &server(&format!("{API}:{PLAIN}"))),
        Row::new("no scheme and a path", &server(&format!("{API}:{PLAIN}/prefix"))).says("server of the cluster c in"),
        Row::new("another scheme", &server(&format!("ftp://{API}:{PLAIN}"))).says("it must begin with https:// or http://"),
        Row::new("no server", &kit.of(json!({"server": null}))).says("the cluster c in"),
        Row::new("a name that nobody knows", &server("https://nowhere.connect.test:6443")).says("the name nowhere.connect.test can't be resolved"),
        Row::new("TLS where there is none", &server(&format!("https://{API}:{PLAIN}"))).says("does not speak TLS"),
        Row::new("another authority", &kit.of(json!({"certificate-authority-data": other}))).says("it was not issued by the authority"),
        Row::new("a bundle", &kit.of(json!({"certificate-authority-data": STANDARD.encode(&bundle)}))),
        Row::new("a bundle with rubbish", &kit.of(json!({"certificate-authority-data":
            STANDARD.encode(format!("# {}\nrubbish\n{bundle}", "words"))}))),
        Row::new("rubbish alone", &kit.of(json!({"certificate-authority-data": STANDARD.encode("rubbish")}))).says("certificate-authority-data of the cluster c in"),
        Row::new("no base64", &kit.of(json!({"certificate-authority-data": "?"}))).says("is not base64"),
        Row::new("the authority is empty", &kit.of(json!({"certificate-authority-data": ""}))).fails(),
        Row::new("the authority's file", &kit.of(json!({"certificate-authority-data": null,
            "certificate-authority": "pki/ca.crt"}))).file("pki/ca.crt", &kit.world.authority.pem),
        Row::new("the authority's file is missing", &kit.of(json!({"certificate-authority-data": null,
            "certificate-authority": "pki/ca.crt"}))).says("which is certificate-authority of the cluster c in"),
        Row::new("two authorities", &kit.of(json!({"certificate-authority": "ca.crt"})))
            .file("ca.crt", &kit.world.authority.pem).says("certificate-authority and certificate-authority-data are both set for the cluster c in"),
        Row::new("insecure", &kit.of(json!({"certificate-authority-data": null, "insecure-skip-tls-verify": true}))),
        Row::new("insecure with an authority", &kit.of(json!({"insecure-skip-tls-verify": true}))).says("insecure-skip-tls-verify too"),
        Row::new("another name within TLS", &kit.of(json!({"tls-server-name": "other.connect.test"}))),
        Row::new("another name that is wrong", &kit.of(json!({"tls-server-name": "wrong.connect.test"}))).says("it is for another name"),
        Row::new("a server that is its own authority", &kit.of(json!({"server": format!("https://{API}:{ITSELF}"),
            "certificate-authority-data": STANDARD.encode(&kit.world.itself.certificate)}))),
        Row::new("a server that is its own authority and one of others", &kit.of(json!({
            "server": format!("https://{API}:{ITSELF_AS_AUTHORITY}"),
            "certificate-authority-data": STANDARD.encode(&kit.world.itself_as_authority.certificate)}))),
        Row::new("no compression, and extensions", &kit.of(json!({"disable-compression": true,
            "extensions": [{"name": "x", "extension": {"a": 1}}]}))),
    ]
}
