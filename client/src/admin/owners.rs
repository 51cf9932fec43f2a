//! Asking each item's owner, such as the leader of a partition or the coordinator of a group.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Instant;

use klamm_utils::clock;

use super::{Admin, Effect, Outcomes};
use crate::error::{Error, Result};
use crate::together::together;

/// Who owns an item.
#[derive(Debug)]
pub(super) enum Owner {
    /// The broker with this node id.
    Node(i32),
    /// Nobody that is known now, for this reason.
    Unknown(Error),
    /// Nobody, and nobody will: there is no such item.
    Nobody(Error),
}

impl Admin {
    /// Asks owners about their items, side by side, and again where that may help, for as long as
    /// a call has. Each item has its outcome, in the order of the question.
    ///
    /// Owners are found anew each time. What one is asked gives each of its items an answer, and
    /// is over by the moment that it is given.
    pub(super) async fn by_owner<Item, T, Found, Told>(
        &self,
        items: Vec<Item>,
        find: impl Fn(Vec<Item>) -> Found,
        ask: impl Fn(i32, Vec<Item>, Instant) -> Told,
        may_help: impl Fn(&Error) -> bool,
    ) -> Result<Outcomes<Item, T>>
    where
        Item: Clone + Eq + Hash,
        Found: Future<Output = Result<Vec<(Item, Owner)>>>,
        Told: Future<Output = Outcomes<Item, T>>,
    {
        let order: HashMap<_, usize> = items.iter().cloned().zip(0..).collect();
        let (mut left, mut refused, mut outcomes) = (items, Vec::new(), Vec::new());
        let deadline = self.deadline();
        let mut backoff = self.kafka.retry_backoff();
        loop {
            let find = || find(left.clone());
            let found = match self.retry_until(deadline, Effect::Reads, find).await {
                Ok(found) => found,
                Err(error) if refused.is_empty() => return Err(error),
                // What was done before is told, and why the rest was not.
                Err(_) => {
                    outcomes.append(&mut refused);
                    break;
                }
            };
            let (mut owned, mut answers) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
            for (item, owner) in found {
                match owner {
                    Owner::Node(node) => owned.entry(node).or_default().push(item),
                    Owner::Unknown(error) => answers.push((item, Err(error))),
                    Owner::Nobody(error) => outcomes.push((item, Err(error))),
                }
            }
            let asked = owned.into_iter().map(|(node, items)| ask(node, items, deadline));
            answers.extend(together(asked).await.into_iter().flatten());
            let pause = backoff.next_pause();
            let last_try = clock::now() + pause > deadline;
            let (again, done) = sort(answers, |error| !last_try && may_help(error));
            outcomes.extend(done);
            if again.is_empty() {
                break;
            }
            left = again.iter().map(|(item, _)| item.clone()).collect();
            refused = again;
            tokio::time::sleep(pause).await;
        }
        outcomes.sort_by_key(|(item, _)| order.get(item).copied());
        Ok(outcomes)
    }
}

/// The answers that are to be asked for again, and those that are final.
pub(super) fn sort<Item, T>(
    answers: Outcomes<Item, T>,
    may_help: impl Fn(&Error) -> bool,
) -> (Outcomes<Item, T>, Outcomes<Item, T>) {
    answers.into_iter().partition(|(_, answer)| answer.as_ref().is_err_and(&may_help))
}
