//! A store that is told what came of the records, in order and each step once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use common::kv::{Found, Kv, KvError, Marked, Write};
use tokio::time::timeout;

use crate::marks::Place;

/// A store that was away has so long to say that it is back.
const LOOK: Duration = Duration::from_millis(100);

/// What is to be written of the records from one offset to another.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) records: usize,
    pub(crate) writes: Vec<Write>,
}

impl Step {
    /// Whether a store that is so far has nothing to learn from it. A step of no records is for
    /// who is just there.
    fn is_known_at(&self, reached: i64) -> bool {
        self.end < reached || (self.end == reached && self.start < self.end)
    }
}

/// Where a store turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It has everything that it was told of.
    Settled,
    /// It lacks something that is not known here any more: it has lost its data, somebody else
    /// works on it, or it is of another log.
    Behind,
    /// It knows more than it was told of.
    Ahead,
}

/// A store, and what it was not told yet.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) kv: Kv,
    place: Place,
    /// How far it is; none while nobody has looked.
    reached: Option<i64>,
    /// The end of the last step: what comes is told from here on.
    told: i64,
    waiting: VecDeque<Arc<Step>>,
    records: usize,
    /// Values that were written since somebody asked.
    written: usize,
    /// It did not answer when it was last asked.
    away: bool,
}

impl Follower {
    /// A store that is to be told of what lies behind `told`.
    pub(crate) fn new(kv: Kv, place: Place, told: i64, reached: Option<i64>) -> Self {
        Self {
            kv,
            place,
            reached,
            told,
            waiting: VecDeque::new(),
            records: 0,
            written: 0,
            away: false,
        }
    }

    /// How far it is for certain.
    pub(crate) fn reached(&self) -> Option<i64> {
        self.reached
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away
    }

    /// How many values were written since this was last asked.
    pub(crate) fn take_written(&mut self) -> usize {
        std::mem::take(&mut self.written)
    }

