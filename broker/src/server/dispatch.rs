//! From a frame to a handler and back: the whole surface of the broker on one screen.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use klamm_protocol::api::{ApiKey, api_versions::ApiVersions};
use klamm_protocol::declare::Api;
use klamm_protocol::header::{RequestHeader, decode_request, encode_response};
use klamm_protocol::wire::{Encoded, Reader};

use super::connection::ConnectionError;
use super::memory::FREE_BYTES;
use super::pipeline::{Answer, LaterAnswer};
use super::{Call, Peer, Reply, faulty};
use crate::api;
use crate::faults::{Grain, Refuse};
use crate::node::Node;

/// One API that is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) key: ApiKey,
    /// What ApiVersions tells.
    pub(crate) min_version: i16,
    pub(crate) max_version: i16,
    /// What faults can tell apart of its requests, and of the codes in its answers.
    pub(crate) names: Grain,
    pub(crate) errors: Grain,
}

/// What dispatching a request gives, once the order of its effects is fixed.
pub(super) enum Dispatched {
    Ready(Encoded),
    Later(LaterAnswer),
    Silent,
}

/// Each line binds an API to its handler; all its declared versions are served. `advertised from`
/// tells clients of more versions than are served: see [`api::produce`].
macro_rules! served {
    ($($name:ident => $handler:path $(, advertised from $min:literal)?;)*) => {
        /// The APIs that are served, in the order of their keys.
        pub(crate) const SERVED: &[Served] = &[$(Served {
            key: ApiKey::$name,
            min_version: klamm_protocol::or!(
                $($min)?,
                *<klamm_protocol::api::$name as Api>::VERSIONS.start()
            ),
            max_version: *<klamm_protocol::api::$name as Api>::VERSIONS.end(),
            names: <klamm_protocol::api::$name as Refuse>::NAMES,
            errors: <klamm_protocol::api::$name as Refuse>::ERRORS,
        }),*];

        async fn call_handler(
            key: ApiKey,
            request: Incoming,
        ) -> Result<Dispatched, ConnectionError> {
            match key {
                $(ApiKey::$name => {
                    request.answer::<klamm_protocol::api::$name, _>($handler).await
                })*
                _ => Err(request.not_served()),
            }
        }
    };
}

served! {
    Produce => api::produce::handle, advertised from 0;
    Fetch => api::fetch::handle;
    ListOffsets => api::list_offsets::handle;
    Metadata => api::metadata::handle;
    OffsetCommit => api::offsets::commit::handle;
    OffsetFetch => api::offsets::fetch::handle;
    FindCoordinator => api::find_coordinator::handle;
    JoinGroup => api::groups::join::handle;
    Heartbeat => api::groups::heartbeat::handle;
    LeaveGroup => api::groups::leave::handle;
    SyncGroup => api::groups::sync::handle;
    DescribeGroups => api::groups::describe::handle;
    ListGroups => api::groups::list::handle;
    ApiVersions => api::api_versions::handle;
    CreateTopics => api::topics::create::handle;
    DeleteTopics => api::topics::delete::handle;
    DeleteRecords => api::delete_records::handle;
    InitProducerId => api::transactions::init_producer_id::handle;
    OffsetForLeaderEpoch => api::offset_for_leader_epoch::handle;
    AddPartitionsToTxn => api::transactions::add_partitions::handle;
    AddOffsetsToTxn => api::transactions::add_offsets::handle;
    EndTxn => api::transactions::end::handle;
    WriteTxnMarkers => api::transactions::write_markers::handle;
    TxnOffsetCommit => api::transactions::commit_offsets::handle;
    DescribeAcls => api::security::acls::describe;
    CreateAcls => api::security::acls::create;
    DeleteAcls => api::security::acls::delete;
    DescribeConfigs => api::configs::describe::handle;
    AlterConfigs => api::configs::alter::handle;
    AlterReplicaLogDirs => api::replicas::log_dirs::handle;
    DescribeLogDirs => api::describe_log_dirs::handle;
    CreatePartitions => api::topics::grow::handle;
    DeleteGroups => api::groups::delete::handle;
    ElectLeaders => api::replicas::elect_leaders::handle;
    IncrementalAlterConfigs => api::configs::incremental_alter::handle;
    AlterPartitionReassignments => api::replicas::reassign::handle;
    ListPartitionReassignments => api::replicas::list_reassignments::handle;
    OffsetDelete => api::offsets::delete::handle;
    DescribeClientQuotas => api::security::quotas::handle;
    DescribeUserScramCredentials => api::security::users::handle;
    DescribeQuorum => api::describe_quorum::handle;
    UpdateFeatures => api::update_features::handle;
    DescribeCluster => api::describe_cluster::handle;
    DescribeProducers => api::describe_producers::handle;
    UnregisterBroker => api::unregister_broker::handle;
    DescribeTransactions => api::transactions::describe::handle;
    ListTransactions => api::transactions::list::handle;
    ConsumerGroupHeartbeat => api::groups::consumer_heartbeat::handle;
    ConsumerGroupDescribe => api::groups::consumer_describe::handle;
    GetTelemetrySubscriptions => api::telemetry::subscribe::handle;
    PushTelemetry => api::telemetry::push::handle;
    ListConfigResources => api::configs::list::handle;
    DescribeTopicPartitions => api::describe_topic_partitions::handle;
}

