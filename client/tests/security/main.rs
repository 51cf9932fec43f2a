//! What clients do to be let in by brokers that do not let in everyone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod certificates;
mod front;
mod sasl;
mod socks;
mod tls;

use klamm_client::{ClientConfig, Error, Kafka};
use klamm_protocol::api::list_groups::{self, ListGroups};

/// Any request that is no part of letting in.
async fn ask(kafka: &Kafka) -> klamm_client::Result<()> {
    let broker = kafka.any_broker().await?;
    broker.call::<ListGroups>(&list_groups::Request::default()).await.map(drop)
}

/// The client is let in, by the broker that is advertised, too.
async fn enters(config: ClientConfig) -> Kafka {
    let kafka = Kafka::connect(config).await.unwrap();
    ask(&kafka).await.unwrap();
    let node = *kafka.metadata().brokers.keys().next().unwrap();
    let alone = kafka.connect_to(node).await.unwrap();
    alone.call::<ListGroups>(&list_groups::Request::default()).await.unwrap();
    kafka
}

/// The client is not let in, and is told why and where.
async fn is_refused(config: ClientConfig, why: &str) -> Error {
    let error = Kafka::connect(config).await.map(drop).unwrap_err();
    let told = error.to_string();
    assert!(told.contains(why), "{told}");
    if !matches!(error, Error::Config(_)) {
        assert!(told.contains("localhost:"), "{told}");
    }
    error
}

/// All of them at once.
pub(crate) async fn all<T>(
    calls: impl Iterator<Item = impl Future<Output = klamm_client::Result<T>>>,
) -> klamm_client::Result<()> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        let mut failed = None;
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(answered) => {
                failed = failed.take().or(answered.err());
                false
            }
        });
        match failed {
            Some(error) => std::task::Poll::Ready(Err(error)),
            None if calls.is_empty() => std::task::Poll::Ready(Ok(())),
            None => std::task::Poll::Pending,
        }
    })
    .await
}
