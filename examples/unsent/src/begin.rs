//! Where a worker begins: where the master is.

use common::kv::{Found, KvError, Marked, Side, Stores};
use common::patience::Patience;
use klamm_utils::task::TaskGroup;

use crate::marks::Place;
use crate::sweep::{Sweep, Swept};

/// How far the master is, once somebody says so.
pub(crate) async fn begin(stores: &Stores, place: &Place, tasks: &TaskGroup) -> Option<i64> {
    let mut patience = Patience::new(tasks, "read the mark of a partition");
    loop {
        match try_begin(stores, place).await {
            Ok(offset) => return Some(offset),
            Err(error) => patience.after(&error).await?,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("another worker was there first")]
    Raced,
    #[error("the master does not answer, and the auxiliary does not know how far it is")]
    NobodyKnows,
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// If the master itself says that it knows nothing of this log, what it holds of another one goes.
/// The auxiliary is believed where it knows how far things are: to be wrong costs to begin again,
/// as the master is told nothing that does not follow.
async fn try_begin(stores: &Stores, place: &Place) -> Result<i64, BeginError> {
    let (side, found) = stores.read_master_first(&[place.read()]).await?;
    let held = found.into_iter().next().and_then(Found::into_text);
    match (place.offset(held.as_deref()), side) {
        (Some(offset), _) => Ok(offset),
        (None, Side::Auxiliary) => Err(BeginError::NobodyKnows),
        (None, Side::Master) => empty(stores, place, held).await,
    }
}

/// Empties the master. Of several that try, one does: the mark is its own until nothing is left.
async fn empty(stores: &Stores, place: &Place, held: Option<String>) -> Result<i64, BeginError> {
    let (master, mine) = (&stores.master, place.in_work());
    let first = place.mark(held, mine.clone());
    if master.write_marked(&first, &[place.no_sign_of_life()]).await? != Marked::Written {
        return Err(BeginError::Raced);
    }
    let mark = place.mark(Some(mine.clone()), mine.clone());
    let mut sweep = Sweep::begin(master, place.partition).await?;
    loop {
        match sweep.piece(master, &mark).await? {
            Swept::More => {}
            Swept::Done => break,
            Swept::Elsewhere => return Err(BeginError::Raced),
        }
    }
    match master.write_marked(&place.mark(Some(mine), place.at(0)), &[]).await? {
        Marked::Written => Ok(0),
        Marked::Elsewhere(_) => Err(BeginError::Raced),
    }
}

#[cfg(test)]
mod tests {
    use common::kv::{Kv, Write};

    use super::*;
    use crate::keys;

    fn place() -> Place {
        Place::new(0, "log")
    }

    async fn put(kv: &Kv, mark: &str) {
        kv.write(&[
            Write::SetField(keys::MARKS.into(), "0".into(), mark.into()),
            Write::AddMember(keys::users(0), "bob".into()),
            Write::AddMember(keys::senders("bob"), "alice".into()),
            Write::SetField(keys::details("bob"), "alice".into(), "1|1|1|1|hi".into()),
            Write::SetField(keys::texts("bob", "alice"), "1".into(), "{}".into()),
        ])
        .await
        .unwrap();
    }

    async fn is_empty(kv: &Kv) -> bool {
        kv.members(&keys::users(0)).await.unwrap().is_empty()
            && kv.members(&keys::senders("bob")).await.unwrap().is_empty()
            && kv.fields(&keys::details("bob")).await.unwrap().is_empty()
            && kv.fields(&keys::texts("bob", "alice")).await.unwrap().is_empty()
    }

    #[tokio::test]
    async fn a_master_of_another_log_is_emptied_and_its_own_is_left_alone() {
        let stores = Stores::memory();
        put(&stores.master, &place().at(7)).await;
        assert_eq!(try_begin(&stores, &place()).await.unwrap(), 7);
        assert!(!is_empty(&stores.master).await);
        for mark in ["other:7", &place().in_work()] {
            put(&stores.master, mark).await;
            assert_eq!(try_begin(&stores, &place()).await.unwrap(), 0);
            assert!(is_empty(&stores.master).await, "{mark}");
        }
    }

    /// The auxiliary has just been started, and the master is slow once: it must not lose all.
    #[tokio::test]
    async fn a_master_that_does_not_answer_is_not_emptied_at_the_auxiliarys_word() {
        let stores = Stores::memory();
        put(&stores.master, &place().at(7)).await;
        stores.master.cut(true);
        let error = try_begin(&stores, &place()).await.unwrap_err();
        assert!(matches!(error, BeginError::NobodyKnows), "{error}");
        stores.master.cut(false);
        assert_eq!(try_begin(&stores, &place()).await.unwrap(), 7);
        assert!(!is_empty(&stores.master).await);
    }

    #[tokio::test]
    async fn of_two_that_empty_a_master_one_is_believed() {
        let stores = Stores::memory();
        put(&stores.master, "other:7").await;
        // The first has begun when the second takes the store, empties it, and goes on.
        let mine = place().in_work();
        let mark = place().mark(Some("other:7".into()), mine.clone());
        assert_eq!(stores.master.write_marked(&mark, &[]).await.unwrap(), Marked::Written);
        let mut sweep = Sweep::begin(&stores.master, 0).await.unwrap();
        assert_eq!(try_begin(&stores, &place()).await.unwrap(), 0);
        put(&stores.master, &place().at(9)).await;
        let mark = place().mark(Some(mine.clone()), mine);
        assert_eq!(sweep.piece(&stores.master, &mark).await.unwrap(), Swept::Elsewhere);
        assert!(!is_empty(&stores.master).await);
    }
}
