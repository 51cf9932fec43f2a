//! Reads what the stores hold of pairs of users, and knows whose word may be taken.
//!
//! A state is true if the store has come at least as far as the master is known to be, and no
//! further than the worker: what lies between is about pairs that the worker has at hand. One that
//! lags lacks something. One that is ahead holds what the master is still to be told of, and would
//! make that look as if it were known.

use common::kv::{AuxiliaryKind, Found, KvError, Read, Side, Stores, Write};

use crate::cache::Pair;
use crate::keys;
use crate::marks::Place;
use crate::waiting::{Waiting, read_summary, texts_kept};

/// Summaries that are asked for at once.
const SUMMARIES: usize = 500;
/// Texts that are asked for at once, about.
const TEXTS: usize = 200;

/// What is asked, and how far its answer may be.
#[derive(Debug)]
pub(crate) struct States<'a> {
    pub(crate) stores: &'a Stores,
    pub(crate) place: &'a Place,
    /// How far the master is.
    pub(crate) settled: i64,
    /// How far the worker is.
    pub(crate) reached: i64,
}

/// What waits for a pair.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pair: Pair,
    pub(crate) waiting: Waiting,
    /// All of it, where the master may hold something else.
    pub(crate) again: Vec<Write>,
}

/// Why there are no states.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatesError {
    #[error("the master is elsewhere")]
    MasterElsewhere,
    #[error("the master is away, and the auxiliary is elsewhere")]
    NobodyKnows,
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// What a store holds at one moment.
struct Answer {
    side: Side,
    found: Vec<Found>,
}

