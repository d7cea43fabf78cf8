//! Which way a request goes.

use serde_json::json;

use super::{API, Kit, PROXY};
use crate::{
    row::Row,
    world::{HTTP, HTTPS, PLAIN, REFUSING, SECURE, SOCKS},
};

pub fn rows(kit: &Kit) -> Vec<Row> {
    let http = format!("http://{PROXY}:{HTTP}");
    let login = format!("http://jo:p%40ss@{PROXY}:{HTTP}");
    let https = format!("https://{PROXY}:{HTTPS}");
    let socks = format!("socks5://{PROXY}:{SOCKS}");
    let socks_login = format!("socks5://jo:p%40ss@{PROXY}:{SOCKS}");
    let socks_far = format!("socks5h://{PROXY}:{SOCKS}");
    let refusing = format!("http://{PROXY}:{REFUSING}");
    let dead = format!("http://{PROXY}:9");
    let usual = kit.usual();
    let plain = kit.of(json!({"server": format!("http://{API}:{PLAIN}")}));
    let of = |server: &str| kit.of(json!({"server": server}));
    let by = |name, value: &str| Row::new(name, &usual).set("HTTPS_PROXY", value);
    let but = |name, none: &str| {
        Row::new(name, &usual)
            .set("HTTPS_PROXY", &http)
            .set("NO_PROXY", none)
    };
    let named = |name, proxy: &str| Row::new(name, &kit.of(json!({"proxy-url": proxy})));
    vec![
        by("HTTPS_PROXY", &http),
        by("HTTPS_PROXY without a scheme", &format!("{PROXY}:{HTTP}")),
        by("HTTPS_PROXY with a login", &login),
        by("HTTPS_PROXY within TLS", &https),
        by("HTTPS_PROXY by SOCKS", &socks),
        by("HTTPS_PROXY by SOCKS with a login", &socks_login),
        by("HTTPS_PROXY by SOCKS that resolves names", &socks_far),
        by("HTTPS_PROXY that refuses", &refusing).says("proxy authorization required"),
        by("HTTPS_PROXY that is dead", &dead)
            .says("can't reach the proxy http://proxy.connect.test:9 on the way"),
        by(
            "HTTPS_PROXY that nobody knows",
            "http://nowhere.connect.test:1",
        )
        .says("the name nowhere.connect.test can't be resolved"),
        by("HTTPS_PROXY that is rubbish", "http://a b:x").says("HTTPS_PROXY names no proxy"),
        by("HTTPS_PROXY over https_proxy", &http).set("https_proxy", &dead),
        by("HTTPS_PROXY that is empty", "").set("https_proxy", &http),
        Row::new("https_proxy", &usual).set("https_proxy", &http),
        Row::new("HTTP_PROXY with TLS", &usual).set("HTTP_PROXY", &dead),
        Row::new("ALL_PROXY", &usual)
            .set("ALL_PROXY", &dead)
            .set("all_proxy", &dead),
        Row::new("HTTP_PROXY without TLS", &plain).set("HTTP_PROXY", &http),
        Row::new("HTTP_PROXY without TLS with a login", &plain).set("http_proxy", &login),
        Row::new("HTTP_PROXY without TLS by SOCKS", &plain).set("HTTP_PROXY", &socks),
        Row::new("HTTPS_PROXY without TLS", &plain).set("HTTPS_PROXY", &dead),
        Row::new(
            "HTTPS_PROXY and loopback",
            &of(&format!("https://localhost:{SECURE}")),
        )
        .set("HTTPS_PROXY", &dead),
        Row::new(
            "HTTPS_PROXY and a loopback address",
            &of(&format!("https://127.0.0.1:{SECURE}")),
        )
        .set("HTTPS_PROXY", &dead),
        Row::new(
            "HTTPS_PROXY and IPv6",
            &of(&format!("https://[fd00:99::1]:{SECURE}")),
        )
        .set("HTTPS_PROXY", &http),
        Row::new(
            "HTTPS_PROXY by SOCKS and IPv6",
            &of(&format!("https://[fd00:99::1]:{SECURE}")),
        )
        .set("HTTPS_PROXY", &socks),
        Row::new(
            "HTTPS_PROXY by SOCKS and an address",
            &of(&format!("https://10.99.0.1:{SECURE}")),
        )
        .set("HTTPS_PROXY", &socks),
        but("NO_PROXY with the name", API),
        but("NO_PROXY with the domain", "other.test, connect.test"),
        but("NO_PROXY with a dot", ".connect.test"),
        but("NO_PROXY with an asterisk and a dot", "*.connect.test"),
        but("NO_PROXY with all", "x,*"),
        but("NO_PROXY with the port", &format!("{API}:{SECURE}")),
        but("NO_PROXY with another port", &format!("{API}:443")),
        but("NO_PROXY with another name", "pi.connect.test"),
        but("NO_PROXY with the network of a name", "10.99.0.0/16"),
        Row::new(
            "NO_PROXY with the network",
            &of(&format!("https://10.99.0.1:{SECURE}")),
        )
        .set("HTTPS_PROXY", &http)
        .set("no_proxy", "10.99.0.0/16"),
        Row::new(
            "NO_PROXY with an IPv6 network",
            &of(&format!("https://[fd00:99::1]:{SECURE}")),
        )
        .set("HTTPS_PROXY", &http)
        .set("NO_PROXY", "fd00::/8"),
        Row::new(
            "NO_PROXY with an address and port",
            &of(&format!("https://[fd00:99::1]:{SECURE}")),
        )
        .set("HTTPS_PROXY", &http)
        .set("NO_PROXY", &format!("[fd00:99::1]:{SECURE}")),
        named("proxy-url", &http),
        named("proxy-url with a login", &login),
        named("proxy-url within TLS", &https),
        named("proxy-url by SOCKS", &socks),
        named("proxy-url and NO_PROXY", &http).set("NO_PROXY", "*"),
        named("proxy-url over HTTPS_PROXY", &http).set("HTTPS_PROXY", &dead),
        named("proxy-url that is empty", "").set("HTTPS_PROXY", &http),
        named("proxy-url without a scheme", &format!("{PROXY}:{HTTP}"))
            .says("proxy-url of the cluster c in"),
        named(
            "proxy-url of another scheme",
            &format!("gopher://{PROXY}:{HTTP}"),
        )
        .says("proxy-url of the cluster c in"),
        named("proxy-url that refuses", &refusing).says("did not connect to the API server at"),
        Row::new(
            "proxy-url and loopback",
            &kit.of(json!({"server": format!("https://localhost:{SECURE}"), "proxy-url": http})),
        ),
    ]
}
