//! Fills the auxiliary from the master, piece by piece, while the partition goes on.
//!
//! Pieces and steps are written by one worker, one after the other, and a piece is read while the
//! master has all steps: so whatever is written later is newer, and when the last piece is there,
//! the auxiliary is where the master is.

use std::collections::VecDeque;

use common::kv::{Found, Kv, KvError, Marked, Read, Write};

use crate::follower::Step;
use crate::keys;
use crate::marks::Place;
use crate::sweep::{Sweep, Swept};
use crate::waiting::{read_summary, texts_kept};

/// Users whose senders are asked for at once.
const USERS: usize = 100;
/// Texts that are asked for at once, about.
const TEXTS: usize = 200;

/// Why a filling does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    #[error("another worker works on the auxiliary")]
    NotMine,
    #[error("the master is elsewhere")]
    MasterElsewhere,
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// A filling that is under way.
#[derive(Debug)]
pub(crate) struct Fill {
    place: Place,
    /// The mark of the auxiliary until it is filled.
    mine: String,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Emptying(Sweep),
    Copying { users: VecDeque<String>, texts: VecDeque<(String, usize)> },
}

impl Fill {
    /// Takes the auxiliary. The master must be there, and at `end`: what the auxiliary holds is
    /// better than nothing.
    pub(crate) async fn begin(
        place: &Place,
        (master, auxiliary): (&Kv, &Kv),
        end: i64,
    ) -> Result<Self, FillError> {
        let found = master.read(&[place.read()]).await?;
        if place.offset_found(found.first()) != Some(end) {
            return Err(FillError::MasterElsewhere);
        }
        tracing::debug!(place.partition, "the auxiliary is filled from the master");
        let held = auxiliary.read(&[place.read()]).await?;
        let held = held.into_iter().next().and_then(Found::into_text);
        let mine = place.in_work();
        let mark = place.mark(held, mine.clone());
        written(auxiliary.write_marked(&mark, &[place.no_sign_of_life()]).await?)?;
        let phase = Phase::Emptying(Sweep::begin(auxiliary, place.partition).await?);
        Ok(Self { place: place.clone(), mine, phase })
    }

    /// Writes a step that the master has, or is about to have.
    pub(crate) async fn step(&self, auxiliary: &Kv, step: &Step) -> Result<(), FillError> {
        match self.phase {
            // All will be copied later.
            Phase::Emptying(_) => Ok(()),
            Phase::Copying { .. } => self.write(auxiliary, &step.writes).await,
        }
    }

    /// Does one piece, with the master at `end`; tells whether that was the last.
    pub(crate) async fn piece(
        &mut self,
        (master, auxiliary): (&Kv, &Kv),
        end: i64,
    ) -> Result<bool, FillError> {
        let (users, texts) = match &mut self.phase {
            Phase::Emptying(sweep) => {
                let mark = self.place.mark(Some(self.mine.clone()), self.mine.clone());
                match sweep.piece(auxiliary, &mark).await? {
                    Swept::More => {}
                    Swept::Elsewhere => return Err(FillError::NotMine),
                    Swept::Done => {
                        let users = master.members(&keys::users(self.place.partition)).await?;
                        let (users, texts) = (users.into_iter().collect(), VecDeque::new());
                        self.phase = Phase::Copying { users, texts };
                    }
                }
                return Ok(false);
            }
            Phase::Copying { users, texts } => (users, texts),
        };
        if !texts.is_empty() {
            let keys = some_texts(texts);
            let writes = copy_texts(&self.place, master, end, keys).await?;
            self.write(auxiliary, &writes).await?;
        } else if !users.is_empty() {
            let some: Vec<_> = users.drain(..USERS.min(users.len())).collect();
            let (writes, found) = copy_summaries(&self.place, master, end, &some).await?;
            texts.extend(found);
            self.write(auxiliary, &writes).await?;
        } else {
            let mark = self.place.mark(Some(self.mine.clone()), self.place.at(end));
            written(auxiliary.write_marked(&mark, &[]).await?)?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn write(&self, auxiliary: &Kv, writes: &[Write]) -> Result<(), FillError> {
        let mark = self.place.mark(Some(self.mine.clone()), self.mine.clone());
        written(auxiliary.write_marked(&mark, writes).await?)
    }
}

fn written(marked: Marked) -> Result<(), FillError> {
    match marked {
        Marked::Written => Ok(()),
        Marked::Elsewhere(_) => Err(FillError::NotMine),
    }
}

/// The next keys of texts, as many as have about [`TEXTS`] together.
fn some_texts(texts: &mut VecDeque<(String, usize)>) -> Vec<String> {
    let (mut keys, mut count) = (Vec::new(), 0);
    while let Some((key, texts)) =
        texts.pop_front_if(|(_, more)| count == 0 || count + *more <= TEXTS)
    {
        count += texts;
        keys.push(key);
    }
    keys
}

/// Who wrote to these users, and where the texts of that are.
async fn copy_summaries(
    place: &Place,
    master: &Kv,
    end: i64,
    users: &[String],
) -> Result<(Vec<Write>, Vec<(String, usize)>), FillError> {
    let reads = users.iter().map(|user| Read::Fields(keys::details(user))).collect();
    let details = read_at(place, master, end, reads).await?;
    let (mut writes, mut texts) = (Vec::new(), Vec::new());
    for (user, details) in users.iter().zip(details) {
        for (sender, summary) in details.into_fields() {
            let count =
                read_summary(&sender, &summary).map_or(0, |sender| texts_kept(sender.count));
            texts.push((keys::texts(user, &sender), count));
            writes.push(Write::AddMember(keys::users(place.partition), user.clone()));
            writes.push(Write::AddMember(keys::senders(user), sender.clone()));
            writes.push(Write::SetField(keys::details(user), sender, summary));
        }
    }
    Ok((writes, texts))
}

async fn copy_texts(
    place: &Place,
    master: &Kv,
    end: i64,
    keys: Vec<String>,
) -> Result<Vec<Write>, FillError> {
    let reads = keys.iter().cloned().map(Read::Fields).collect();
    let bodies = read_at(place, master, end, reads).await?;
    let bodies = bodies.into_iter().map(Found::into_fields);
    let write = |(key, bodies): (String, std::collections::BTreeMap<String, String>)| {
        bodies.into_iter().map(move |(offset, body)| Write::SetField(key.clone(), offset, body))
    };
    Ok(keys.into_iter().zip(bodies).flat_map(write).collect())
}

/// Reads the master, which must be at `end`.
async fn read_at(
    place: &Place,
    master: &Kv,
    end: i64,
    mut reads: Vec<Read>,
) -> Result<Vec<Found>, FillError> {
    reads.push(place.read());
    let mut found = master.read(&reads).await?;
    match place.offset_found(found.pop().as_ref()) {
        Some(at) if at == end => Ok(found),
        _ => Err(FillError::MasterElsewhere),
    }
}