impl States<'_> {
    /// The states of all pairs, and which store has told most of them.
    pub(crate) async fn fetch(&self, pairs: Vec<Pair>) -> Result<(Side, Vec<State>), StatesError> {
        let mut states = Vec::with_capacity(pairs.len());
        let mut side = Side::Auxiliary;
        for some in pairs.chunks(SUMMARIES) {
            let field = |(to, from): &Pair| Read::Field(keys::details(to), from.clone());
            let answer = self.ask(some.iter().map(field).collect()).await?;
            side = answer.side;
            let mut known = Vec::new();
            for (pair, summary) in some.iter().zip(answer.found) {
                match summary.into_text() {
                    Some(summary) => known.push((pair.clone(), summary)),
                    None => states.push(State {
                        again: self.again(side, pair, &[]),
                        pair: pair.clone(),
                        waiting: Waiting::default(),
                    }),
                }
            }
            self.fetch_texts(known, &mut states).await?;
        }
        Ok((side, states))
    }

    async fn fetch_texts(
        &self,
        known: Vec<(Pair, String)>,
        states: &mut Vec<State>,
    ) -> Result<(), StatesError> {
        let mut rest = known.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut some, mut count) = (Vec::new(), 0);
            while let Some((_, summary)) = rest.peek() {
                let texts = read_summary("", summary).map_or(0, |sender| texts_kept(sender.count));
                if !some.is_empty() && count + texts > TEXTS {
                    break;
                }
                count += texts;
                some.extend(rest.next());
            }
            let fields = |((to, from), _): &(Pair, String)| Read::Fields(keys::texts(to, from));
            let Answer { side, found } = self.ask(some.iter().map(fields).collect()).await?;
            for ((pair, summary), texts) in some.into_iter().zip(found) {
                let texts = texts.into_fields();
                let waiting = Waiting::from_store(Some(&summary), &texts);
                let texts: Vec<_> = texts.into_iter().collect();
                let again = self.again(side, &pair, &texts);
                states.push(State { pair, waiting, again });
            }
        }
        Ok(())
    }

    /// A replica may have been written to by a worker that could not tell the master: whoever goes
    /// on from there tells it all.
    fn again(&self, side: Side, (to, from): &Pair, texts: &[(String, String)]) -> Vec<Write> {
        if side == Side::Master || self.stores.kind == AuxiliaryKind::Separate {
            return Vec::new();
        }
        let key = keys::texts(to, from);
        let set = |(offset, body): &(String, String)| {
            Write::SetField(key.clone(), offset.clone(), body.clone())
        };
        [Write::Delete(key.clone())].into_iter().chain(texts.iter().map(set)).collect()
    }

    /// Asks the auxiliary, or the master if it does not know. What a replica holds is not what its
    /// mark says: it is asked only while the master is away.
    async fn ask(&self, mut reads: Vec<Read>) -> Result<Answer, StatesError> {
        reads.push(self.place.read());
        let Stores { master, auxiliary, kind } = self.stores;
        if *kind == AuxiliaryKind::Separate
            && let Ok(found) = auxiliary.read(&reads).await
            && let Some(found) = self.fits(found)
        {
            return Ok(Answer { side: Side::Auxiliary, found });
        }
        let error = match master.read(&reads).await {
            Ok(found) => {
                let found = self.fits(found).ok_or(StatesError::MasterElsewhere)?;
                return Ok(Answer { side: Side::Master, found });
            }
            Err(error) => error,
        };
        if *kind == AuxiliaryKind::Separate {
            return Err(error.into());
        }
        let found = self.fits(auxiliary.read(&reads).await?).ok_or(StatesError::NobodyKnows)?;
        Ok(Answer { side: Side::Auxiliary, found })
    }

    /// What a store has answered beside its mark, if its word may be taken.
    fn fits(&self, mut found: Vec<Found>) -> Option<Vec<Found>> {
        let at = self.place.offset_found(found.pop().as_ref())?;
        (self.settled..=self.reached).contains(&at).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use common::kv::Kv;

    use super::*;

    /// Stores that are at these offsets, and say so in their summaries; none for one that is away.
    async fn stores(kind: AuxiliaryKind, auxiliary: Option<i64>, master: Option<i64>) -> Stores {
        let stores = Stores { kind, ..Stores::memory() };
        for (kv, at) in [(&stores.auxiliary, auxiliary), (&stores.master, master)] {
            fill(kv, at).await;
        }
        stores
    }

    async fn fill(kv: &Kv, at: Option<i64>) {
        let Some(at) = at else { return kv.cut(true) };
        let mark = Place::new(0, "log").at(at);
        let body = format!(r#"{{"message_id":"{at}","at":1,"message":"hi"}}"#);
        let field =
            |key: String, field: &str, value: String| Write::SetField(key, field.to_owned(), value);
        kv.write(&[
            field(keys::MARKS.into(), "0", mark),
            field(keys::details("bob"), "alice", format!("1|1|1|{at}|hi")),
            field(keys::texts("bob", "alice"), &at.to_string(), body),
        ])
        .await
        .unwrap();
    }

    async fn check(kind: AuxiliaryKind, at: [Option<i64>; 2], expected: Result<(Side, i64), &str>) {
        let stores = stores(kind, at[0], at[1]).await;
        let place = Place::new(0, "log");
        let states = States { stores: &stores, place: &place, settled: 10, reached: 20 };
        let found = states.fetch(vec![("bob".into(), "alice".into())]).await;
        let found = found.map(|(side, states)| {
            assert_eq!((states.len(), states[0].waiting.texts()), (1, 1));
            // What is not the master's word is told to it.
            let again = kind == AuxiliaryKind::RedisReplica && side == Side::Auxiliary;
            assert_eq!(states[0].again.len(), if again { 2 } else { 0 });
            (side, states[0].waiting.sender("alice").unwrap().last_offset)
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{at:?}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{at:?}: {found:?}, not {expected:?}"),
        }
    }

    #[tokio::test]
    async fn only_a_store_that_is_where_the_worker_is_is_believed() {
        let [separate, replica] = [AuxiliaryKind::Separate, AuxiliaryKind::RedisReplica];
        let (aux, master) = (Side::Auxiliary, Side::Master);
        check(separate, [Some(20), Some(10)], Ok((aux, 20))).await;
        check(separate, [Some(10), Some(10)], Ok((aux, 10))).await;
        check(separate, [Some(20), None], Ok((aux, 20))).await;
        // Ahead: the master is still to be told.
        check(separate, [Some(30), Some(10)], Ok((master, 10))).await;
        check(separate, [Some(30), None], Err("cut off")).await;
        // Behind, while the master does not answer.
        check(separate, [Some(0), None], Err("cut off")).await;
        check(separate, [Some(0), Some(0)], Err("master is elsewhere")).await;
        check(replica, [Some(10), Some(10)], Ok((master, 10))).await;
        check(replica, [Some(10), None], Ok((aux, 10))).await;
        check(replica, [Some(0), None], Err("auxiliary is elsewhere")).await;
        check(replica, [None, None], Err("cut off")).await;
    }
}
