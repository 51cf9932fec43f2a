//! The three ways to find a receiver, and what each costs.

use serde_json::{Value, json};

use crate::harness::{World, until};

async fn redundant(world: &World, mode: &str) -> u64 {
    world.get(0, "alice", "/pods").await["redundant"][mode].as_u64().unwrap()
}

async fn set_mode(world: &World, mode: &str) {
    for pod in 0..world.pods.len() {
        let url = format!("http://{}/mode", world.pods[pod].address());
        let token = world.token("alice").await;
        let body = json!({ "mode": mode });
        let answer = world.http.post(url).bearer_auth(token).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// With every other mode, each message costs as many events as there are other pods.
#[tokio::test]
async fn only_topics_of_pods_have_no_redundant_events() {
    let world = World::start(3).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 1).await;
    for mode in ["broadcast", "single-topic", "pod-id"] {
        set_mode(&world, mode).await;
        // Pods that follow a topic from its end may have been a moment late for the first.
        let mut n = 0;
        let before = redundant(&world, mode).await;
        let expected = if mode == "pod-id" { 0 } else { 2 };
        until("the cost is seen", async || {
            n += 1;
            alice.write("bob", &format!("{mode} {n}")).await;
            assert_eq!(bob.read().await, format!("{mode} {n}"));
            alice.status("DELIVERED").await;
            redundant(&world, mode).await - before >= expected
        })
        .await;
    }
    assert_eq!(redundant(&world, "pod-id").await, 0);
    let pods = world.get(2, "alice", "/pods").await;
    assert_eq!(pods["modes"], json!(["pod-id", "broadcast", "single-topic"]));
    let ids: Vec<_> = pods["pods"].as_array().unwrap().iter().map(|pod| &pod["pod_id"]).collect();
    assert_eq!(ids, ["pod-1", "pod-2", "pod-3"]);
    // A pod that had no part in it hears of it a moment later.
    until("the hop is told", async || {
        let pods = world.get(2, "alice", "/pods").await;
        let hops = pods["hops"].as_array().unwrap();
        let of_alice = hops.iter().find(|hop| hop["sender_id"] == "alice");
        of_alice.is_some_and(|hop| hop["from_pod"] == "pod-1" && hop["to_pod"] == "pod-2")
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_new_pod_is_not_played_what_was_before_it() {
    let mut world = World::start(1).await;
    set_mode(&world, "single-topic").await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    for n in 0..5 {
        alice.write("bob", &n.to_string()).await;
        bob.read().await;
    }
    let late = world.pod("pod-2").await;
    world.pods.push(late);
    let mut carol = world.connect("carol", 1).await;
    // Once this is through, the late pod has followed the topic past what was before it.
    let mut n = 0;
    until("the late pod follows the topic", async || {
        n += 1;
        bob.write("carol", &format!("to carol {n}")).await;
        carol.read().await;
        let pods: Value = world.get(1, "carol", "/pods").await;
        pods["hops"].as_array().unwrap().iter().any(|hop| hop["to_pod"] == "pod-2")
    })
    .await;
    let url = format!("http://{}/metrics", world.pods[1].address());
    let metrics = world.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dm_redundant_total{mode=\"single-topic\"} 0\n"), "{metrics}");
    world.stop().await;
}

/// As many consumers as partitions, in one group; more workers raise both.
#[tokio::test]
async fn a_pod_has_a_partition_for_each_worker() {
    let mut world = World::start(1).await;
    let kafka = world.kafka().await;
    let admin = kafka.admin();
    let topic = klamm_protocol::wire::Str::from("pod.pod-1");
    let members = async || {
        let group = klamm_protocol::wire::Str::from("pod.pod-1");
        let mut groups = admin.describe_groups(&[group]).await.unwrap();
        groups.remove(0).1.map_or(0, |group| group.members.len())
    };
    until("all workers are members", async || members().await == 2).await;
    assert_eq!(kafka.topic(&topic).await.unwrap().partitions.len(), 2);
    world.pods.remove(0).stop().await.unwrap();
    let settings = distrisocks::pod::Settings { worker_count: 3, ..world.settings("pod-1") };
    let pod = distrisocks::pod::start(settings, world.backends.clone()).await.unwrap();
    world.pods.push(pod);
    until("all workers are members", async || members().await == 3).await;
    until("the partitions are known", async || {
        let described = admin.describe_topics(std::slice::from_ref(&topic)).await.unwrap();
        described[0].1.as_ref().is_ok_and(|topic| topic.partitions.len() == 3)
    })
    .await;
    world.stop().await;
}

/// Who has handed a message over to the writers says so; not before, and for each.
#[tokio::test]
async fn what_was_handed_over_is_committed_and_no_more() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    for n in 0..20 {
        alice.write("bob", &n.to_string()).await;
    }
    for n in 0..20 {
        assert_eq!(bob.read().await, n.to_string());
    }
    let kafka = world.kafka().await;
    let group = klamm_protocol::wire::Str::from("pod.pod-1");
    until("all is committed", async || {
        let mut groups = kafka.admin().group_offsets(std::slice::from_ref(&group)).await.unwrap();
        let offsets = groups.remove(0).1.unwrap();
        let committed = offsets.into_iter().filter_map(|(_, offset)| offset.unwrap());
        let committed = committed.map(|committed| committed.offset).sum::<i64>();
        assert!(committed <= 20, "{committed}");
        committed == 20
    })
    .await;
    world.stop().await;
}

/// One gauge for ten workers shows what the last of them had.
#[tokio::test]
async fn queue_depths_are_told_of_each_worker() {
    let world = World::start(1).await;
    let mut alice = world.connect("alice", 0).await;
    let url = format!("http://{}/metrics", world.pods[0].address());
    let receivers = ["bob", "carol", "dave", "eve", "frank", "grace", "heidi", "ivan"];
    for receiver in receivers {
        let mut there = world.connect(receiver, 0).await;
        alice.write(receiver, receiver).await;
        there.read().await;
    }
    let metrics = world.http.get(url).send().await.unwrap().text().await.unwrap();
    for queue in ["kafka-pub", "sock-writer"] {
        for worker in 0..2 {
            let line = format!("dm_queue_depth{{queue=\"{queue}\",worker=\"{worker}\"}} 0\n");
            assert!(metrics.contains(&line), "{line}{metrics}");
        }
    }
    world.stop().await;
}

/// The original's topic is the pod's name and nothing else.
#[tokio::test]
async fn a_topic_is_called_as_its_pod_if_that_is_wanted() {
    let mut world = World::start(0).await;
    let settings =
        distrisocks::pod::Settings { topic_prefix: String::new(), ..world.settings("p-1") };
    let pod = world.pod_with(settings).await;
    world.pods.push(pod);
    let mut alice = world.connect("alice", 0).await;
    let mut bob = world.connect("bob", 0).await;
    alice.write("bob", "hi").await;
    assert_eq!(bob.read().await, "hi");
    let topics = world.kafka().await.admin().list_topics().await.unwrap();
    assert!(topics.iter().any(|topic| topic.name.as_str() == "p-1"));
    world.stop().await;
}
