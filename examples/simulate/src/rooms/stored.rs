//! What the database holds of a run.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::on;
use klamm_utils::clock;

use super::plan::{Plan, Word};
use crate::world::World;

/// Rows that have not come by then are lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows against acknowledgements.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) rows: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
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
pub(super) async fn read(
    world: &World,
    plan: &Plan,
    acknowledged: &[Word],
) -> anyhow::Result<Stored> {
    let database = world.database().await?;
    let deadline = clock::now() + PATIENCE;
    let count = "SELECT COUNT(*) FROM messages WHERE room = $1";
    let texts = "SELECT content FROM messages WHERE room = $1";
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
        if rows >= acknowledged.len() as i64 || clock::now() > deadline {
            break;
        }
    }
    let complete = clock::now();
    let (mut seen, mut rows, mut doubled) = (HashSet::new(), 0, 0);
    for room in 0..plan.rooms {
        let room = plan.room(room);
        let texts: Vec<String> = on!(&database, pool => {
            sqlx::query_scalar(texts).bind(room).fetch_all(pool).await?
        });
        for word in texts.iter().filter_map(|text| plan.read(text)) {
            rows += 1;
            doubled += u64::from(!seen.insert((word.sender, word.number)));
        }
    }
    let lost = acknowledged.iter().filter(|word| !seen.contains(&(word.sender, word.number)));
    Ok(Stored { rows, lost: lost.count() as u64, doubled, complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_a_second_are_counted_until_the_last_row_and_not_until_the_last_delivery() {
        let start = clock::now();
        let last_delivery = start + Duration::from_secs(60);
        let complete = start + Duration::from_secs(100);
        let stored = Stored { rows: 600_000, lost: 0, doubled: 0, complete };
        assert_eq!(stored.speed(start, last_delivery), (6_000.0, Duration::from_secs(40)));
    }
}
