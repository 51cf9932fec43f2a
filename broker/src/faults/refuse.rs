//! Which APIs can be refused with a code, and what the refusal looks like.

use klamm_protocol::api::{
    self, AddPartitionsToTxn, CreateTopics, FindCoordinator, JoinGroup, OffsetFetch,
    add_partitions_to_txn, create_topics, find_coordinator, join_group, offset_fetch,
};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use super::Target;

/// How finely the requests or the answers of an API can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grain {
    /// Not at all.
    Nothing,
    /// One from another.
    Whole,
    /// By topic too.
    Topic,
    /// By topic and partition too.
    Partition,
}

/// An API whose requests can meet faults.
pub(crate) trait Refuse: Api {
    /// What its requests name.
    const NAMES: Grain = Grain::Whole;
    /// What its answers have codes for.
    const ERRORS: Grain = Grain::Nothing;

    /// Whether the request names what is meant. A whole request is never asked about.
    fn names(_request: &Self::Request, _target: Target<'_>) -> bool {
        false
    }

    /// Takes what is meant out of the request, and gives the answer to that. `None` if the API has
    /// no codes.
    fn refuse(
        _request: &mut Self::Request,
        _version: i16,
        _target: Target<'_>,
        _code: ErrorCode,
    ) -> Option<Self::Response> {
        None
    }

    /// Whether something of a request is left to be handled once a part was refused.
    fn is_left(_request: &Self::Request) -> bool {
        false
    }

    /// Adds what was refused to the answer to the rest.
    fn join(answer: &mut Self::Response, refused: Self::Response) {
        *answer = refused;
    }

    /// Whether the code belongs into an answer that has been found, where a request may not say
    /// what it is about.
    fn spoils(_version: i16, _target: Target<'_>, _code: ErrorCode) -> bool {
        false
    }

    /// Whether an answer has something of what is meant.
    fn finds(_answer: &Self::Response, _target: Target<'_>) -> bool {
        false
    }

    /// Puts the code in place of what was found.
    fn spoil(_answer: &mut Self::Response, _target: Target<'_>, _code: ErrorCode) {}

    /// Whether the client expects no answer.
    fn is_silent(_request: &Self::Request) -> bool {
        false
    }
}

/// APIs whose answers have one code.
macro_rules! whole {
    ($($module:ident::$name:ident),* $(,)?) => {$(
        impl Refuse for api::$name {
            const ERRORS: Grain = Grain::Whole;

            fn refuse(
                _: &mut api::$module::Request,
                _: i16,
                _: Target<'_>,
                error_code: ErrorCode,
            ) -> Option<api::$module::Response> {
                Some(api::$module::Response { error_code, ..Default::default() })
            }
        }
    )*};
}

/// APIs that are not refused with a code here: those for administrators, with codes in many places.
macro_rules! never {
    ($($name:ident),* $(,)?) => {$(
        impl Refuse for api::$name {}
    )*};
}

whole! {
    heartbeat::Heartbeat,
    leave_group::LeaveGroup,
    sync_group::SyncGroup,
    list_groups::ListGroups,
    api_versions::ApiVersions,
    init_producer_id::InitProducerId,
    add_offsets_to_txn::AddOffsetsToTxn,
    end_txn::EndTxn,
    describe_cluster::DescribeCluster,
    list_transactions::ListTransactions,
    consumer_group_heartbeat::ConsumerGroupHeartbeat,
    get_telemetry_subscriptions::GetTelemetrySubscriptions,
    push_telemetry::PushTelemetry,
}

never! {
    DescribeGroups, DeleteTopics, DeleteRecords, OffsetForLeaderEpoch, WriteTxnMarkers,
    DescribeAcls, CreateAcls, DeleteAcls, DescribeConfigs, AlterConfigs, AlterReplicaLogDirs,
    DescribeLogDirs, CreatePartitions, DeleteGroups, ElectLeaders, IncrementalAlterConfigs,
    AlterPartitionReassignments, ListPartitionReassignments, OffsetDelete, DescribeClientQuotas,
    DescribeUserScramCredentials, DescribeQuorum, UpdateFeatures, DescribeProducers,
    UnregisterBroker, DescribeTransactions, ConsumerGroupDescribe, ListConfigResources,
    DescribeTopicPartitions,
}

impl Refuse for JoinGroup {
    const ERRORS: Grain = Grain::Whole;

    fn refuse(
        request: &mut join_group::Request,
        version: i16,
        _: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<join_group::Response> {
        Some(join_group::Response {
            error_code,
            protocol_name: (version < 7).then(Str::default),
            member_id: request.member_id.clone(),
            ..Default::default()
        })
    }
}

impl Refuse for FindCoordinator {
    const ERRORS: Grain = Grain::Whole;

