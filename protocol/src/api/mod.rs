//! Every API that a client or an administrator can ask for, one file each.
//!
//! The list below is the whole: from it come [`ApiKey`], the version table, and the reading of
//! any request or response.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::declare::Api;
use crate::wire::{Encoded, Reader, Result, Shape, Wire as _, WireError, Writer};

macro_rules! apis {
    ($($module:ident::$name:ident,)*) => {
        $(pub mod $module;)*
        $(pub use $module::$name;)*

        /// The APIs by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is documented in its own module")]
        #[repr(i16)]
        pub enum ApiKey {
            $($name = <$module::$name as Api>::KEY,)*
        }

        impl ApiKey {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, as Kafka writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => <$module::$name as Api>::NAME,)* }
            }

            /// The versions declared here.
            #[must_use]
            pub fn versions(self) -> RangeInclusive<i16> {
                match self { $(Self::$name => <$module::$name as Api>::VERSIONS,)* }
            }

            /// The first flexible version, `i16::MAX` where there is none.
            #[must_use]
            pub fn flexible_from(self) -> i16 {
                match self { $(Self::$name => <$module::$name as Api>::FLEXIBLE_FROM,)* }
            }
        }

        /// The body of a request to any API.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is documented in its own module")]
        pub enum AnyRequest { $($name(Box<$module::Request>),)* }

        /// The body of a response of any API.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is documented in its own module")]
        pub enum AnyResponse { $($name(Box<$module::Response>),)* }

        any_message!(AnyRequest { $($module::$name => Request,)* });
        any_message!(AnyResponse { $($module::$name => Response,)* });
    };
}

macro_rules! any_message {
    ($any:ident { $($module:ident::$name:ident => $message:ident,)* }) => {
        impl $any {
            /// A message in which every field has its default.
            #[must_use]
            pub fn default_of(key: ApiKey) -> Self {
                match key { $(ApiKey::$name => Self::$name(Box::default()),)* }
            }

            /// What such a message looks like on the wire.
            #[must_use]
            pub fn shape(key: ApiKey) -> Shape {
                match key { $(ApiKey::$name => $module::$message::SHAPE,)* }
            }

            /// The API it belongs to.
            #[must_use]
            pub fn key(&self) -> ApiKey {
                match self { $(Self::$name(_) => ApiKey::$name,)* }
            }

            /// Reads a body, which must end with the bytes.
            ///
            /// # Errors
            /// The version is not declared, or the bytes are not such a message.
            pub fn decode(key: ApiKey, version: i16, body: Bytes) -> Result<Self> {
                key.check(version)?;
                let mut r = Reader::new(body, version, key.is_flexible(version));
                let message = match key {
                    $(ApiKey::$name => Self::$name(Box::new($module::$message::read(&mut r)?)),)*
                };
                r.finish()?;
                Ok(message)
            }

            /// The body as bytes.
            ///
            /// # Errors
            /// The version is not declared, or cannot say what the message means.
            pub fn encode(&self, version: i16) -> Result<Encoded> {
                let key = self.key();
                key.check(version)?;
                let mut w = Writer::new(version, key.is_flexible(version));
                match self { $(Self::$name(message) => message.write(&mut w),)* }
                w.finish()
            }
        }
    };
}

impl ApiKey {
    /// The API with this number, if it is one that is declared.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        let place = Self::ALL.binary_search_by_key(&code, |key| key.code()).ok()?;
        Self::ALL.get(place).copied()
    }

    /// The number that says it on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Whether messages of this version are in the flexible form.
    #[must_use]
    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }

    fn check(self, version: i16) -> Result<()> {
        if self.versions().contains(&version) {
            return Ok(());
        }
        Err(WireError::Version { key: self.code(), version })
    }
}

apis! {
    produce::Produce,
    fetch::Fetch,
    list_offsets::ListOffsets,
    metadata::Metadata,
    offset_commit::OffsetCommit,
    offset_fetch::OffsetFetch,
    find_coordinator::FindCoordinator,
    join_group::JoinGroup,
    heartbeat::Heartbeat,
    leave_group::LeaveGroup,
    sync_group::SyncGroup,
    describe_groups::DescribeGroups,
    list_groups::ListGroups,
    sasl_handshake::SaslHandshake,
    api_versions::ApiVersions,
    create_topics::CreateTopics,
    delete_topics::DeleteTopics,
    delete_records::DeleteRecords,
    init_producer_id::InitProducerId,
    offset_for_leader_epoch::OffsetForLeaderEpoch,
    add_partitions_to_txn::AddPartitionsToTxn,
    add_offsets_to_txn::AddOffsetsToTxn,
    end_txn::EndTxn,
    write_txn_markers::WriteTxnMarkers,
    txn_offset_commit::TxnOffsetCommit,
    describe_acls::DescribeAcls,
    create_acls::CreateAcls,
    delete_acls::DeleteAcls,
    describe_configs::DescribeConfigs,
    alter_configs::AlterConfigs,
    alter_replica_log_dirs::AlterReplicaLogDirs,
    describe_log_dirs::DescribeLogDirs,
    sasl_authenticate::SaslAuthenticate,
    create_partitions::CreatePartitions,
    create_delegation_token::CreateDelegationToken,
    renew_delegation_token::RenewDelegationToken,
    expire_delegation_token::ExpireDelegationToken,
    describe_delegation_token::DescribeDelegationToken,
    delete_groups::DeleteGroups,
    elect_leaders::ElectLeaders,
    incremental_alter_configs::IncrementalAlterConfigs,
    alter_partition_reassignments::AlterPartitionReassignments,
    list_partition_reassignments::ListPartitionReassignments,
    offset_delete::OffsetDelete,
    describe_client_quotas::DescribeClientQuotas,
    alter_client_quotas::AlterClientQuotas,
    describe_user_scram_credentials::DescribeUserScramCredentials,
    alter_user_scram_credentials::AlterUserScramCredentials,
    describe_quorum::DescribeQuorum,
    update_features::UpdateFeatures,
    describe_cluster::DescribeCluster,
    describe_producers::DescribeProducers,
    unregister_broker::UnregisterBroker,
    describe_transactions::DescribeTransactions,
    list_transactions::ListTransactions,
    consumer_group_heartbeat::ConsumerGroupHeartbeat,
    consumer_group_describe::ConsumerGroupDescribe,
    get_telemetry_subscriptions::GetTelemetrySubscriptions,
    push_telemetry::PushTelemetry,
    list_config_resources::ListConfigResources,
    describe_topic_partitions::DescribeTopicPartitions,
    share_group_heartbeat::ShareGroupHeartbeat,
    share_group_describe::ShareGroupDescribe,
    share_fetch::ShareFetch,
    share_acknowledge::ShareAcknowledge,
    add_raft_voter::AddRaftVoter,
    remove_raft_voter::RemoveRaftVoter,
    streams_group_heartbeat::StreamsGroupHeartbeat,
    streams_group_describe::StreamsGroupDescribe,
    describe_share_group_offsets::DescribeShareGroupOffsets,
    alter_share_group_offsets::AlterShareGroupOffsets,
    delete_share_group_offsets::DeleteShareGroupOffsets,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_and_versions_are_ranges() {
        assert!(ApiKey::ALL.is_sorted_by(|one, two| one.code() < two.code()));
        for key in ApiKey::ALL {
            assert!(key.versions().start() <= key.versions().end(), "{}", key.name());
            assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        }
    }
}
