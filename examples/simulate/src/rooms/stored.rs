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
