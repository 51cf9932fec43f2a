//! How far a partition has been read, as a group commits it.

use klamm_client::group_offsets::CommittedOffset;
use klamm_protocol::wire::Str;

use crate::assignment::Place;

/// Where to go on in a partition, and what is kept beside it.
///
/// ```
/// use klamm_consumer::Position;
///
/// let position = Position::new("orders", 3, 1_000).with_metadata("up to the audit");
/// assert_eq!(position.offset, 1_000);
/// ```
#[derive(Clone, Debug)]
pub struct Position {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// The next record to be read.
    pub offset: i64,
    /// The leader epoch of the record before it, where that is known.
    pub leader_epoch: Option<i32>,
    /// Whatever is to be found again beside the offset.
    pub metadata: Str,
    /// The number of the assignment in which it was reached, if it comes from what was delivered.
    pub(crate) tenure: Option<u64>,
}

impl Position {
    /// The record at `offset` is the next to be read.
    #[must_use]
    pub fn new(topic: impl Into<Str>, partition: i32, offset: i64) -> Self {
        let metadata = Str::default();
        let (topic, leader_epoch, tenure) = (topic.into(), None, None);
        Self { topic, partition, offset, leader_epoch, metadata, tenure }
    }

    /// The same, with something kept beside it.
    #[must_use]
    pub fn with_metadata(self, metadata: impl Into<Str>) -> Self {
        Self { metadata: metadata.into(), ..self }
    }

    /// What a group has committed of a partition.
    pub(crate) fn from_committed(place: &Place, committed: CommittedOffset) -> Self {
        let (topic, partition) = place.clone();
        let CommittedOffset { offset, leader_epoch, metadata } = committed;
        Self { topic, partition, offset, leader_epoch, metadata, tenure: None }
    }

    /// The same, with a leader epoch as the wire has it: -1 stands for none.
    pub(crate) fn with_epoch(self, epoch: i32) -> Self {
        Self { leader_epoch: (epoch >= 0).then_some(epoch), ..self }
    }
}

/// However it was reached.
impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        let Self { topic, partition, offset, leader_epoch, metadata, tenure: _ } = self;
        (topic, partition) == (&other.topic, &other.partition)
            && (offset, leader_epoch, metadata)
                == (&other.offset, &other.leader_epoch, &other.metadata)
    }
}

impl Eq for Position {}

/// A position to be committed, and the cursor's term in which it was reached. In one of a later
/// assignment the partition may have been another's in between, whose commit this one must not
/// undo.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) position: Position,
    /// None if the partition was not assigned at all, or is not assigned as it was then.
    pub(crate) term: Option<u64>,
}

impl Reached {
    pub(crate) fn place(&self) -> Place {
        (self.position.topic.clone(), self.position.partition)
    }
}

/// What a group is to commit of the partition.
impl From<Position> for (Str, i32, CommittedOffset) {
    fn from(position: Position) -> Self {
        let Position { topic, partition, offset, leader_epoch, metadata, .. } = position;
        (topic, partition, CommittedOffset { offset, leader_epoch, metadata })
    }
}
