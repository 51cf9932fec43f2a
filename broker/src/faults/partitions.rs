//! APIs whose requests and answers list partitions by topic.

use klamm_protocol::api::{list_offsets, offset_commit, produce, txn_offset_commit};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Uuid;

use super::{Grain, Refuse, Target};

macro_rules! topic_id {
    ($topic:expr) => {
        Uuid::ZERO
    };
    ($topic:expr, $id:ident) => {
        $topic.$id
    };
}

/// `module::Api { name, id } index` names the fields of a topic and of a partition, the same in the
/// request and in the answer; behind it stand more fields of a refused partition.
macro_rules! by_partition {
    ($(
        $module:ident::$api:ident { name $(, $id:ident)? } $index:ident
        $(, refused with { $($field:ident: $value:expr),* })?
        $(, silent with $acks:ident = $silent:literal)?;
    )*) => {$(
        impl Refuse for $module::$api {
            const NAMES: Grain = Grain::Partition;
            const ERRORS: Grain = Grain::Partition;

            fn names(request: &$module::Request, target: Target<'_>) -> bool {
                request.topics.iter().any(|topic| {
                    target.has_topic(&topic.name, topic_id!(topic $(, $id)?))
                        && topic.partitions.iter().any(|it| target.has_partition(it.$index))
                })
            }

            #[allow(clippy::needless_update, reason = "some have no fields beside these")]
            fn refuse(
                request: &mut $module::Request,
                _: i16,
                target: Target<'_>,
                error_code: ErrorCode,
            ) -> Option<$module::Response> {
                let mut topics = Vec::new();
                request.topics.retain_mut(|topic| {
                    if !target.has_topic(&topic.name, topic_id!(topic $(, $id)?)) {
                        return true;
                    }
                    let is_meant = |it: &mut $module::Partition| target.has_partition(it.$index);
                    let refused = topic.partitions.extract_if(.., is_meant);
                    let partitions: Vec<_> = refused
                        .map(|it| $module::PartitionAnswer {
                            $index: it.$index,
                            error_code,
                            $($($field: $value,)*)?
                            ..Default::default()
                        })
                        .collect();
                    let name = topic.name.clone();
                    topics.push($module::TopicAnswer { name, $($id: topic.$id,)? partitions });
                    !topic.partitions.is_empty()
                });
                topics.retain(|topic| !topic.partitions.is_empty());
                Some($module::Response { topics, ..Default::default() })
            }

            fn is_left(request: &$module::Request) -> bool {
                !request.topics.is_empty()
            }

            fn join(answer: &mut $module::Response, refused: $module::Response) {
                for topic in refused.topics {
                    let same = answer.topics.iter_mut().find(|it| {
                        let id = topic_id!(topic $(, $id)?);
                        // By id, only the handled part of the answer may have a name as well.
                        match id == Uuid::ZERO {
                            true => it.name == topic.name,
                            false => topic_id!(it $(, $id)?) == id,
                        }
                    });
                    match same {
                        Some(same) => same.partitions.extend(topic.partitions),
                        None => answer.topics.push(topic),
                    }
                }
            }

            $(fn is_silent(request: &$module::Request) -> bool {
                request.$acks == $silent
            })?
        }
    )*};
}

by_partition! {
    produce::Produce { name, topic_id } index, refused with { base_offset: -1 },
        silent with acks = 0;
    list_offsets::ListOffsets { name } partition_index;
    offset_commit::OffsetCommit { name, topic_id } partition_index;
    txn_offset_commit::TxnOffsetCommit { name } partition_index;
}