    /// Records that it was not told of.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    pub(crate) fn push(&mut self, step: Arc<Step>) {
        self.records += step.records;
        self.told = step.end;
        self.waiting.push_back(step);
    }

    /// Tells it what waits.
    pub(crate) async fn settle(&mut self) -> Result<Stand, KvError> {
        let settled = self.try_settle().await;
        self.away = settled.is_err();
        settled
    }

    async fn try_settle(&mut self) -> Result<Stand, KvError> {
        if self.away {
            // The partition goes on without it, and must not wait each time for it to answer.
            let mark = [self.place.read()];
            timeout(LOOK, self.kv.read(&mark)).await.map_err(|_| KvError::Away)??;
        }
        if self.reached.is_none() {
            let found = self.kv.read(&[self.place.read()]).await?;
            let stand = self.adopt(found.into_iter().next().and_then(Found::into_text).as_deref());
            if stand != Stand::Settled {
                return Ok(stand);
            }
        }
        while let (Some(step), Some(reached)) = (self.waiting.front(), self.reached) {
            if step.is_known_at(reached) {
                self.pop();
                continue;
            }
            let mark = self.place.mark(Some(self.place.at(reached)), self.place.at(step.end));
            match self.kv.write_marked(&mark, &step.writes).await? {
                Marked::Written => {
                    self.reached = Some(step.end);
                    self.written += step.writes.len();
                    self.pop();
                }
                // It may have done what it did not answer to.
                Marked::Elsewhere(held) => {
                    let stand = self.adopt(held.as_deref());
                    if stand != Stand::Settled {
                        return Ok(stand);
                    }
                }
            }
        }
        Ok(Stand::Settled)
    }

    /// Goes on from where the store says it is, if what follows is known here. To be told anew of
    /// what it has half of does no harm: what is written is what is, never a difference.
    fn adopt(&mut self, held: Option<&str>) -> Stand {
        let Some(at) = self.place.offset(held) else { return Stand::Behind };
        if at < self.waiting.front().map_or(self.told, |step| step.start) {
            return Stand::Behind;
        }
        self.reached = Some(at);
        if at > self.told { Stand::Ahead } else { Stand::Settled }
    }

    fn pop(&mut self) {
        if let Some(step) = self.waiting.pop_front() {
            self.records -= step.records;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new(0, "log")
    }

    fn step(start: i64, end: i64) -> Arc<Step> {
        let writes = vec![Write::AddMember("seen".into(), format!("{start}-{end}"))];
        Arc::new(Step { start, end, records: 1, writes })
    }

    async fn is_at(kv: &Kv, offset: i64) {
        let fields = kv.fields(crate::keys::MARKS).await.unwrap();
        assert_eq!(fields.get("0"), Some(&place().at(offset)));
    }

    async fn put(kv: &Kv, offset: i64) {
        let write = Write::SetField(crate::keys::MARKS.into(), "0".into(), place().at(offset));
        kv.write(&[write]).await.unwrap();
    }

    async fn check(held: Option<i64>, reached: Option<i64>, expected: (Stand, &[&str])) {
        let kv = Kv::memory();
        if let Some(held) = held {
            put(&kv, held).await;
        }
        let mut follower = Follower::new(kv.clone(), place(), 10, reached);
        [step(10, 20), step(20, 30)].into_iter().for_each(|step| follower.push(step));
        let stand = follower.settle().await.unwrap();
        let seen = Vec::from_iter(kv.members("seen").await.unwrap());
        assert_eq!((stand, seen), (expected.0, expected.1.iter().map(|s| s.to_string()).collect()));
        if stand == Stand::Settled {
            is_at(&kv, 30).await;
            assert!(follower.is_settled() && follower.records() == 0);
        }
    }

    #[tokio::test]
    async fn a_store_is_told_what_it_lacks_and_left_alone_where_that_is_not_known() {
        check(Some(10), Some(10), (Stand::Settled, &["10-20", "20-30"])).await;
        check(Some(10), None, (Stand::Settled, &["10-20", "20-30"])).await;
        // It did what it did not answer to.
        check(Some(20), Some(10), (Stand::Settled, &["20-30"])).await;
        check(Some(15), None, (Stand::Settled, &["10-20", "20-30"])).await;
        check(Some(40), None, (Stand::Ahead, &[])).await;
        check(Some(9), Some(10), (Stand::Behind, &[])).await;
        check(Some(9), None, (Stand::Behind, &[])).await;
        check(None, Some(10), (Stand::Behind, &[])).await;
        check(None, None, (Stand::Behind, &[])).await;
    }

    #[tokio::test]
    async fn one_that_is_ahead_is_told_nothing_until_the_others_are_as_far() {
        let kv = Kv::memory();
        put(&kv, 25).await;
        let mut follower = Follower::new(kv.clone(), place(), 10, None);
        assert_eq!(follower.settle().await.unwrap(), Stand::Ahead);
        follower.push(step(10, 20));
        assert_eq!(follower.settle().await.unwrap(), Stand::Settled);
        is_at(&kv, 25).await;
        follower.push(step(20, 30));
        assert_eq!(follower.settle().await.unwrap(), Stand::Settled);
        is_at(&kv, 30).await;
        assert_eq!(kv.members("seen").await.unwrap(), ["20-30".to_owned()].into());
    }

    /// An idle partition has steps of no records: they find a store that has lost its mark.
    #[tokio::test]
    async fn a_step_of_no_records_is_told_as_well() {
        let kv = Kv::memory();
        let mut follower = Follower::new(kv.clone(), place(), 30, Some(30));
        follower.push(Arc::new(Step { start: 30, end: 30, records: 0, writes: Vec::new() }));
        assert_eq!(follower.settle().await.unwrap(), Stand::Behind);
    }

    /// What came between is not known here.
    #[tokio::test]
    async fn one_that_is_behind_the_first_step_to_come_is_seen_before_there_is_one() {
        let kv = Kv::memory();
        put(&kv, 9).await;
        let mut follower = Follower::new(kv.clone(), place(), 10, None);
        assert_eq!(follower.settle().await.unwrap(), Stand::Behind);
    }
}
