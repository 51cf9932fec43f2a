//! Everything that a store holds, to be compared field by field.

use std::collections::BTreeMap;

use common::kv::{Kv, Write};
use unsent::keys;

/// Partitions of the tests.
pub(crate) const PARTITIONS: i32 = 4;

type Fields = BTreeMap<String, String>;

/// Senders, summaries and texts of all users, by their keys. Members of sets are fields without a
/// value.
pub(crate) async fn content(kv: &Kv) -> BTreeMap<String, Fields> {
    let mut all = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let users = members(kv, &keys::users(partition)).await;
        for user in users.keys() {
            let senders = members(kv, &keys::senders(user)).await;
            for sender in senders.keys() {
                let key = keys::texts(user, sender);
                let texts = kv.fields(&key).await.unwrap();
                all.insert(key, texts);
            }
            all.insert(keys::details(user), kv.fields(&keys::details(user)).await.unwrap());
            all.insert(keys::senders(user), senders);
        }
        all.insert(keys::users(partition), users);
    }
    all
}

async fn members(kv: &Kv, key: &str) -> Fields {
    let members = kv.members(key).await.unwrap().into_iter();
    members.map(|member| (member, String::new())).collect()
}

/// How far the store is.
pub(crate) async fn marks(kv: &Kv) -> Fields {
    kv.fields(keys::MARKS).await.unwrap()
}

/// Takes everything out of a store, as a Redis does that comes back without its file.
pub(crate) async fn empty(kv: &Kv) {
    kv.write(&deletes(kv).await).await.unwrap();
}

async fn deletes(kv: &Kv) -> Vec<Write> {
    let all = content(kv).await.into_keys();
    let all = all.chain([keys::MARKS.to_owned(), keys::ALIVE.to_owned()]);
    all.map(Write::Delete).collect()
}

/// Has the store hold what it held then, as a Redis does that comes back with an older file.
pub(crate) async fn restore(kv: &Kv, content: BTreeMap<String, Fields>, marks: Fields) {
    let mut writes = deletes(kv).await;
    for (key, fields) in content {
        let is_set = key.starts_with("unsent:users:") || key.ends_with('}');
        writes.extend(fields.into_iter().map(|(field, value)| match is_set {
            true => Write::AddMember(key.clone(), field),
            false => Write::SetField(key.clone(), field, value),
        }));
    }
    let marks = marks.into_iter();
    writes.extend(marks.map(|(field, mark)| Write::SetField(keys::MARKS.into(), field, mark)));
    kv.write(&writes).await.unwrap();
}