    fn refuse(
        request: &mut find_coordinator::Request,
        _: i16,
        _: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<find_coordinator::Response> {
        let (node_id, port) = (-1, -1);
        let refused = |key: &Str| find_coordinator::Coordinator {
            key: key.clone(),
            node_id,
            port,
            error_code,
            ..Default::default()
        };
        let coordinators = request.coordinator_keys.iter().map(refused).collect();
        let answer = find_coordinator::Response { error_code, node_id, port, ..Default::default() };
        Some(find_coordinator::Response { coordinators, ..answer })
    }
}

impl Refuse for OffsetFetch {
    const ERRORS: Grain = Grain::Whole;

    fn refuse(
        request: &mut offset_fetch::Request,
        version: i16,
        _: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<offset_fetch::Response> {
        let partition = |index: &i32| offset_fetch::PartitionAnswer {
            partition_index: *index,
            committed_offset: -1,
            metadata: Some(Str::default()),
            error_code,
            ..Default::default()
        };
        let topic = |topic: &offset_fetch::Topic| offset_fetch::TopicAnswer {
            name: topic.name.clone(),
            partitions: topic.partition_indexes.iter().map(partition).collect(),
        };
        let group = |group: &offset_fetch::Group| offset_fetch::GroupAnswer {
            group_id: group.group_id.clone(),
            error_code,
            ..Default::default()
        };
        // Version 1 has no code for the group as a whole.
        let topics = request.topics.iter().flatten().filter(|_| version < 2).map(topic).collect();
        let groups = request.groups.iter().map(group).collect();
        Some(offset_fetch::Response { error_code, topics, groups, ..Default::default() })
    }
}

impl Refuse for CreateTopics {
    const NAMES: Grain = Grain::Topic;
    const ERRORS: Grain = Grain::Topic;

    fn names(request: &create_topics::Request, target: Target<'_>) -> bool {
        request.topics.iter().any(|topic| target.has_topic(&topic.name, Uuid::ZERO))
    }

    fn refuse(
        request: &mut create_topics::Request,
        _: i16,
        target: Target<'_>,
        error_code: ErrorCode,
    ) -> Option<create_topics::Response> {
        let is_meant = |topic: &mut create_topics::Topic| target.has_topic(&topic.name, Uuid::ZERO);
        let refused = request.topics.extract_if(.., is_meant);
        let refused = refused.map(|topic| create_topics::TopicAnswer {
            name: topic.name,
            error_code,
            error_message: Some(error_code.meaning().into()),
            ..Default::default()
        });
        Some(create_topics::Response { topics: refused.collect(), ..Default::default() })
    }

    fn is_left(request: &create_topics::Request) -> bool {
        !request.topics.is_empty()
    }

    fn join(answer: &mut create_topics::Response, refused: create_topics::Response) {
        answer.topics.extend(refused.topics);
    }
}

impl Refuse for AddPartitionsToTxn {
    const NAMES: Grain = Grain::Partition;
    const ERRORS: Grain = Grain::Partition;

    fn names(request: &add_partitions_to_txn::Request, target: Target<'_>) -> bool {
        let later = request.transactions.iter().flat_map(|transaction| &transaction.topics);
        later.chain(&request.v3_and_below_topics).any(|topic| {
            target.has_topic(&topic.name, Uuid::ZERO)
                && topic.partitions.iter().any(|index| target.has_partition(*index))
        })
    }

    /// All partitions of a transaction are added, or none.
    fn refuse(
        request: &mut add_partitions_to_txn::Request,
        _: i16,
        target: Target<'_>,
        code: ErrorCode,
    ) -> Option<add_partitions_to_txn::Response> {
        use add_partitions_to_txn::{PartitionAnswer, Topic, TopicAnswer, TransactionAnswer};
        let topic = |topic: &Topic| {
            let is_meant = target.has_topic(&topic.name, Uuid::ZERO);
            let partition = |index: &i32| PartitionAnswer {
                partition_index: *index,
                partition_error_code: match is_meant && target.has_partition(*index) {
                    true => code,
                    false => ErrorCode::OPERATION_NOT_ATTEMPTED,
                },
            };
            let results_by_partition = topic.partitions.iter().map(partition).collect();
            TopicAnswer { name: topic.name.clone(), results_by_partition }
        };
        let transaction = |it: &add_partitions_to_txn::Transaction| TransactionAnswer {
            transactional_id: it.transactional_id.clone(),
            topic_results: it.topics.iter().map(topic).collect(),
        };
        Some(add_partitions_to_txn::Response {
            results_by_transaction: request.transactions.iter().map(transaction).collect(),
            results_by_topic_v3_and_below: request.v3_and_below_topics.iter().map(topic).collect(),
            ..Default::default()
        })
    }
}
