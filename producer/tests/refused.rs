//! A producer whom no broker lets in: it says so, at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use klamm_client::config::SecurityProtocol;
use klamm_client::sasl::BearerToken;
use klamm_client::{AuthenticationError, ClientConfig, Error, Kafka, Subject};
use klamm_producer::{ProduceExt as _, Record};

#[path = "../../client/tests/security/front.rs"]
#[allow(dead_code, reason = "what other tests need")]
mod front;

use front::{Front, Rules, Sasl};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(60);
const BEARER: Sasl = Sasl {
    mechanism: "OAUTHBEARER",
    proof: "n,,\x01auth=Bearer good\x01\x01",
    session: Duration::from_secs(3_600),
};

/// A front, settings to enter by, and whether these are good.
async fn start() -> (Front, ClientConfig, Arc<AtomicBool>) {
    let front = Front::start(Rules { sasl: Some(BEARER), ..Rules::default() }).await;
    let good = Arc::new(AtomicBool::new(true));
    let is_good = Arc::clone(&good);
    let config = front.config().security_protocol(SecurityProtocol::SaslPlaintext);
    let config = config.set("sasl.mechanism", "OAUTHBEARER").token_provider(move || {
        let token = if is_good.load(Ordering::Relaxed) { "good" } else { "revoked" };
        async move { Ok(BearerToken::new(token)) }
    });
    (front, config, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_believed_any_more_is_told_at_once() {
    for idempotent in ["true", "false"] {
        let (front, config, good) = start().await;
        let kafka = Kafka::connect(config).await.unwrap();
        // The topic is known; the producer's own connection is opened for its first batch.
        kafka.topic(&"orders".into()).await.unwrap();
        let builder = kafka.producer().set("enable.idempotence", idempotent);
        let producer = builder.build().await.unwrap();
        good.store(false, Ordering::Relaxed);
        let sent = producer.send(Record::to("orders").value("one"));
        let error = tokio::time::timeout(SOON, sent).await.unwrap().unwrap_err();
        let Error::Authentication { source: AuthenticationError::Refused { .. }, .. } = error
        else {
            panic!("{error}");
        };
        assert!(error.is_fatal() && !error.possibly_written(), "{error}");
        // Once it is believed again, it goes on.
        good.store(true, Ordering::Relaxed);
        let sent = producer.send(Record::to("orders").value("two"));
        let stored = tokio::time::timeout(SOON, sent).await.unwrap().unwrap();
        assert_eq!(stored.offset, Some(0));
        front.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_says_what_last_went_wrong() {
    let broker = klamm_broker::Broker::builder().ephemeral().start().await.unwrap();
    let config = ClientConfig::new(&broker.bootstrap()).set("reconnect.backoff.max.ms", "50");
    let kafka = Kafka::connect(config).await.unwrap();
    let short = |builder: klamm_producer::ProducerBuilder| {
        let builder = builder.set("delivery.timeout.ms", "300").set("request.timeout.ms", "200");
        builder.set("max.block.ms", "300")
    };
    let producer = short(kafka.producer()).build().await.unwrap();
    producer.send(Record::to("orders").value("one")).await.unwrap();
    let address = broker.bootstrap();
    broker.stop().await;

    let error = producer.send(Record::to("orders").value("two")).await.unwrap_err();
    assert!(matches!(&error, Error::DeliveryTimeout { last: Some(_), .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    let error = producer.send(Record::to("payments").value("three")).await.unwrap_err();
    let Error::Blocked { subject: Subject::Name(topic), last: Some(last), .. } = error else {
        panic!("{error}");
    };
    assert!(topic == "payments" && last.to_string().contains(&address), "{last}");
}
