//! WriteTxnMarkers: tells partitions how a transaction ended. Versions 1 to 2.
//!
//! Brokers send it to each other, and administrators who end a transaction that hangs: one that is
//! open in a partition, and that its coordinator knows nothing of.

use std::sync::Arc;

use klamm_protocol::api::write_txn_markers::{
    Marker as Sent, MarkerAnswer, PartitionAnswer, Request, Response, TopicAnswer,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::records::Outcome;
use tokio::sync::oneshot;

use crate::node::Node;
use crate::partition::Marker;
use crate::server::{Call, Reply};
use crate::txn::marking::Marking;

/// From this version of transactions on, a marker's epoch is newer than that of what it ends.
const HAS_NEW_EPOCH: i8 = 2;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let mut begun = Vec::with_capacity(request.markers.len());
    for sent in request.markers {
        begun.push(begin(&call.node, sent).await);
    }
    let (answer, answered) = oneshot::channel();
    let stopping = call.node.tasks.stopping();
    // What ends a transaction is seen through, also if who asked for it goes away.
    call.node.tasks.spawn("markers", async move {
        tokio::select! {
            () = stopping => {}
            response = end(begun) => drop(answer.send(response)),
        }
    });
    Reply::later(async move { answered.await.unwrap_or_default() })
}

/// Waits until all markers are durable, or refused.
async fn end(begun: Vec<(MarkerAnswer, Vec<Marking>)>) -> Response {
    let mut markers = Vec::with_capacity(begun.len());
    for (mut answer, markings) in begun {
        let partitions = answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for (partition, marking) in partitions.zip(markings) {
            partition.error_code = marking.end().await.err().unwrap_or(ErrorCode::NONE);
        }
        markers.push(answer);
    }
    Response { markers }
}

/// Begins to write a marker to all of its partitions, in their order.
async fn begin(node: &Arc<Node>, sent: Sent) -> (MarkerAnswer, Vec<Marking>) {
    let marker = Marker {
        producer_id: sent.producer_id,
        producer_epoch: sent.producer_epoch,
        has_new_epoch: sent.transaction_version >= HAS_NEW_EPOCH,
        coordinator_epoch: sent.coordinator_epoch,
        is_own: false,
    };
    let outcome = if sent.transaction_result { Outcome::Commit } else { Outcome::Abort };
    let (mut topics, mut markings) = (Vec::with_capacity(sent.topics.len()), Vec::new());
    for topic in sent.topics {
        for index in &topic.partition_indexes {
            let place = (topic.name.as_str(), *index);
            markings.push(Marking::begin(node, place, marker, outcome).await);
        }
        let answer = |partition_index| PartitionAnswer { partition_index, ..Default::default() };
        let partitions = topic.partition_indexes.into_iter().map(answer).collect();
        topics.push(TopicAnswer { name: topic.name, partitions });
    }
    (MarkerAnswer { producer_id: sent.producer_id, topics }, markings)
}
