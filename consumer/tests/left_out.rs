//! A broker whose answers leave out what was asked for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use klamm_consumer::{ConsumeExt as _, GroupProtocol, Start};
use klamm_protocol::api::list_offsets::ListOffsets;
use klamm_protocol::declare::Api as _;
use klamm_protocol::header::{RequestHeader, decode_response, encode_response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use support::{World, next};

/// What comes next, without its length.
async fn frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut frame = vec![0; from.read_u32().await? as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Stands before a broker, and leaves out what that says of the offsets of partition 1.
async fn pretend(listener: TcpListener, broker: String) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(&broker).await.unwrap();
        tokio::task::spawn_local(stand_between(client, server));
    }
}

async fn stand_between(mut client: TcpStream, mut server: TcpStream) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let asked = RefCell::new(HashMap::new());
    let up = async {
        loop {
            let frame = frame(&mut from_client).await?;
            let (header, _) = RequestHeader::split(frame.clone()).unwrap();
            if header.api_key == ListOffsets::KEY {
                asked.borrow_mut().insert(header.correlation_id, header.api_version);
            }
            to_server.write_u32(u32::try_from(frame.len()).unwrap()).await?;
            to_server.write_all(&frame).await?;
        }
    };
    let down = async {
        loop {
            let frame = frame(&mut from_server).await?;
            let correlation_id = i32::from_be_bytes(frame[..4].try_into().unwrap());
            let version = asked.borrow_mut().remove(&correlation_id);
            let Some(version) = version else {
                to_client.write_u32(u32::try_from(frame.len()).unwrap()).await?;
                to_client.write_all(&frame).await?;
                continue;
            };
            let (_, mut body) = decode_response::<ListOffsets>(version, frame).unwrap();
            for topic in &mut body.topics {
                topic.partitions.retain(|partition| partition.partition_index != 1);
            }
            let frame = encode_response::<ListOffsets>(version, correlation_id, &body).unwrap();
            to_client.write_all(&frame.into_bytes()).await?;
        }
    };
    let _: io::Result<()> = tokio::select! {
        ended = up => ended,
        ended = down => ended,
    };
}

/// It was asked for again at once, before anything else.
#[tokio::test]
async fn an_offset_that_an_answer_leaves_out_keeps_no_other_partition_waiting() {
    let test = async {
        let world = World::behind(pretend, GroupProtocol::Classic, 2).await;
        let consumer = world.kafka.consumer().assign_topic(world.topic.clone(), Start::Earliest);
        let mut consumer = consumer.build().await.unwrap();
        let mut expected = 0;
        while expected < 100 {
            let batch = next(&mut consumer).await;
            assert_eq!((batch.partition(), batch.records()[0].offset), (0, expected));
            expected = batch.end_offset();
        }
        world.stop().await;
    };
    tokio::task::LocalSet::new().run_until(test).await;
}
