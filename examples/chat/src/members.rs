//! The members of rooms that the database knows: when many come at once, it is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::db::Database;
use klamm_utils::clock;
use uuid::Uuid;

use crate::store;

/// For how long it is known who the members of a room are.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Of how many rooms, about.
const ROOMS_MAX: usize = 1_000;

/// Members, their names, and how far they have read.
pub(crate) type Known = Arc<Vec<(Uuid, String, i64)>>;

/// The members of a room when they were last asked for. Held while they are asked for.
type Asked = Arc<tokio::sync::Mutex<Option<(Instant, Known)>>>;

/// Of each room that was asked for of late.
#[derive(Debug, Default)]
pub(crate) struct KnownMembers {
    /// Held to look only; each room's members are held apart.
    rooms: Mutex<HashMap<String, Asked>>,
}

impl KnownMembers {
    /// The members of a room, as they are now or were a moment ago.
    pub(crate) async fn of(&self, database: &Database, room: &str) -> Result<Known, sqlx::Error> {
        let asked = {
            let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            if rooms.len() > ROOMS_MAX {
                rooms.retain(|_, asked| Arc::strong_count(asked) > 1);
            }
            Arc::clone(rooms.entry(room.to_owned()).or_default())
        };
        let mut asked = asked.lock().await;
        if let Some((at, members)) = &*asked
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(Arc::clone(members));
        }
        let at = clock::now();
        let members = Arc::new(store::members(database, room).await?);
        *asked = Some((at, Arc::clone(&members)));
        Ok(members)
    }
}