/// A request whose header has been read.
struct Incoming {
    call: Call,
    header: RequestHeader,
    body: Reader,
}

/// Reads a request, has it handled, and encodes its answer. Tells which API it was for.
///
/// # Errors
/// The bytes are no request, or one that is not served: the connection must end (Kafka has no
/// answer for it).
pub(super) async fn dispatch(
    node: &Arc<Node>,
    peer: &Arc<Peer>,
    frame: Bytes,
) -> Result<(ApiKey, Dispatched), ConnectionError> {
    let is_large = frame.len() > FREE_BYTES;
    let (mut header, mut body) = RequestHeader::split(frame)?;
    if is_large {
        // Who waits for long, or in a group, is not to hold on to memory that is counted.
        header.client_id = header.client_id.map(|id| id.detached());
        body.detach();
    }
    tracing::trace!(
        peer = %peer.address,
        client = header.client_id.as_deref(),
        api = header.api_key,
        version = header.api_version,
        "a request"
    );
    let call = Call {
        node: Arc::clone(node),
        peer: Arc::clone(peer),
        version: header.api_version,
        client_id: header.client_id.take().unwrap_or_default(),
    };
    let request = Incoming { call, header, body };
    let version = request.call.version;
    match ApiKey::from_code(request.header.api_key) {
        // A client may try its newest version first; it must learn ours (KIP-511).
        Some(ApiKey::ApiVersions) if !ApiVersions::VERSIONS.contains(&version) => {
            let answer = api::api_versions::unsupported_version();
            let correlation_id = request.header.correlation_id;
            let answer = encode_response::<ApiVersions>(0, correlation_id, &answer)?;
            Ok((ApiKey::ApiVersions, Dispatched::Ready(answer)))
        }
        Some(key) if key.versions().contains(&version) => {
            Ok((key, call_handler(key, request).await?))
        }
        _ => Err(request.not_served()),
    }
}

impl Incoming {
    async fn answer<A, F>(
        self,
        handler: impl FnOnce(Call, A::Request) -> F,
    ) -> Result<Dispatched, ConnectionError>
    where
        A: Refuse,
        A::Response: Send + 'static,
        F: Future<Output = Reply<A::Response>>,
    {
        let Self { call, header, body } = self;
        let body = decode_request::<A>(body)?;
        let encode = move |response: A::Response| -> Answer {
            encode_response::<A>(header.api_version, header.correlation_id, &response).map_err(
                |error| {
                    let version = header.api_version;
                    tracing::error!(api = A::NAME, version, %error, "an answer cannot be encoded");
                    ConnectionError::HangUp("the answer cannot be encoded")
                },
            )
        };
        if !call.node.faults.any() {
            return dispatched(handler(call, body).await, encode);
        }
        let node = Arc::clone(&call.node);
        let (reply, lot) = faulty::handle::<A, F>(call, body, handler).await;
        Ok(lot.befall(&node, dispatched(reply, encode)?))
    }

    fn not_served(&self) -> ConnectionError {
        let (key, version) = (self.header.api_key, self.header.api_version);
        ConnectionError::NotServed { key, version }
    }
}

fn dispatched<T: 'static>(
    reply: Reply<T>,
    encode: impl FnOnce(T) -> Answer + Send + 'static,
) -> Result<Dispatched, ConnectionError> {
    Ok(match reply {
        Reply::Now(response) => Dispatched::Ready(encode(response)?),
        Reply::Later(response) => {
            Dispatched::Later(Box::pin(async move { encode(response.await) }))
        }
        Reply::Silent => Dispatched::Silent,
        Reply::HangUp(reason) => return Err(ConnectionError::HangUp(reason)),
    })
}

#[cfg(test)]
mod tests {
    use klamm_protocol::api::Fetch;
    use klamm_protocol::api::fetch::{Partition, Request, Topic};
    use klamm_protocol::header::encode_request;
    use klamm_protocol::wire::Str;

    use super::*;
    use crate::Broker;
    use crate::config::Address;

    #[tokio::test]
    async fn a_large_fetch_that_waits_keeps_nothing_of_its_frame() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let node = broker.node();
        node.auto_create(&Str::from_static("orders")).await.unwrap();
        let partition = Partition { partition_max_bytes: 1 << 20, ..Partition::default() };
        let topic =
            Topic { topic: "orders".into(), partitions: vec![partition], ..Topic::default() };
        let request = Request {
            max_wait_ms: i32::MAX,
            min_bytes: 1,
            topics: vec![topic],
            ..Request::default()
        };
        let message = encode_request::<Fetch>(4, 7, Some(&"rude".into()), &request).unwrap();
        let mut frame = message.into_bytes()[4..].to_vec();
        frame.resize(FREE_BYTES + 1, 0);
        let frame = Bytes::from(frame);
        let peer = Arc::new(Peer {
            address: ([127, 0, 0, 1], 1).into(),
            advertised: Address { host: String::new(), port: 0 },
            software: std::sync::OnceLock::new(),
        });
        let dispatched = dispatch(&node, &peer, frame.clone()).await.unwrap();
        assert!(matches!(dispatched, (ApiKey::Fetch, Dispatched::Later(_))));
        assert!(frame.is_unique());
    }
}
