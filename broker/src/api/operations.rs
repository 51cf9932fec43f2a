//! What a client may do, as bit fields (KIP-430). Nobody is refused anything yet, so these are
//! all the operations that Kafka knows for the resource, one bit by `AclOperation` code.

/// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
pub(super) const CLUSTER: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);
/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub(super) const TOPIC: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub(super) const GROUP: i32 = bits(&[3, 6, 8, 10, 11]);
/// The client did not ask.
pub(super) const NOT_ASKED: i32 = i32::MIN;

const fn bits(operations: &[u8]) -> i32 {
    let (mut bits, mut place) = (0, 0);
    while place < operations.len() {
        bits |= 1 << operations[place];
        place += 1;
    }
    bits
}
