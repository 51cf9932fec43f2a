//! Where replicas are and who leads them: of one broker, everything is here and nothing moves.
//! What cannot be so is refused in the words of a Kafka cluster of one broker.

pub(crate) mod elect_leaders;
pub(crate) mod list_reassignments;
pub(crate) mod log_dirs;
pub(crate) mod reassign;
