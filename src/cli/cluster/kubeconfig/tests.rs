use super::*;

fn words(error: CliError) -> String {
    match error {
        CliError::Closed => String::new(),
        CliError::Told(told) => format!(
            "{}\n{}\n{}",
            told.what,
            told.because.join("\n"),
            told.next.join("\n")
        ),
    }
}

/// Files of these texts, in this order.
fn read(texts: &[&str]) -> (tempfile::TempDir, Result<Kubeconfig, CliError>) {
    let folder = tempfile::tempdir().unwrap();
    let files = texts.iter().enumerate().map(|(index, text)| {
        let file = folder.path().join(format!("config-{index}"));
        fs::write(&file, text).unwrap();
        file
    });
    let sources = Sources::List(files.collect());
    let read = Kubeconfig::read(&sources);
    (folder, read)
}

const ONE: &str = "
current-context: \"\"
clusters: [{name: c, cluster: {server: 'https://one'}}]
users: [{name: u, user: {token: one}}]
";
const TWO: &str = "
current-context: two
clusters: [{name: c, cluster: {server: 'https://two', proxy-url: 'http://p'}}, {name: d, cluster: null}]
users: null
contexts:
- {name: two, context: {cluster: c, user: u, namespace: \"\"}}
- {name: empty}
- {name: lost, context: {cluster: nowhere, user: u}}
extensions: null
";
const THREE: &str = "current-context: three\ncontexts: [{name: two, context: {cluster: d}}]";

#[test]
fn the_first_file_that_says_something_wins() {
    let (_folder, read) = read(&[ONE, TWO, THREE]);
    let chosen = read.unwrap().choose(None).unwrap().unwrap();
    assert_eq!((chosen.context.as_str(), &chosen.namespace), ("two", &None));
    let cluster = chosen.cluster.value;
    assert_eq!(cluster.server.as_deref(), Some("https://one"));
    // Nothing of the later entry is taken over.
    assert_eq!(cluster.proxy_url, None);
    assert_eq!(file::secret(&chosen.user.unwrap().value.token), Some("one"));
}

#[test]
fn what_a_context_lacks_is_named_with_its_file() {
    let (_folder, read) = read(&[ONE, TWO]);
    let read = read.unwrap();
    let told = |context: &str| words(read.choose(Some(context)).unwrap_err());
    for (context, expected) in [
        ("empty", "the context empty in "),
        ("empty", "config-1 names no cluster"),
        (
            "lost",
            "config-1 names the cluster nowhere, which is not there",
        ),
        ("lost", "has the clusters c, d"),
        ("none", "the kubeconfig has no context none"),
        ("none", "config-1 has the contexts empty, lost, two"),
    ] {
        let told = told(context);
        assert!(
            told.contains(expected),
            "{context}: {expected:?} is not in {told:?}"
        );
    }
}

#[test]
fn an_empty_current_context_is_none() {
    let (folder, read) = read(&[ONE]);
    let read = read.unwrap();
    assert!(read.choose(None).unwrap().is_none());
    assert!(read.choose(Some("")).unwrap().is_none());
    let sources = Sources::List(vec![folder.path().join("config-0")]);
    let told = words(read.names_nothing(&sources));
    assert!(told.contains("names no current context"), "{told}");
    assert!(told.contains("config-0 has no contexts at all"), "{told}");
}

#[test]
fn a_missing_file_of_the_list_is_passed_over_and_one_that_is_asked_for_is_not() {
    let (folder, _) = read(&[TWO]);
    let (missing, there) = (
        folder.path().join("missing"),
        folder.path().join("config-0"),
    );
    let list = Sources::List(vec![missing.clone(), there]);
    assert!(
        Kubeconfig::read(&list)
            .unwrap()
            .choose(None)
            .unwrap()
            .is_some()
    );
    let told = words(Kubeconfig::read(&Sources::File(missing.clone())).unwrap_err());
    assert!(
        told.contains(&format!("there is no kubeconfig at {}", missing.display())),
        "{told}"
    );
    let none = Sources::List(vec![missing.clone()]);
    let told = words(Kubeconfig::read(&none).unwrap().names_nothing(&none));
    assert!(told.contains(&missing.display().to_string()), "{told}");
    let told = words(Kubeconfig::read(&Sources::List(vec![folder.path().into()])).unwrap_err());
    assert!(told.contains("can't read the kubeconfig"), "{told}");
}

#[test]
fn the_list_leaves_out_empty_entries_and_repetitions() {
    let of = |list: &str| Sources::of(Some(list.into()), Some("/home/dev".into())).unwrap();
    let files = |files: &[&str]| Sources::List(files.iter().map(PathBuf::from).collect());
    assert_eq!(of("/a::/b:/a:"), files(&["/a", "/b"]));
    assert_eq!(of(":"), files(&[]));
    assert_eq!(of(""), files(&["/home/dev/.kube/config"]));
    assert_eq!(Sources::of(None, None), None);
}

#[test]
fn a_file_may_be_marked_wide_or_of_several_documents_but_not_something_else() {
    let wide = |bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| {
        let mut file = mark.to_vec();
        file.extend("current-context: a".encode_utf16().flat_map(bytes));
        file
    };
    for bytes in [
        b"current-context: a\n".to_vec(),
        b"\xef\xbb\xbfcurrent-context: a\r\n".to_vec(),
        b"{\"current-context\": \"a\", \"kind\": \"Config\", \"apiVersion\": \"v1\"}".to_vec(),
        b"current-context: a\n---\ncurrent-context: b\n".to_vec(),
        b"current-context: b\ncurrent-context: a\n".to_vec(),
        wide(u16::to_le_bytes, [0xFF, 0xFE]),
        wide(u16::to_be_bytes, [0xFE, 0xFF]),
    ] {
        let file = File::parse(&bytes).unwrap();
        assert_eq!(file.current_context.as_deref(), Some("a"), "{bytes:?}");
    }
    assert!(File::parse(b"").unwrap().clusters.is_none());
    for bytes in [
        &b"kind: Secret"[..],
        b"apiVersion: v2",
        b"clusters: 5",
        b"users: [{name: a}, {name: b}, {name: a}]",
        b"\xff",
        b"just words",
    ] {
        assert!(File::parse(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let (_folder, read) = read(&[ONE]);
    let shown = format!("{:?}", read.unwrap());
    assert!(shown.contains("token: Some(…)"), "{shown}");
}

#[test]
fn a_path_begins_where_its_file_is() {
    let entry = |file: &str| Entry {
        value: (),
        file: file.into(),
    };
    assert_eq!(
        entry("/etc/kube/config").path("pki/ca.crt"),
        Path::new("/etc/kube/pki/ca.crt")
    );
    assert_eq!(
        entry("/etc/kube/config").path("/ca.crt"),
        Path::new("/ca.crt")
    );
    let here = env::current_dir().unwrap();
    assert_eq!(entry("config").path("ca.crt"), here.join("ca.crt"));
}
