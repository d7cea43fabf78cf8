//! What a user has to show.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{API, Kit, laid_over, token};
use crate::{
    row::{Expected, Row},
    world::PLAIN,
};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let (client, stranger) = (&kit.world.client, &kit.world.stranger);
    let data = |certificate: &str, key: &str| json!({"client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key)});
    let pair = data(&client.certificate, &client.key);
    let file = json!({"tokenFile": "token"});
    let noted = format!("Bag Attributes\n{}", client.key);
    vec![
        Row::new("a file with a token", &kit.user(file.clone())).file("token", "f1le"),
        Row::new("a file that ends with a line end", &kit.user(file.clone()))
            .file("token", "f1le\n"),
        Row::new("a file that ends as on Windows", &kit.user(file.clone()))
            .file("token", " f1le\r\n"),
        Row::new(
            "a token and a file",
            &kit.user(json!({"token": "t0ken", "tokenFile": "token"})),
        )
        .file("token", "f1le"),
        Row::new(
            "a token and a missing file",
            &kit.user(json!({"token": "t0ken", "tokenFile": "token"})),
        ),
        Row::new("an empty file", &kit.user(file.clone()))
            .file("token", "\n")
            .says("which is tokenFile of the user u in"),
        Row::new("a missing file", &kit.user(file)).says("which is tokenFile of the user u in"),
        Row::new(
            "a token with a line end",
            &kit.user(json!({"token": "t0ken\n"})),
        )
        .says("token of the user u in"),
        Row::new(
            "a token that is refused",
            &kit.user(json!({"token": "stale"})),
        )
        .says("it did not take the token of the user u in"),
        Row::new("a certificate", &kit.user(pair.clone())),
        Row::new(
            "a certificate and a token",
            &kit.user(laid_over(pair.clone(), token())),
        ),
        Row::new(
            "a certificate in files",
            &kit.user(json!({"client-certificate": "pki/me.crt", "client-key": "./pki/me.key"})),
        )
        .file("pki/me.crt", &client.certificate)
        .file("pki/me.key", &client.key),
        Row::new(
            "a key with words before it",
            &kit.user(data(&client.certificate, &noted)),
        ),
        Row::new(
            "a certificate without a key",
            &kit.user(laid_over(pair.clone(), json!({"client-key-data": null}))),
        )
        .says("is set, but neither client-key nor client-key-data"),
        Row::new(
            "a key without a certificate",
            &kit.user(laid_over(
                token(),
                json!({"client-key-data": STANDARD.encode(&client.key)}),
            )),
        ),
        Row::new(
            "somebody else's key",
            &kit.user(data(&client.certificate, &stranger.key)),
        )
        .says("does not belong to client-key-data of the user u in"),
        Row::new(
            "a key that is none",
            &kit.user(data(&client.certificate, "rubbish")),
        )
        .says("client-key-data of the user u in"),
        Row::new(
            "a certificate that is none",
            &kit.user(data("rubbish", &client.key)),
        )
        .says("client-certificate-data of the user u in"),
        Row::new(
            "a name and a password",
            &kit.user(json!({"username": "jo", "password": "p:ss"})),
        ),
        Row::new(
            "a password and a token",
            &kit.user(json!({"username": "jo", "token": "t0ken"})),
        )
        .says("token and username are both set for the user u in"),
        Row::new(
            "an auth-provider that is gone",
            &kit.user(json!({"auth-provider": {"name": "gcp"}})),
        )
        .says("the auth-provider gcp, which is not supported"),
        Row::new("no credentials", &kit.user(json!({}))).expected(Expected::OnlyHerdctlWorks),
        Row::new("no user", &laid_over(kit.usual(), json!({"users": []})))
            .says("names the user u, which is not there"),
        Row::new(
            "no user and no TLS",
            &laid_over(
                kit.of(json!({"server": format!("http://{API}:{PLAIN}")})),
                json!({"users": null}),
            ),
        ),
    ]
}
