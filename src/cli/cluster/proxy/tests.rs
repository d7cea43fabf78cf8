use super::*;

const PROXY: &str = "http://proxy.example:3128";

fn of(variables: &[(&str, &str)]) -> Environment {
    Environment::of(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn proxied(server: &str, none: &str) -> bool {
    let environment = of(&[
        ("HTTPS_PROXY", PROXY),
        ("HTTP_PROXY", PROXY),
        ("NO_PROXY", none),
    ]);
    environment
        .proxy(&server.parse().unwrap())
        .unwrap()
        .is_some()
}

#[test]
fn no_proxy_is_read_as_go_reads_it() {
    // Server, NO_PROXY, whether the proxy is used.
    let table = [
        ("https://api.example:6443", "", true),
        // Loopback is never proxied, but only these spellings are.
        ("https://localhost:6443", "", false),
        ("https://127.0.0.1:6443", "", false),
        ("https://127.9.9.9", "", false),
        ("https://[::1]:6443", "", false),
        ("https://[::ffff:127.0.0.1]:6443", "", false),
        ("https://LOCALHOST:6443", "", true),
        ("https://localhost.example:6443", "", true),
        // All, also among others.
        ("https://api.example", "*", false),
        ("https://10.0.0.1", "x.example, *", false),
        // A name means itself and all below it; with a dot or an asterisk only what is below.
        ("https://api.example", "api.example", false),
        ("https://a.b.api.example", "api.example", false),
        ("https://xapi.example", "api.example", true),
        ("https://api.example", ".api.example", true),
        ("https://a.api.example", ".api.example", false),
        ("https://api.example", "*.api.example", true),
        ("https://a.api.example", "*.api.example", false),
        ("https://API.Example", "api.EXAMPLE", false),
        ("https://api.example", "*api.example", true),
        // Blanks and empty entries mean nothing.
        ("https://api.example", " ,, api.example ,", false),
        ("https://api.example", ":443", true),
        // A port narrows; that of the scheme counts where the URL has none.
        ("https://api.example:6443", "api.example:6443", false),
        ("https://api.example:6443", "api.example:443", true),
        ("https://api.example", "api.example:443", false),
        ("http://api.example", "api.example:80", false),
        ("https://a.api.example:6443", ".api.example:6443", false),
        // Addresses and networks.
        ("https://10.1.2.3:6443", "10.1.2.3", false),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
        ("https://10.1.2.3:6443", "10.1.2.3:443", true),
        ("https://10.1.2.3:6443", "10.0.0.0/8", false),
        ("https://10.1.2.3:6443", "10.9.9.9/8", false),
        ("https://10.1.2.3:6443", "11.0.0.0/8", true),
        ("https://10.1.2.3:6443", "10.1.2", true),
        ("https://10.1.2.3:6443", ".2.3", true),
        ("https://[fd00::1]:6443", "fd00::/8", false),
        ("https://[fd00::1]:6443", "fd00::1", false),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
        ("https://[fd00::1]:6443", "[fd00::1]:443", true),
        ("https://[fd00::2]:6443", "fd00::1", true),
        ("https://[::ffff:10.1.2.3]", "10.0.0.0/8", false),
        // A network says nothing about names: they are not looked up.
        ("https://api.example", "0.0.0.0/0,::/0", true),
    ];
    for (server, none, expected) in table {
        assert_eq!(proxied(server, none), expected, "{server} NO_PROXY={none}");
    }
}

#[test]
fn each_scheme_has_its_variable_and_capitals_come_first() {
    let chosen = |variables: &[(&str, &str)], server: &str| {
        let proxy = of(variables).proxy(&server.parse().unwrap());
        proxy
            .unwrap()
            .map(|proxy| proxy.to_string())
            .unwrap_or_default()
    };
    let (secure, plain) = ("https://api.example", "http://api.example");
    let (a, b) = ("http://a:1", "http://b:2");
    assert_eq!(chosen(&[("HTTPS_PROXY", a), ("https_proxy", b)], secure), a);
    assert_eq!(
        chosen(&[("HTTPS_PROXY", ""), ("https_proxy", b)], secure),
        b
    );
    assert_eq!(chosen(&[("HTTP_PROXY", a)], secure), "");
    assert_eq!(chosen(&[("HTTP_PROXY", a)], plain), a);
    assert_eq!(chosen(&[("HTTPS_PROXY", a)], plain), "");
    assert_eq!(chosen(&[("ALL_PROXY", a), ("all_proxy", a)], secure), "");
    let cgi = [
        ("HTTP_PROXY", a),
        ("HTTPS_PROXY", b),
        ("REQUEST_METHOD", "GET"),
    ];
    assert_eq!(chosen(&cgi, plain), "");
    assert_eq!(chosen(&cgi, secure), b);
    let none = [("HTTPS_PROXY", a), ("no_proxy", "api.example")];
    assert_eq!(chosen(&none, secure), "");
}

#[test]
fn a_variable_may_leave_out_scheme_and_port() {
    for (text, address) in [
        ("proxy:3128", "http://proxy:3128"),
        ("10.0.0.9:3128", "http://10.0.0.9:3128"),
        ("proxy", "http://proxy:80"),
        ("http://proxy/path", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("HTTP://proxy:", "http://proxy:80"),
        ("socks5://proxy", "socks5://proxy:1080"),
        ("socks5h://proxy:9", "socks5://proxy:9"),
        ("http://[fd00::9]:3128", "http://[fd00::9]:3128"),
        ("[fd00::9]:3128", "http://[fd00::9]:3128"),
    ] {
        let proxy = Proxy::of_environment(text).map(|proxy| proxy.to_string());
        assert_eq!(proxy.as_deref(), Some(address), "{text}");
    }
    for text in ["", "http://proxy:port", "http://a b"] {
        assert_eq!(Proxy::of_environment(text), None, "{text}");
    }
}

#[test]
fn a_variable_that_names_no_proxy_is_told_unless_none_is_needed() {
    let server = "https://api.example".parse().unwrap();
    let rubbish = ("HTTPS_PROXY", "http://a b");
    assert_eq!(of(&[rubbish]).proxy(&server), Err("HTTPS_PROXY"));
    assert_eq!(of(&[rubbish, ("NO_PROXY", "*")]).proxy(&server), Ok(None));
}

#[test]
fn a_kubeconfig_names_the_scheme() {
    let read = |text| Proxy::of_kubeconfig(text).map(|proxy| proxy.to_string());
    assert_eq!(read("http://proxy:1"), Ok("http://proxy:1".into()));
    assert_eq!(read("socks5://proxy:1"), Ok("socks5://proxy:1".into()));
    assert_eq!(read("proxy:1"), Err(BadProxy::Scheme));
    assert_eq!(read("gopher://proxy:1"), Err(BadProxy::Scheme));
    assert_eq!(read("http://:1"), Err(BadProxy::Address));
}

#[test]
fn a_password_is_decoded_and_never_shown() {
    let proxy = Proxy::of_kubeconfig("http://jo%40x:a:p%2Fss@word@proxy:1").unwrap();
    assert_eq!(proxy.login, Some(("jo@x".into(), "a:p/ss@word".into())));
    assert_eq!(
        format!("{proxy} {proxy:?}"),
        "http://proxy:1 Proxy(http://proxy:1)"
    );
    let header = proxy.authorization().unwrap();
    assert!(header.is_sensitive());
    assert_eq!(header, "Basic am9AeDphOnAvc3NAd29yZA==");
}
