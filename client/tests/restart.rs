//! A client whose broker goes and comes back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use klamm_broker::Broker;
use klamm_client::{Error, Kafka};

use cluster::Cluster;

#[tokio::test]
async fn a_broker_that_is_gone_is_an_error_and_one_that_comes_back_is_found() {
    let cluster = Cluster::of(Broker::builder().ephemeral().start().await.unwrap());
    let (config, address) = (cluster.config(), cluster.address.clone());
    let kafka = cluster.connect().await;
    cluster.stop().await;
    let error = Kafka::connect(config).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.is_retriable(), "{error}");
    let broker = Broker::builder().ephemeral().listen(&address).start().await.unwrap();
    assert_eq!(kafka.admin().list_topics().await.unwrap().len(), 0);
    broker.stop().await;
}
