//! What is special about groups in which the broker assigns, against a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::time::Duration;

use klamm_broker::Broker;
use klamm_client::ConfigError;
use klamm_consumer::{Consumer, ConsumerBuilder, ConsumerEvent, Error, GroupProtocol};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use support::{SOON, World, broker, member, next, read, settle};

async fn world(partitions: i32) -> World {
    World::speaking(GroupProtocol::Consumer, partitions).await
}

/// What ends a consumer that cannot be a member.
async fn end(builder: ConsumerBuilder) -> Error {
    let mut consumer = builder.build().await.unwrap();
    let error = fails(&mut consumer).await;
    assert!(error.is_fatal(), "{error}");
    let again = consumer.next_batch().await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string(), "it is told again and again");
    error
}

async fn fails(consumer: &mut Consumer) -> Error {
    let failing = async {
        loop {
            if let Err(error) = consumer.next_batch().await {
                break error;
            }
        }
    };
    tokio::time::timeout(SOON, failing).await.unwrap()
}

#[tokio::test]
async fn a_pattern_is_the_brokers_to_match() {
    let world = world(1).await;
    let others = ["audit.in", "audit.out", "audits.in"].map(|end| format!("{}.{end}", world.topic));
    for other in &others {
        world.create(&other.as_str().into(), 1).await;
    }
    // Both are beyond the crate that matches in the classic protocol.
    let patterns =
        [format!(r"re:\Q{}.audit.\E.*", world.topic), format!(r"re:(?:\Q{}\E)", world.topic)];
    let subscribed = member(&world.kafka, &world.group, world.protocol).subscribe(patterns);
    let mut consumer = subscribed.build().await.unwrap();
    settle(&mut consumer, 3).await;
    let topics: Vec<_> = consumer.assignment().into_iter().map(|(topic, _)| topic).collect();
    let expected: [Str; 3] =
        [world.topic.clone(), others[0].as_str().into(), others[1].as_str().into()];
    assert_eq!(topics, expected);
    // A name instead.
    consumer.subscribe([others[2].clone()]).unwrap();
    let only = [(Str::from(others[2].as_str()), 0)];
    while consumer.assignment() != only {
        let a_moment = Duration::from_millis(20);
        let _ = tokio::time::timeout(a_moment, consumer.next_batch()).await;
    }
    consumer.close(SOON).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn what_the_broker_refuses_for_good_is_told() {
    let limited = broker(Broker::builder().ephemeral()).set("group.consumer.max.size", "1");
    let broker = limited.start().await.unwrap();
    let world = World::at(Some(broker), GroupProtocol::Consumer, 1).await;
    let no_pattern = end(member(&world.kafka, "a", world.protocol).subscribe(["re:("])).await;
    assert_eq!(no_pattern.code(), Some(ErrorCode::INVALID_REGULAR_EXPRESSION));
    let no_assignor = end(world.member().remote_assignor("by-lot")).await;
    assert_eq!(no_assignor.code(), Some(ErrorCode::UNSUPPORTED_ASSIGNOR));
    let mut consumer = world.member().build().await.unwrap();
    settle(&mut consumer, 1).await;
    let too_many = end(world.member()).await;
    assert_eq!(too_many.code(), Some(ErrorCode::GROUP_MAX_SIZE_REACHED));
    next(&mut consumer).await;
    world.stop().await;
}

#[tokio::test]
async fn a_double_of_a_static_member_is_refused() {
    let world = world(1).await;
    let mut first = world.member().group_instance_id("one").build().await.unwrap();
    settle(&mut first, 1).await;
    let refused = end(world.stranger().await.group_instance_id("one")).await;
    assert_eq!(refused.code(), Some(ErrorCode::UNRELEASED_INSTANCE_ID));
    read(&mut first, 10).await;
    first.close(SOON).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_revocation_waits_for_work_in_hand() {
    let world = world(1).await;
    let mut first = world.member().build().await.unwrap();
    let in_hand = next(&mut first).await;
    let mut events = first.events();
    assert!(matches!(events.next().await, Some(ConsumerEvent::Assigned(_))));
    let mut second = world.member().build().await.unwrap();
    let elsewhere: Str = format!("{}.elsewhere", world.topic).into();
    world.create(&elsewhere, 1).await;
    first.subscribe([elsewhere.clone()]).unwrap();
    assert!(matches!(events.next().await, Some(ConsumerEvent::Revoking(_))));
    // The application works on a batch; nobody else gets it before it asks for more.
    let waiting = tokio::time::timeout(Duration::from_millis(300), second.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let reading = async {
        while first.assignment() != [(elsewhere.clone(), 0)] {
            let a_moment = Duration::from_millis(20);
            let _ = tokio::time::timeout(a_moment, first.next_batch()).await;
        }
    };
    let (batch, ()) = tokio::join!(next(&mut second), reading);
    // What was worked on was committed before.
    assert_eq!(batch.records()[0].offset, in_hand.end_offset());
    world.stop().await;
}

#[tokio::test]
async fn a_group_goes_from_one_protocol_to_the_other_member_by_member() {
    let world = world(4).await;
    let old = member(&world.kafka, &world.group, GroupProtocol::Classic);
    let mut old = old.subscribe([world.topic.clone()]).build().await.unwrap();
    read(&mut old, 100).await;
    let mut new = world.stranger().await.build().await.unwrap();
    tokio::join!(settle(&mut old, 2), settle(&mut new, 2));
    for partition in 0..4 {
        world.produce(partition, 10).await;
    }
    // Each commits what it has.
    read(&mut old, 10).await;
    read(&mut new, 10).await;
    old.commit_delivered().await.unwrap();
    new.commit_delivered().await.unwrap();
    old.close(SOON).await.unwrap();
    settle(&mut new, 4).await;
    // And back.
    let old = member(&world.kafka, &world.group, GroupProtocol::Classic);
    let mut old = old.subscribe([world.topic.clone()]).build().await.unwrap();
    tokio::join!(settle(&mut old, 2), settle(&mut new, 2));
    new.close(SOON).await.unwrap();
    settle(&mut old, 4).await;
    old.close(SOON).await.unwrap();
    world.stop().await;
}

/// Versions 0 and 1 of the consumer protocol, as ApiVersions says them.
const SERVED: [u8; 6] = [0, 68, 0, 0, 0, 1];

/// Stands before a broker, and says of the consumer protocol what an older one would.
async fn pretend(listener: TcpListener, broker: String, says: [u8; 6]) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(&broker).await.unwrap();
        tokio::task::spawn_local(async move {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let down = async {
                // The first answer is to ApiVersions.
                let size = from_server.read_u32().await?;
                let mut answer = vec![0; size as usize];
                from_server.read_exact(&mut answer).await?;
                let at = answer.windows(6).position(|bytes| bytes == SERVED).unwrap();
                answer[at..at + 6].copy_from_slice(&says);
                to_client.write_u32(size).await?;
                to_client.write_all(&answer).await?;
                tokio::io::copy(&mut from_server, &mut to_client).await
            };
            tokio::select! {
                _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                _ = down => {}
            }
        });
    }
}

/// A world whose broker says so of the consumer protocol.
async fn older(says: [u8; 6]) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // An address that nobody has.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = free.local_addr().unwrap().to_string();
    drop(free);
    let builder = broker(Broker::builder().ephemeral()).listen(&behind);
    let builder = builder.set("advertised.listeners", format!("PLAINTEXT://{address}"));
    let broker = builder.start().await.unwrap();
    tokio::task::spawn_local(pretend(listener, behind, says));
    World::at(Some(broker), GroupProtocol::Consumer, 1).await
}

#[tokio::test]
async fn older_brokers_are_told_what_they_understand() {
    let test = async {
        // Version 0 alone: without patterns.
        let world = older([0, 68, 0, 0, 0, 0]).await;
        let mut consumer = world.member().build().await.unwrap();
        read(&mut consumer, 100).await;
        consumer.close(SOON).await.unwrap();
        let pattern = member(&world.kafka, &world.group, world.protocol).subscribe(["re:a.*"]);
        let refused = end(pattern).await;
        let not_served = matches!(&refused, Error::Config(ConfigError::NotServed { .. }));
        assert!(not_served && refused.to_string().contains("patterns"), "{refused}");
        world.stop().await;
        // Another API instead: none at all.
        let world = older([117, 48, 0, 0, 0, 1]).await;
        let refused = end(world.member()).await;
        let told = refused.to_string();
        assert!(told.contains("`group.protocol` = \"consumer\""), "{told}");
        world.stop().await;
    };
    tokio::task::LocalSet::new().run_until(test).await;
}
