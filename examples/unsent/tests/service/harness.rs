//! What the tests share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::kv::Stores;
use common::service::Running;
use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use serde_json::{Value, json};
use unsent::producer::Access;
use unsent::wire::Unsent;
use unsent::{consumer, producer};

use crate::content::{PARTITIONS, content};

/// So long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Service {
    pub(crate) broker: Broker,
    pub(crate) stores: Stores,
    pub(crate) producer: Running,
    pub(crate) http: reqwest::Client,
}

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The settings of a producer.
pub(crate) fn settings(kafka: String, access: Access) -> producer::Settings {
    producer::Settings {
        listen: LOOPBACK,
        server_name: "test".into(),
        kafka,
        partitions: PARTITIONS,
        dev_mode: true,
        access,
        http: common::http::Settings { body_bytes_max: 1 << 20, ..Default::default() },
    }
}

impl Service {
    /// A broker and a producer. Consumers are the test's to start.
    pub(crate) async fn start() -> Self {
        Self::start_with(Stores::memory(), Access::open()).await
    }

    pub(crate) async fn start_with(stores: Stores, access: Access) -> Self {
        // Of several tests in a process one is first.
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let broker = Broker::builder().ephemeral();
        let broker = broker.set("group.initial.rebalance.delay.ms", "0").start().await.unwrap();
        let settings = settings(broker.bootstrap(), access);
        let producer = producer::start(settings, stores.clone()).await.unwrap();
        let service = Self { broker, stores, producer, http: reqwest::Client::new() };
        service
            .until("the producer is ready", async || service.get("/readyz").await.0 == 200)
            .await;
        service
    }

    pub(crate) async fn consumer(&self, name: &str) -> Running {
        let settings = consumer::Settings {
            listen: LOOPBACK,
            server_name: name.into(),
            kafka: self.broker.bootstrap(),
            partitions: PARTITIONS,
        };
        consumer::start(settings, self.stores.clone()).await.unwrap()
    }

    pub(crate) async fn kafka(&self) -> Kafka {
        Kafka::connect(ClientConfig::new(&self.broker.bootstrap())).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.http.post(self.url(path)).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.producer.address())
    }

    /// Posts a message under its own text as the id.
    pub(crate) async fn write(&self, from: &str, to: &str, text: &str) -> Value {
        let message = json!({"touser": to, "fromuser": from, "message": text, "message_id": text});
        let (status, answer) = self.post("/messages", &message).await;
        assert_eq!(status, 202, "{answer}");
        answer
    }

    pub(crate) async fn unsent(&self, user: &str) -> Unsent {
        let (status, text) = self.get(&format!("/users/{user}/unsent")).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What waits for a user, once it is this: senders, the latest first, and their counts.
    pub(crate) async fn expect(&self, user: &str, expected: &[(&str, u64)]) -> Unsent {
        let mut last = None;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let unsent = self.unsent(user).await;
                let counts: Vec<_> =
                    unsent.senders.iter().map(|s| (s.fromuser.as_str(), s.count)).collect();
                if counts == expected {
                    return unsent;
                }
                last = Some(unsent);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        match found.await {
            Ok(unsent) => unsent,
            Err(_) => panic!("{user} was to have {expected:?}, but has {last:?}"),
        }
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let held = tokio::time::timeout(PATIENCE, async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(held.await.is_ok(), "in vain waited until {what}");
    }

    /// Waits until both stores hold the same, field by field, and that fits.
    pub(crate) async fn until_same(
        &self,
        what: &str,
        fits: impl Fn(&BTreeMap<String, BTreeMap<String, String>>) -> bool,
    ) {
        let Stores { master, auxiliary, .. } = &self.stores;
        self.until(what, async || {
            let held = content(master).await;
            held == content(auxiliary).await && fits(&held)
        })
        .await;
    }

    pub(crate) async fn stop(self) {
        self.producer.stop().await.unwrap();
        self.broker.stop().await;
    }
}
