//! Topics made, deleted and grown.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod grow;

use std::collections::HashMap;
use std::hash::Hash;

use klamm_protocol::error_code::ErrorCode;

use crate::catalog::Refusal;

/// Answers each topic of a request, in order. One that is named more than once is refused, once,
/// as in Kafka.
fn answer_each<T, K: Eq + Hash, A>(
    topics: Vec<T>,
    key: impl Fn(&T) -> K,
    mut handle: impl FnMut(T) -> A,
    refuse: impl Fn(T, Refusal) -> A,
) -> Vec<A> {
    let mut counts: HashMap<K, usize> = HashMap::new();
    topics.iter().for_each(|topic| *counts.entry(key(topic)).or_default() += 1);
    let mut answers = Vec::with_capacity(topics.len());
    for topic in topics {
        match counts.remove(&key(&topic)) {
            Some(1) => answers.push(handle(topic)),
            Some(_) => {
                let message = "Duplicate topic name.";
                answers.push(refuse(topic, Refusal::new(ErrorCode::INVALID_REQUEST, message)));
            }
            None => {}
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_named_twice_is_refused_once() {
        let answers = answer_each(
            vec!["a", "b", "a", "c", "a"],
            |name| *name,
            |name| (name, ErrorCode::NONE),
            |name, refusal| (name, refusal.code),
        );
        let refused = ("a", ErrorCode::INVALID_REQUEST);
        assert_eq!(answers, [refused, ("b", ErrorCode::NONE), ("c", ErrorCode::NONE)]);
    }
}
