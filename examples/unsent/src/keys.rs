//! The names of keys. A user stands in braces, so that in a cluster all of one user's are in one
//! place.

/// The set of those who wrote to a user: the mapping of the original.
#[must_use]
pub fn senders(user: &str) -> String {
    format!("unsent:{{{user}}}")
}

/// The hash of senders and how much waits from each.
#[must_use]
pub fn details(user: &str) -> String {
    format!("unsent:{{{user}}}:d")
}

/// The hash of the texts that wait from one sender, by offset.
#[must_use]
pub fn texts(user: &str, sender: &str) -> String {
    format!("unsent:{{{user}}}:m:{sender}")
}

/// The set of the users of a partition to whom somebody has ever written.
#[must_use]
pub fn users(partition: i32) -> String {
    format!("unsent:users:{partition}")
}

/// The hash of how far each partition is worked into a store: `topic id:offset`.
pub const MARKS: &str = "unsent:marks";

/// The hash of when each partition was last known to be up to date, and what its worker has done.
pub const ALIVE: &str = "unsent:alive";
