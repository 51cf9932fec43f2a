//! What the service of unsent messages is told: what waits for who is away, and what has arrived.

use std::collections::BTreeMap;

use klamm_producer::Record;
use unsent::wire::{HANDED_OVER_MAX, HandedOver, Message, TOPIC};
use uuid::Uuid;

use crate::wire::Delivery;

/// A message for somebody who is away.
pub(super) fn record(delivery: &Delivery) -> Record {
    let message = Message {
        touser: delivery.reciever_id.clone(),
        fromuser: delivery.sender_id.clone(),
        message: delivery.message.clone(),
        message_id: delivery.message_id.to_string(),
    };
    let value = serde_json::to_vec(&message).expect("a struct of texts is JSON");
    Record::to(TOPIC).key(delivery.reciever_id.clone()).value(value)
}

/// The word that these messages have arrived, each by its receiver, its sender and its id.
pub(super) fn arrived<'a>(all: impl Iterator<Item = (&'a str, &'a str, Uuid)>) -> Vec<Record> {
    let record = |word: &HandedOver| {
        let value = serde_json::to_vec(word).expect("a struct of texts is JSON");
        Record::to(TOPIC).key(word.touser.clone()).value(value)
    };
    words(all).iter().map(record).collect()
}

/// It names them and no others: what else those two wrote may have begun to wait just now.
fn words<'a>(all: impl Iterator<Item = (&'a str, &'a str, Uuid)>) -> Vec<HandedOver> {
    let mut pairs = BTreeMap::<_, Vec<String>>::new();
    for (receiver, sender, id) in all {
        pairs.entry((receiver, sender)).or_default().push(id.to_string());
    }
    let mut words = Vec::with_capacity(pairs.len());
    for ((receiver, sender), ids) in pairs {
        for some in ids.chunks(HANDED_OVER_MAX) {
            let (touser, fromuser) = (receiver.to_owned(), sender.to_owned());
            let message_ids = some.to_vec();
            words.push(HandedOver { touser, fromuser, upto_offset: None, message_ids });
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was: the word took away everything before it, and with that what had begun to wait since
    /// the database was asked.
    #[test]
    fn what_has_arrived_is_named_and_nothing_else() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let all = [("bob", "alice", one), ("bob", "carol", two), ("bob", "alice", three)];
        let word = |sender: &str, ids: &[Uuid]| HandedOver {
            touser: "bob".into(),
            fromuser: sender.into(),
            upto_offset: None,
            message_ids: ids.iter().map(Uuid::to_string).collect(),
        };
        let expected = [word("alice", &[one, three]), word("carol", &[two])];
        assert_eq!(words(all.into_iter()), expected);
        let many = (0..1_500).map(|id| ("bob", "alice", Uuid::from_u128(id)));
        assert_eq!(words(many).len(), 2, "a record has no more than the service takes");
    }
}
