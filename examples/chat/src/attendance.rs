//! Who comes and goes here and elsewhere: told to the pages, and to the other instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::auth::Identity;
use klamm_utils::clock;
use tokio::sync::Notify;

use crate::frames::Reply;
use crate::instance::Instance;
use crate::presence::{CHANNEL, Changes, EVERY, News, Told};

/// How long changes are gathered.
const GATHER_FOR: Duration = Duration::from_millis(100);

/// Who came or went here, until that is told.
#[derive(Debug, Default)]
pub(crate) struct CameOrWent {
    /// Held to note or take only.
    changes: Mutex<Changes>,
    /// There is something in it.
    changed: Notify,
}

impl CameOrWent {
    fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    /// Nothing that holds it waits.
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the others who came and went, and every few seconds who is here.
pub(crate) async fn tell(instance: Arc<Instance>) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {
                drop(instance.came_or_went.take());
                publish(&instance, everyone(&instance)).await;
                for (room, change) in instance.presence.forget_gone(instance.id, clock::now()) {
                    show(&instance, &room, &change);
                }
            }
            () = instance.came_or_went.changed.notified() => {
                tokio::time::sleep(GATHER_FOR).await;
                let changes = instance.came_or_went.take();
                if !changes.is_empty() {
                    publish(&instance, News::Changed(changes)).await;
                }
            }
        }
    }
}

/// Says that nobody is here any more.
pub(crate) async fn say_goodbye(instance: &Instance) {
    publish(instance, News::All(HashMap::new())).await;
}

async fn publish(instance: &Instance, news: News) {
    let server = instance.settings.server_name.clone();
    let told = serde_json::to_vec(&Told { instance: instance.id, server, news });
    let told = told.expect("what is told has nothing that JSON has not");
    if let Err(error) = instance.bus.publish(CHANNEL, told.into()).await {
        tracing::debug!(%error, "others do not hear who is here");
    }
}

fn everyone(instance: &Instance) -> News {
    let rooms = instance.rooms.members().into_iter();
    let rooms = rooms.map(|(room, members)| (room.to_string(), members.into_iter().collect()));
    News::All(rooms.collect())
}

/// Takes what another instance tells.
pub(crate) fn hear(instance: &Instance, payload: &[u8]) {
    let Ok(told) = serde_json::from_slice(payload) else { return };
    for (room, change) in instance.presence.hear(instance.id, told, clock::now()) {
        show(instance, &room, &change);
    }
}

/// Shows who came or went elsewhere, unless that user is here as well or the room is large.
fn show(instance: &Instance, room: &str, change: &Reply) {
    let (Reply::MemberJoined { user, .. } | Reply::MemberLeft { user, .. }) = change else {
        return;
    };
    if !instance.rooms.has(room, *user) && !instance.is_large(room) {
        instance.show(room, change);
    }
}

/// Says who came or went here, unless another page of the same user is open somewhere or the room
/// is large.
pub(crate) fn announce(instance: &Instance, room: &str, who: &Identity, came: bool) {
    let (user, name) = (who.user_id, who.username.clone());
    let step = came.then(|| name.clone());
    instance.came_or_went.changes().entry(room.to_owned()).or_default().insert(user, step);
    instance.came_or_went.changed.notify_one();
    if instance.presence.knows(room, user) || instance.is_large(room) {
        return;
    }
    let (told, server) = (room.to_owned(), instance.settings.server_name.clone());
    let reply = match came {
        true => Reply::MemberJoined { room: told, user, name, server },
        false => Reply::MemberLeft { room: told, user, name, server, member: true },
    };
    instance.show(room, &reply);
}

/// Says everywhere that somebody is no member any more: nobody waits for that user to read what is
/// said. Unless that user is here all the same, with another page anywhere or again.
pub(crate) async fn announce_no_member(instance: &Instance, room: &str, who: &Identity) {
    let (user, name) = (who.user_id, who.username.clone());
    let is_here = instance.rooms.has(room, user) || instance.presence.knows(room, user);
    if is_here || instance.is_large(room) {
        return;
    }
    let (told, server) = (room.to_owned(), instance.settings.server_name.clone());
    let left = Reply::MemberLeft { room: told, user, name, server, member: false };
    instance.tell(room, &left).await;
}
