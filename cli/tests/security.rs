//! Settings of security by `-X` and by file, as far as a broker without TLS and SASL shows them.

mod common;

use common::{Ran, Server};

/// Lists topics with these settings.
fn list(server: &Server, settings: &[&str]) -> Ran {
    let given = settings.iter().flat_map(|setting| ["-X", setting]);
    server.run(&["topic", "list"].into_iter().chain(given).collect::<Vec<_>>())
}

const USER: [&str; 3] =
    ["sasl.mechanism=SCRAM-SHA-512", "sasl.username=ann", "sasl.password=hunter2"];

#[test]
fn what_is_wrong_with_them_is_told() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("truststore.jks");
    std::fs::write(&store, [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).unwrap();
    let store = format!("ssl.truststore.location={}", store.display());
    let check = |settings: &[&str], code, told: &str| {
        let ran = list(&server, settings).exits(code);
        assert!(ran.stderr.contains(told) && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    };
    check(&["security.protocol=SASL_SSL"], 2, "`sasl.mechanism` is needed");
    check(&["security.protocol=TLS"], 2, "expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL");
    check(&["security.protocol=SSL", &store], 2, "a JKS store; this client reads PEM");
    let nowhere = "ssl.ca.location=/nowhere/ca.pem";
    check(&["security.protocol=SSL", nowhere], 2, "/nowhere/ca.pem: No such file");
    check(&["socks5.proxy=proxy"], 2, "is not host:port");
    let asked = [&["security.protocol=SASL_PLAINTEXT"][..], &USER].concat();
    check(&asked, 5, "this port asks for no authentication");
}

#[test]
fn a_file_says_the_same() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.properties");
    let text = format!("security.protocol=SASL_PLAINTEXT\n{}\n", USER.join("\n"));
    std::fs::write(&file, text).unwrap();
    let ran = server.run(&["topic", "list", "--client-config", file.to_str().unwrap()]).exits(5);
    assert!(ran.stderr.contains("SCRAM-SHA-512 authentication with "), "{}", ran.stderr);
}
