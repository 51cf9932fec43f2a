//! Certificates that are right, and all that can be wrong with them.

use klamm_client::config::SecurityProtocol;
use klamm_client::{ClientConfig, Error, TlsError};

use crate::certificates::{Authority, Identity, self_signed, server};
use crate::front::{Front, Rules};
use crate::{all, ask, enters, is_refused};

async fn start(identity: &Identity, clients: Option<&Authority>) -> Front {
    Front::start(Rules { tls: Some(server(identity, clients)), ..Rules::default() }).await
}

fn secret(front: &Front) -> ClientConfig {
    front.config().security_protocol(SecurityProtocol::Ssl)
}

#[tokio::test]
async fn brokers_are_believed_by_their_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let front = start(&authority.certify("localhost", 2999), None).await;
    enters(secret(&front).trusted_certificates(&authority.pem())).await;

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let path = file.path().to_str().unwrap();
    for name in ["ssl.truststore.location", "ssl.ca.location"] {
        enters(secret(&front).set(name, path).set("ssl.enabled.protocols", "TLSv1.2")).await;
    }
    enters(secret(&front).set("enable.ssl.certificate.verification", "false")).await;

    let error = is_refused(
        secret(&front).trusted_certificates(&other.pem()),
        "signed by nobody whom this client trusts",
    );
    assert!(error.await.is_fatal());
    is_refused(secret(&front), "`ssl.truststore.location`").await;
    front.stop().await;
}

#[tokio::test]
async fn certificates_are_for_hosts() {
    let authority = Authority::new();
    let front = start(&authority.certify("elsewhere", 2999), None).await;
    let config = secret(&front).trusted_certificates(&authority.pem());
    let error = is_refused(config.clone(), "is for elsewhere, and not for the host localhost");
    assert!(matches!(error.await, Error::Tls { source: TlsError::WrongHost { .. }, .. }));
    for none in ["", "none"] {
        enters(config.clone().set("ssl.endpoint.identification.algorithm", none)).await;
    }
    front.stop().await;
}

#[tokio::test]
async fn certificates_end() {
    let authority = Authority::new();
    let front = start(&authority.certify("localhost", 2001), None).await;
    let config = secret(&front).trusted_certificates(&authority.pem());
    is_refused(config, "not valid at this time").await;
    front.stop().await;
}

#[tokio::test]
async fn a_certificate_may_be_named_itself() {
    let identity = self_signed("localhost", 2999);
    let front = start(&identity, None).await;
    enters(secret(&front).trusted_certificates(&identity.certificate)).await;
    let other = self_signed("localhost", 2999).certificate;
    let config = secret(&front).trusted_certificates(&other);
    is_refused(config, "its certificate cannot be used").await;
    front.stop().await;

    let identity = self_signed("localhost", 2001);
    let front = start(&identity, None).await;
    let config = secret(&front).trusted_certificates(&identity.certificate);
    is_refused(config, "not valid at this time").await;
    front.stop().await;

    let identity = self_signed("elsewhere", 2999);
    let front = start(&identity, None).await;
    let config = secret(&front).trusted_certificates(&identity.certificate);
    is_refused(config.clone(), "is for elsewhere").await;
    enters(config.set("ssl.endpoint.identification.algorithm", "")).await;
    front.stop().await;
}

#[tokio::test]
async fn clients_show_certificates_to_brokers_that_want_them() {
    let (authority, other) = (Authority::new(), Authority::new());
    let front = start(&authority.certify("localhost", 2999), Some(&authority)).await;
    let config = secret(&front).trusted_certificates(&authority.pem());
    let Identity { certificate, key } = authority.certify("ann", 2999);
    enters(config.clone().client_certificate(&certificate, key.clone())).await;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let store = file("client.pem", &format!("{key}{certificate}"));
    enters(config.clone().set("ssl.keystore.location", &store)).await;
    let (chain, alone) = (file("chain.pem", &certificate), file("key.pem", &key));
    let apart = config.clone().set("ssl.certificate.location", &chain);
    enters(apart.clone().set("ssl.key.location", &alone)).await;

    is_refused(apart, "`ssl.key.location` is needed").await;
    let error = is_refused(config.clone(), "it wants a certificate from this client").await;
    assert!(error.is_fatal() && !error.is_retriable());
    let Identity { certificate: strange, key: strange_key } = other.certify("bob", 2999);
    let stranger = config.clone().client_certificate(&strange, strange_key);
    assert!(is_refused(stranger.clone(), "the alert").await.is_fatal());
    let stranger = stranger.set("ssl.enabled.protocols", "TLSv1.2");
    assert!(is_refused(stranger, "the alert").await.is_fatal());
    is_refused(config.client_certificate(&strange, key), "`ssl.keystore.certificate.chain`").await;
    front.stop().await;
}

#[tokio::test]
async fn each_side_may_take_the_other_for_what_it_is_not() {
    let authority = Authority::new();
    let front = start(&authority.certify("localhost", 2999), None).await;
    is_refused(front.config(), "set `security.protocol` to SSL").await;
    front.stop().await;

    let front = Front::start(Rules::default()).await;
    let config = secret(&front).trusted_certificates(&authority.pem());
    is_refused(config, "if it does not speak TLS on this port").await;
    front.stop().await;
}

#[tokio::test]
async fn much_goes_through_as_it_is() {
    let authority = Authority::new();
    let front = start(&authority.certify("localhost", 2999), None).await;
    let config = secret(&front).trusted_certificates(&authority.pem());
    let kafka = enters(config.client_id(&"long".repeat(8_000))).await;
    all((0..100).map(|_| ask(&kafka))).await.unwrap();
    front.stop().await;
}
