//! What every store must do. For the tests of this crate, and for those that start Redis.

use std::time::Duration;

use super::{Kv, KvError, Mark, Marked, Read, Write};

const LONG: Duration = Duration::from_secs(60);

/// Keys begin with `prefix`, so that a store may be used several times.
///
/// # Panics
/// The store does not do what it must.
#[expect(clippy::unwrap_used, clippy::panic, reason = "it is for tests")]
pub async fn conforms(kv: &Kv, prefix: &str) {
    let key = |name: &str| format!("{prefix}:{name}");
    texts(kv, &key("text")).await;
    let (set, hash) = (key("set"), key("hash"));
    kv.write(&[
        Write::AddMember(set.clone(), "alice".into()),
        Write::AddMember(set.clone(), "bob".into()),
        Write::AddMember(set.clone(), "bob".into()),
        Write::SetField(hash.clone(), "a".into(), "1".into()),
        Write::SetField(hash.clone(), "b".into(), "2|\n\"é".into()),
        Write::RemoveMember(set.clone(), "alice".into()),
        Write::RemoveField(hash.clone(), "a".into()),
    ])
    .await
    .unwrap();
    assert_eq!(kv.members(&set).await.unwrap(), ["bob".to_owned()].into());
    let fields = kv.fields(&hash).await.unwrap();
    assert_eq!(fields, [("b".to_owned(), "2|\n\"é".to_owned())].into());
    let reads = [Read::Field(hash.clone(), "b".into()), Read::Field(hash.clone(), "a".into())];
    let found = kv.read(&reads).await.unwrap();
    let texts: Vec<_> = found.into_iter().map(super::Found::into_text).collect();
    assert_eq!(texts, [Some("2|\n\"é".into()), None]);
    match kv.get(&set).await {
        Err(KvError::WrongKind(_) | KvError::Redis(_)) => {}
        other => panic!("a set is not a text: {other:?}"),
    }
    removes_what_nothing_keeps(kv, &key("users"), &set).await;
    marks(kv, &key("marks"), &set).await;
    kv.write(&[Write::Delete(set.clone()), Write::Delete(hash)]).await.unwrap();
    assert!(kv.members(&set).await.unwrap().is_empty());
    assert!(kv.read(&[]).await.unwrap().is_empty());
    kv.write(&[]).await.unwrap();
}

/// Keys go when their time is over. Where time is paused, it is moved; elsewhere this waits.
///
/// # Panics
/// The store does not do what it must.
#[expect(clippy::unwrap_used, reason = "it is for tests")]
pub async fn forgets(kv: &Kv, prefix: &str) {
    let (short, key) = (Duration::from_millis(20), format!("{prefix}:fleeting"));
    assert!(kv.claim(&key, "one", short).await.unwrap());
    while kv.get(&key).await.unwrap().is_some() {
        tokio::time::sleep(short).await;
    }
    assert!(!kv.renew(&key, LONG).await.unwrap());
    assert!(!kv.remove_if(&key, "one").await.unwrap());
    assert!(kv.claim(&key, "two", LONG).await.unwrap());
    assert!(kv.remove_if(&key, "two").await.unwrap());
}

#[expect(clippy::unwrap_used, reason = "it is for tests")]
async fn texts(kv: &Kv, key: &str) {
    assert_eq!(kv.get(key).await.unwrap(), None);
    assert!(kv.claim(key, "one", LONG).await.unwrap());
    assert!(!kv.claim(key, "two", LONG).await.unwrap());
    assert!(kv.renew(key, LONG).await.unwrap());
    assert!(!kv.remove_if(key, "two").await.unwrap());
    assert_eq!(kv.get(key).await.unwrap().as_deref(), Some("one"));
    kv.put(key, "three", None).await.unwrap();
    assert_eq!(kv.get(key).await.unwrap().as_deref(), Some("three"));
    assert!(kv.remove_if(key, "three").await.unwrap());
    assert_eq!(kv.get(key).await.unwrap(), None);
}

/// By itself and under a mark: these are two ways to Redis.
#[expect(clippy::unwrap_used, reason = "it is for tests")]
async fn removes_what_nothing_keeps(kv: &Kv, set: &str, there: &str) {
    let without = |member: &str, key: &str| Write::RemoveMemberWithout {
        set: set.into(),
        member: member.into(),
        key: key.into(),
    };
    let names = ["kept", "gone", "kept too", "gone too"];
    let all: Vec<_> = names.map(|name| Write::AddMember(set.into(), name.into())).into();
    kv.write(&all).await.unwrap();
    let missing = format!("{set}:nothing");
    kv.write(&[without("kept", there), without("gone", &missing)]).await.unwrap();
    let mark = Mark { hash: missing.clone(), field: "0".into(), expected: None, value: "1".into() };
    let writes = [without("kept too", there), without("gone too", &missing)];
    assert_eq!(kv.write_marked(&mark, &writes).await.unwrap(), Marked::Written);
    let kept = ["kept".to_owned(), "kept too".to_owned()];
    assert_eq!(kv.members(set).await.unwrap(), kept.into());
    kv.write(&[Write::Delete(set.into()), Write::Delete(missing)]).await.unwrap();
}

#[expect(clippy::unwrap_used, reason = "it is for tests")]
async fn marks(kv: &Kv, hash: &str, set: &str) {
    let mark = |expected: Option<&str>, value: &str| Mark {
        hash: hash.into(),
        field: "0".into(),
        expected: expected.map(Into::into),
        value: value.into(),
    };
    let add = |name: &str| [Write::AddMember(set.into(), name.into())];
    let written = kv.write_marked(&mark(None, "1"), &add("carol")).await.unwrap();
    assert_eq!(written, Marked::Written);
    for stale in [None, Some("0"), Some("")] {
        let refused = kv.write_marked(&mark(stale, "2"), &add("mallory")).await.unwrap();
        assert_eq!(refused, Marked::Elsewhere(Some("1".into())));
    }
    let delete = [Write::RemoveMember(set.into(), "carol".into())];
    let written = kv.write_marked(&mark(Some("1"), "2"), &delete).await.unwrap();
    assert_eq!(written, Marked::Written);
    assert_eq!(kv.members(set).await.unwrap(), ["bob".to_owned()].into());
    kv.write(&[Write::Delete(hash.into())]).await.unwrap();
    let refused = kv.write_marked(&mark(Some("2"), "3"), &add("mallory")).await.unwrap();
    assert_eq!(refused, Marked::Elsewhere(None));
}
