//! Every kind of future of a client, dropped at each of its awaits: what is asked next is answered.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use klamm_client::admin::{Admin, NewTopic, OffsetSpec};
use klamm_client::{CoordinatorKind, Kafka, Result};
use klamm_protocol::wire::Str;
use klamm_utils::cancel::{at_every_await, poll_at_most};
use klamm_utils::clock;

use cluster::{Cluster, eventually};

/// More polls than any future here has awaits.
const MOST: usize = 2_000;
/// How often a future must have been done: what a runtime does varies.
const ENOUGH: usize = 3;

/// Drops the future that `ask` makes at each of its awaits, of a client that knows nothing yet and
/// of one that knows the cluster; each is asked again then, and answers.
async fn check<T>(cluster: &Cluster, ask: impl AsyncFn(Kafka, Admin) -> Result<T>) {
    let seasoned = cluster.connect().await;
    for fresh in [true, false] {
        at_every_await(MOST, ENOUGH, async |polls| {
            let kafka = if fresh { cluster.connect().await } else { seasoned.clone() };
            let cut = poll_at_most(polls, ask(kafka.clone(), kafka.admin())).await;
            eventually(async || ask(kafka.clone(), kafka.admin()).await.is_ok()).await;
            cut
        })
        .await;
    }
}

async fn start() -> (Cluster, Str) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    let name = cluster.name("orders");
    cluster::create(&kafka, cluster::topic(&kafka, &name, 2)).await;
    (cluster, name.into())
}

#[tokio::test]
async fn a_client_goes_on_when_its_calls_are_dropped() {
    let (cluster, topic) = start().await;
    let (group, kind) = (Str::from(cluster.name("group")), CoordinatorKind::Group);
    at_every_await(MOST, ENOUGH, async |polls| {
        poll_at_most(polls, Kafka::connect(cluster.config())).await
    })
    .await;
    check(&cluster, async |kafka, _| kafka.refresh(None).await).await;
    check(&cluster, async |kafka, _| kafka.any_broker().await).await;
    check(&cluster, async |kafka, _| kafka.topic(&topic).await).await;
    check(&cluster, async |kafka, _| kafka.topic_heard_after(&topic, clock::now()).await).await;
    check(&cluster, async |kafka, _| kafka.coordinator(kind, &group).await).await;
    let first = |kafka: &Kafka| *kafka.metadata().brokers.keys().next().unwrap();
    check(&cluster, async |kafka, _| kafka.broker(first(&kafka)).await).await;
    check(&cluster, async |kafka, _| kafka.connect_to(first(&kafka)).await).await;
    cluster.stop().await;
}

#[tokio::test]
async fn an_administrator_goes_on_when_its_calls_are_dropped() {
    let (cluster, topic) = start().await;
    let group = Str::from(cluster.name("group"));
    let made = NewTopic::new(&cluster.name("made"));
    let ends = [(topic.clone(), 0, OffsetSpec::Latest), (topic.clone(), 1, OffsetSpec::Earliest)];
    let offsets = [(topic.clone(), 0, 0.into())];
    // What has been done already is an outcome of the item, not of the call.
    check(&cluster, async |_, admin| admin.create_topics(std::slice::from_ref(&made)).await).await;
    check(&cluster, async |_, admin| admin.delete_topics(&["none".into()]).await).await;
    check(&cluster, async |_, admin| admin.describe_topics(std::slice::from_ref(&topic)).await)
        .await;
    check(&cluster, async |_, admin| admin.list_topics().await).await;
    check(&cluster, async |_, admin| admin.list_offsets(&ends).await).await;
    check(&cluster, async |_, admin| admin.delete_records(&[(topic.clone(), 0, 0)]).await).await;
    check(&cluster, async |_, admin| admin.alter_group_offsets(&group, &offsets).await).await;
    check(&cluster, async |_, admin| admin.group_offsets(std::slice::from_ref(&group)).await).await;
    check(&cluster, async |_, admin| admin.describe_cluster().await).await;
    check(&cluster, async |_, admin| admin.api_versions().await).await;
    cluster.stop().await;
}
