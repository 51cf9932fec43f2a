//! Passwords and tokens that are right or wrong, and sessions that end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use klamm_client::config::{SaslMechanism, SecurityProtocol};
use klamm_client::sasl::BearerToken;
use klamm_client::{AuthenticationError, ClientConfig, Error};
use klamm_protocol::api::list_groups::{self, ListGroups};
use klamm_protocol::error_code::ErrorCode;

use crate::certificates::{Authority, server};
use crate::front::{Front, Rules, Sasl};
use crate::{all, ask, enters, is_refused};

const LONG: Duration = Duration::from_secs(3_600);
/// Renewed in time by a machine that has much else to do.
const SHORT: Duration = Duration::from_secs(3);
const PLAIN: Sasl = Sasl { mechanism: "PLAIN", proof: "\0ann\0secret", session: LONG };
const BEARER: Sasl =
    Sasl { mechanism: "OAUTHBEARER", proof: "n,,\x01auth=Bearer good\x01\x01", session: LONG };

async fn start(sasl: Sasl) -> Front {
    Front::start(Rules { sasl: Some(sasl), ..Rules::default() }).await
}

fn ann(front: &Front, password: &str) -> ClientConfig {
    front.config().security_protocol(SecurityProtocol::SaslPlaintext).sasl(
        SaslMechanism::Plain,
        "ann",
        password,
    )
}

#[tokio::test]
async fn users_are_let_in_by_their_passwords() {
    let front = start(PLAIN).await;
    enters(ann(&front, "secret")).await;
    let error = is_refused(ann(&front, "wrong"), "it says \"Authentication failed\"").await;
    assert_eq!(error.code(), Some(ErrorCode::SASL_AUTHENTICATION_FAILED));
    assert!(error.is_fatal() && !error.is_retriable() && !error.to_string().contains("wrong"));
    is_refused(front.config(), "if it wants SASL on this port").await;
    front.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_said_once_and_not_hidden_by_what_comes_later() {
    let (front, other) = (start(PLAIN).await, start(PLAIN).await);
    let servers = format!("localhost:{},localhost:{}", front.port, other.port);
    let config = ann(&front, "wrong").set("bootstrap.servers", &servers);
    let error = is_refused(config, "it says \"Authentication failed\"").await;
    assert!(error.is_fatal());
    // Either may be the first, and is the only one.
    let fronts = [&front, &other];
    let asked = fronts.map(|front| front.seen.connections.load(Ordering::Relaxed));
    let told = fronts.map(|front| error.to_string().contains(&front.port.to_string()));
    assert!(matches!(asked, [1, 0] | [0, 1]) && told == asked.map(|count| count == 1), "{error}");
    front.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn passwords_go_through_tls() {
    let authority = Authority::new();
    let tls = Some(server(&authority.certify("localhost", 2999), None));
    let front = Front::start(Rules { tls, sasl: Some(PLAIN), host: None }).await;
    let config = ann(&front, "secret").trusted_certificates(&authority.pem());
    enters(config.security_protocol(SecurityProtocol::SaslSsl)).await;
    front.stop().await;
}

#[tokio::test]
async fn mechanisms_that_are_offered_are_named() {
    let front = start(PLAIN).await;
    let config = ann(&front, "secret").set("sasl.mechanism", "SCRAM-SHA-512");
    let error = is_refused(config, "it offers PLAIN; set `sasl.mechanism`").await;
    assert_eq!(error.code(), Some(ErrorCode::UNSUPPORTED_SASL_MECHANISM));
    front.stop().await;

    let front = Front::start(Rules::default()).await;
    let error = is_refused(ann(&front, "secret"), "asks for no authentication").await;
    assert!(matches!(error, Error::Authentication { source: AuthenticationError::NotAsked, .. }));
    front.stop().await;
}

#[tokio::test]
async fn clients_are_let_in_by_tokens() {
    let front = start(BEARER).await;
    let config = front.config().security_protocol(SecurityProtocol::SaslPlaintext);
    let config = config.set("sasl.mechanism", "OAUTHBEARER");
    enters(config.clone().token_provider(|| async { Ok(BearerToken::new("good")) })).await;
    enters(config.clone().set("sasl.oauthbearer.token", "good")).await;
    // {"alg":"none"}.{"exp":1000}
    let old = config.clone().set("sasl.oauthbearer.token", "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDB9.");
    is_refused(old, "; the token expired ").await;
    let failing = config.token_provider(|| async { Err("the issuer is away".into()) });
    assert!(is_refused(failing, "no token: the issuer is away").await.is_retriable());
    front.stop().await;
}

#[tokio::test]
async fn sessions_are_renewed_and_nobody_notices() {
    let front = start(Sasl { session: SHORT, ..PLAIN }).await;
    let kafka = enters(ann(&front, "secret")).await;
    let node = *kafka.metadata().brokers.keys().next().unwrap();
    let alone = kafka.connect_to(node).await.unwrap();
    let (connections, before) = {
        let seen = &front.seen;
        (seen.connections.load(Ordering::Relaxed), seen.authentications.load(Ordering::Relaxed))
    };
    let renewed = || front.seen.authentications.load(Ordering::Relaxed) - before;
    let busy = async {
        while renewed() < 2 {
            let request = list_groups::Request::default();
            let pipelined = (0..8).map(|_| alone.call::<ListGroups>(&request));
            let (shared, own) = tokio::join!(ask(&kafka), all(pipelined));
            shared.unwrap();
            own.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), busy).await.unwrap();
    assert_eq!(front.seen.connections.load(Ordering::Relaxed), connections);
    assert_eq!(*front.seen.out_of_turn.lock().unwrap(), Vec::<&str>::new());
    front.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_renewed_ends_the_connection() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    let front = start(Sasl { session: SHORT, ..BEARER }).await;
    let good = Arc::new(AtomicBool::new(true));
    let given = Arc::clone(&good);
    let provider = move || {
        let text = if given.load(Ordering::Relaxed) { "good" } else { "bad" };
        async move { Ok(BearerToken::new(text)) }
    };
    let config = front.config().security_protocol(SecurityProtocol::SaslPlaintext);
    let config = config.set("sasl.mechanism", "OAUTHBEARER").token_provider(provider);
    let kafka = enters(config).await;
    good.store(false, Ordering::Relaxed);
    let refused = async {
        loop {
            match ask(&kafka).await {
                Ok(()) => {}
                // Whoever is in the middle of it sees the connection end.
                Err(Error::Disconnected { reason, .. }) => {
                    assert!(reason.contains("authenticating anew failed"), "{reason}");
                }
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
    assert_eq!(error.code(), Some(ErrorCode::SASL_AUTHENTICATION_FAILED));
    front.stop().await;
}
