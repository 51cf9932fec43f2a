//! What a broker may refuse for good, because of its settings or its age, in the protocol in which
//! it assigns.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use klamm_broker::Broker;
use klamm_client::ConfigError;
use klamm_consumer::{Error, GroupProtocol};
use klamm_protocol::error_code::ErrorCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use cluster::{Cluster, prompt};
use support::{SOON, World, end, member, next, read, settle};

#[tokio::test]
async fn what_the_broker_refuses_for_good_is_told() {
    let limited = prompt(Broker::builder().ephemeral()).set("group.consumer.max.size", "1");
    let broker = limited.start().await.unwrap();
    let world = World::at(Cluster::of(broker), GroupProtocol::Consumer, 1).await;
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
    let pretend = |listener, broker| pretend(listener, broker, says);
    World::behind(pretend, GroupProtocol::Consumer, 1).await
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
