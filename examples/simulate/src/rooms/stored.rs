//! What the database holds of a run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::on;
use klamm_utils::clock;

use super::plan::{Plan, Word};
use super::tally::Tally;
use crate::world::World;

/// Rows that have not come by then are lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows against acknowledgements.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) rows: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// At another offset than on the screens: there they may be in another order.
    pub(super) misplaced: u64,
    /// When everything was there.
    pub(super) complete: Instant,
}

impl Stored {
    /// Rows a second, from `start` until the last was there; and how long after the last delivery
    /// that was.
    pub(super) fn speed(&self, start: Instant, last_delivery: Instant) -> (f64, Duration) {
        let took = self.complete.duration_since(start);
        (self.rows as f64 / took.as_secs_f64(), self.complete.duration_since(last_delivery))
    }
}

/// Looks until every acknowledged message has a row, or for a while.
pub(super) async fn read(world: &World, plan: &Plan, seen: &Tally) -> anyhow::Result<Stored> {
    let database = world.database().await?;
    let deadline = clock::now() + PATIENCE;
    let count = "SELECT COUNT(*) FROM messages WHERE room = $1";
    let texts = "SELECT content, off FROM messages WHERE room = $1";
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    loop {
        looks.tick().await;
        let mut rows = 0;
        for room in 0..plan.rooms {
            let room = plan.room(room);
            rows += on!(&database, pool => {
                sqlx::query_scalar::<_, i64>(count).bind(room).fetch_one(pool).await?
            });
        }
        if rows >= seen.acknowledged.len() as i64 || clock::now() > deadline {
            break;
        }
    }
    let complete = clock::now();
    let (mut places, mut rows, mut doubled) = (HashMap::new(), 0, 0);
    for room in 0..plan.rooms {
        let room = plan.room(room);
        let texts: Vec<(String, i64)> = on!(&database, pool => {
            sqlx::query_as(texts).bind(room).fetch_all(pool).await?
        });
        for (text, offset) in texts {
            let Some(word) = plan.read(&text) else { continue };
            rows += 1;
            doubled += u64::from(places.insert(word.name(), offset).is_some());
        }
    }
    let acknowledged = seen.acknowledged.iter();
    let lost = acknowledged.filter(|word| !places.contains_key(&word.name())).count() as u64;
    let misplaced = misplaced(&places, &seen.shown);
    Ok(Stored { rows, lost, doubled, misplaced, complete })
}

/// How many messages are stored at another offset than they were shown at. What lies in the log
/// twice is one message, where it lies first.
fn misplaced(places: &HashMap<(usize, u64), i64>, shown: &[(Word, i64)]) -> u64 {
    let mut first = HashMap::new();
    for (word, offset) in shown {
        let known = first.entry(word.name()).or_insert(*offset);
        *known = (*known).min(*offset);
    }
    let elsewhere = |(name, offset)| places.get(name).is_some_and(|place| place != offset);
    first.iter().filter(|shown| elsewhere(*shown)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_stored_elsewhere_than_it_was_shown_is_found() {
        let word = |number| Word { sender: 1, number, due: Duration::ZERO };
        let places: HashMap<_, _> = [((1, 0), 10), ((1, 1), 11), ((1, 2), 19)].into();
        // The second was in the log twice, the last is not stored: that is told otherwise.
        let shown = [(0, 10), (1, 15), (1, 11), (2, 12), (3, 13)];
        let shown = shown.map(|(number, offset)| (word(number), offset));
        assert_eq!(misplaced(&places, &shown), 1);
    }

    #[test]
    fn rows_a_second_are_counted_until_the_last_row_and_not_until_the_last_delivery() {
        let start = clock::now();
        let last_delivery = start + Duration::from_secs(60);
        let complete = start + Duration::from_secs(100);
        let stored = Stored { rows: 600_000, lost: 0, doubled: 0, misplaced: 0, complete };
        assert_eq!(stored.speed(start, last_delivery), (6_000.0, Duration::from_secs(40)));
    }
}
