//! What a page is told that joins a room, leaves it, or comes back to it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use common::auth::Identity;
use common::hub::Frame;
use common::patience::Patience;
use uuid::Uuid;

use crate::attendance;
use crate::frames::{self, Reply, Seen};
use crate::instance::{DATABASE_WITHIN, Instance, NoRoom};
use crate::message::is_room;
use crate::room::{Missed, Socket};
use crate::store::{self, Range};

/// How many missed messages are told at once, and how large they may be together: less than waits
/// for a page. Who missed more loads the history.
const MISSED_MAX: usize = 200;
const MISSED_BYTES_MAX: usize = 512 * 1024;

/// How many rooms a page may show, and ask for at once.
pub(crate) const ROOMS_MAX: usize = 50;

/// How long it is tried to write down that somebody has left: their page has gone by then, mostly,
/// and nobody else would try again.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);

/// What may still be told of what was missed.
struct Allowance {
    frames: usize,
    bytes: usize,
}

impl Allowance {
    /// Whether these may be told as well.
    fn take(&mut self, frames: &[Utf8Bytes]) -> bool {
        let bytes: usize = frames.iter().map(|frame| frame.len()).sum();
        let fits = frames.len() <= self.frames && bytes <= self.bytes;
        if fits {
            self.frames -= frames.len();
            self.bytes -= bytes;
        }
        fits
    }
}

/// What a page is told that has joined a room, unless its user has made too many. Who cannot be
/// written down now is a member next time.
pub(crate) async fn joined(
    instance: &Instance,
    room: &str,
    who: (Uuid, &str),
) -> Result<Reply, NoRoom> {
    let here = instance.rooms.head(room);
    let asked = async {
        let database = &instance.database;
        let (read, stored_head) = store::read_and_head(database, room, who.0).await?;
        let head = here.max(stored_head).unwrap_or(-1);
        if read.is_none() {
            instance.make_room(room, who.0).await?;
            store::add_member(database, room, who, head).await?;
        }
        Ok::<_, NoRoom>((head, instance.known(room).await?))
    };
    let known = match tokio::time::timeout(DATABASE_WITHIN, asked).await {
        Ok(Ok(known)) => Some(known),
        Ok(Err(refused @ NoRoom::TooMany(_))) => return Err(refused),
        Ok(Err(error)) => {
            tracing::warn!(%error, room, "a member may not be written down");
            None
        }
        Err(_) => {
            tracing::warn!(room, "a member may not be written down: no answer");
            None
        }
    };
    let (head_offset, known) = known.unwrap_or_else(|| (here.unwrap_or(-1), Arc::default()));
    let members = instance.with_those_online(room, &known);
    Ok(Reply::JoinRoom { room: room.to_owned(), success: true, members, head_offset })
}

/// What a page is told that has left a room.
pub(crate) async fn left(instance: &Instance, room: String, who: &Identity) -> Utf8Bytes {
    let removed = removed(instance, &room, who.user_id);
    if tokio::time::timeout(LEAVE_WITHIN, removed).await == Ok(true) {
        attendance::announce_no_member(instance, &room, who).await;
        return Reply::LeaveRoom { room, success: true }.text();
    }
    tracing::warn!(room, "a member may still be written down");
    let why = "You are still written down as a member: leave the room again in a while";
    frames::refused("leave_room", &room, why)
}

/// Makes somebody a member no more, however often that has to be tried; false if the server stops
/// before, or they are in the room again.
async fn removed(instance: &Instance, room: &str, user: Uuid) -> bool {
    let mut patience = Patience::new(&instance.tasks, "write down who has left");
    loop {
        let removed = store::remove_member(&instance.database, room, user);
        let error = match tokio::time::timeout(DATABASE_WITHIN, removed).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let stops = patience.after(&error).await.is_none();
        if stops || instance.rooms.has(room, user) || instance.presence.knows(room, user) {
            return false;
        }
    }
}

/// Tells a page that was here before what it has missed in each room, or that it must load the
/// history.
pub(crate) async fn resume(
    instance: &Instance,
    socket: &Socket,
    rooms: impl IntoIterator<Item = Seen>,
) {
    let mut left = Allowance { frames: MISSED_MAX, bytes: MISSED_BYTES_MAX };
    for seen in rooms {
        let missed = missed(instance, &seen).await.filter(|frames| left.take(frames));
        let end = match missed.is_some() {
            true => Reply::Resumed { room: seen.room },
            false => Reply::Resync { room: seen.room },
        };
        let frames = missed.into_iter().flatten().chain([end.text()]);
        socket.mailbox.push_all(frames.map(Frame::lasting));
    }
}

/// The frames of all messages that a page has not seen; none if they are not known or too many.
async fn missed(instance: &Instance, seen: &Seen) -> Option<Vec<Utf8Bytes>> {
    let (log, _) = instance.log.get()?;
    let Seen { room, offset, epoch } = seen;
    if *epoch != log.epoch || !is_room(room) {
        return None;
    }
    let partition = log.partition_of(room);
    let (from, newer) = match instance.rooms.after(partition, room, *offset) {
        Missed::All(newer) => (i64::MIN, newer),
        Missed::From(from, newer) => (from, newer),
    };
    let mut frames = Vec::new();
    if from > *offset {
        let database = &instance.database;
        let older = async {
            let group = &instance.settings.kafka_group;
            let written = store::offsets(database, group, &log.topic).await?;
            let range = Range::After(*offset);
            let older = store::history(database, room, range, MISSED_MAX + 1).await?;
            Ok::<_, sqlx::Error>((written.get(&partition).copied().unwrap_or(0), older))
        };
        let (written, older) = tokio::time::timeout(DATABASE_WITHIN, older).await.ok()?.ok()?;
        if written < from {
            return None;
        }
        let older = older.into_iter().filter(|placed| placed.offset < from);
        frames.extend(older.map(|placed| placed.frame()));
    }
    frames.extend(newer.iter().map(|placed| placed.frame()));
    Some(frames)
}
