//! What all sockets and requests of one chat server share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use common::auth::{Auth, Identity, Limiter};
use common::bus::Bus;
use common::db::Database;
use common::hub::GOING_AWAY;
use common::telemetry::{Component, Telemetry};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::frames::{Member, Reply};
use crate::log::{Log, Writer};
use crate::metrics::Metrics;
use crate::places::Places;
use crate::pointers::Pointers;
use crate::presence::{self, Changes, News, Presence, Told};
use crate::room::{Socket, TOLD_MAX};
use crate::rooms::Rooms;
use crate::searches::Searches;
use crate::server::{Backends, Settings};
use crate::store;

/// How long changes of who is there are gathered.
const PRESENCE_AFTER: Duration = Duration::from_millis(100);

/// How long a page waits for what the database knows before it is shown what is known without.
pub(crate) const DATABASE_WITHIN: Duration = Duration::from_secs(2);

/// For how long it is known who the members of a room are: when many come at once, the database
/// is asked once.
const MEMBERS_KNOWN_FOR: Duration = Duration::from_secs(1);

/// Of how many rooms, about.
const MEMBERS_KNOWN_MAX: usize = 1_000;

/// Members, their names, and how far they have read.
type Known = Arc<Vec<(Uuid, String, i64)>>;

/// The members of a room when they were last asked for. Held while they are asked for.
type Asked = Arc<tokio::sync::Mutex<Option<(Instant, Known)>>>;

/// How many other frames a page may send for each message.
const FRAMES: u32 = 3;

/// One chat server.
pub(crate) struct Instance {
    pub(crate) id: Uuid,
    pub(crate) settings: Settings,
    pub(crate) auth: Auth,
    pub(crate) database: Database,
    pub(crate) bus: Bus,
    pub(crate) rooms: Rooms,
    pub(crate) presence: Presence,
    /// Set when the broker was there for the first time.
    pub(crate) log: OnceLock<(Log, Writer)>,
    pub(crate) messages: Limiter<Uuid>,
    /// Of everything else that a page says.
    pub(crate) frames: Limiter<Uuid>,
    pub(crate) kafka: Component,
    pub(crate) telemetry: Telemetry,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    pub(crate) places: Arc<Places>,
    pub(crate) searches: Searches,
    pub(crate) rooms_made: Limiter<Uuid>,
    /// Who came or went here, until that is told. Held to note or take only.
    came_or_went: Mutex<Changes>,
    /// There is something in it.
    changed: Notify,
    /// Held to look only; each room's members are held apart.
    known: Mutex<HashMap<String, Asked>>,
    /// What has reached screens, until that is told.
    pub(crate) delivered: Pointers,
    /// What was read, until that is told.
    pub(crate) reads: Pointers,
    /// What was read, until that is written.
    pub(crate) unwritten: Pointers,
}

/// Why a room was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoom {
    /// This user has made many just now.
    #[error("You have made many rooms: wait {} s before the next one", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Instance {
    pub(crate) fn new(
        settings: Settings,
        Backends { database, bus }: Backends,
        telemetry: Telemetry,
        tasks: TaskGroup,
    ) -> Self {
        let second = Duration::from_secs(1);
        let (per_second, burst) = (settings.messages_per_second, settings.messages_burst);
        Self {
            id: Uuid::now_v7(),
            auth: Auth::new(settings.auth.clone(), database.clone(), bus.clone()),
            database,
            bus,
            rooms: Rooms::default(),
            presence: Presence::default(),
            log: OnceLock::new(),
            messages: Limiter::with_burst(per_second, second, burst),
            frames: Limiter::with_burst(
                per_second.saturating_mul(FRAMES),
                second,
                burst.saturating_mul(FRAMES),
            ),
            kafka: telemetry.needs("kafka"),
            metrics: Metrics::new(&telemetry),
            telemetry,
            tasks,
            places: Arc::default(),
            came_or_went: Mutex::default(),
            changed: Notify::new(),
            known: Mutex::default(),
            delivered: Pointers::default(),
            reads: Pointers::default(),
            unwritten: Pointers::default(),
            searches: Searches::default(),
            rooms_made: Limiter::new(settings.rooms_per_hour, Duration::from_secs(3600)),
            settings,
        }
    }

    /// Tells all instances something fleeting about a room. Without the bus nobody hears of it.
    pub(crate) async fn tell(&self, room: &str, reply: &Reply) {
        let text = Bytes::from(reply.text());
        if let Err(error) = self.bus.publish(&channel_of(room), text).await {
            tracing::debug!(%error, "nobody is told");
        }
    }

    /// Shows this to everyone who looks at the room here.
    pub(crate) fn show(&self, room: &str, reply: &Reply) {
        self.rooms.show_fleeting(room, &reply.text());
    }

    /// Who belongs to a room: members, and whoever else is there.
    pub(crate) async fn members(&self, room: &str) -> Vec<Member> {
        let known = tokio::time::timeout(DATABASE_WITHIN, self.known(room)).await;
        self.with_those_online(room, &known.ok().and_then(Result::ok).unwrap_or_default())
    }

    /// The members that the database knows, as they are now or were a moment ago.
    pub(crate) async fn known(&self, room: &str) -> Result<Known, sqlx::Error> {
        let asked = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > MEMBERS_KNOWN_MAX {
                known.retain(|_, asked| Arc::strong_count(asked) > 1);
            }
            Arc::clone(known.entry(room.to_owned()).or_default())
        };
        let mut asked = asked.lock().await;
        if let Some((at, members)) = &*asked
            && at.elapsed() < MEMBERS_KNOWN_FOR
        {
            return Ok(Arc::clone(members));
        }
        let at = clock::now();
        let members = Arc::new(store::members(&self.database, room).await?);
        *asked = Some((at, Arc::clone(&members)));
        Ok(members)
    }

    /// These, and whoever else is there.
    pub(crate) fn with_those_online(
        &self,
        room: &str,
        known: &[(Uuid, String, i64)],
    ) -> Vec<Member> {
        let mut online = self.presence.members(room);
        online.extend(self.rooms.members_of(room));
        let mut members: Vec<Member> = known
            .iter()
            .map(|(user, name, read_offset)| {
                let online = online.remove(user).is_some();
                Member { user: *user, name: name.clone(), online, read_offset: *read_offset }
            })
            .collect();
        let others = online.into_iter();
        members.extend(others.map(|(user, name)| Member {
            user,
            name,
            online: true,
            read_offset: -1,
        }));
        members
    }

    /// Whether so many look at a room, here and elsewhere, that not everything is told.
    pub(crate) fn is_large(&self, room: &str) -> bool {
        self.rooms.count(room) + self.presence.count(room) > TOLD_MAX
    }

    /// Makes a room, if it is not there and this user may make one. Whether it was made.
    pub(crate) async fn make_room(&self, room: &str, user: Uuid) -> Result<bool, NoRoom> {
        if store::has_room(&self.database, room).await? {
            return Ok(false);
        }
        self.rooms_made.check(&user).map_err(NoRoom::TooMany)?;
        Ok(store::make_room(&self.database, room, user).await?)
    }

    /// Moves the read pointer of somebody; that is told and written soon.
    pub(crate) fn note_read(&self, room: &str, user: Uuid, offset: i64) {
        let room = Arc::<str>::from(room);
        self.reads.note(Arc::clone(&room), user, offset);
        self.unwritten.note(room, user, offset);
    }

    /// Tells the others who came and went, and every few seconds who is here.
    pub(crate) async fn tell_presence(&self) {
        let mut every = tokio::time::interval(presence::EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {
                    drop(self.take_changes());
                    self.publish_presence(self.everyone()).await;
                    for (room, change) in self.presence.forget_gone(self.id, clock::now()) {
                        self.show_change(&room, &change);
                    }
                }
                () = self.changed.notified() => {
                    tokio::time::sleep(PRESENCE_AFTER).await;
                    let changes = self.take_changes();
                    if !changes.is_empty() {
                        self.publish_presence(News::Changed(changes)).await;
                    }
                }
            }
        }
    }

    /// Says that nobody is here any more.
    pub(crate) async fn say_goodbye(&self) {
        self.publish_presence(News::All(HashMap::new())).await;
    }

    async fn publish_presence(&self, news: News) {
        let server = self.settings.server_name.clone();
        let told = serde_json::to_vec(&Told { instance: self.id, server, news });
        let told = told.expect("what is told has nothing that JSON has not");
        if let Err(error) = self.bus.publish(presence::CHANNEL, told.into()).await {
            tracing::debug!(%error, "others do not hear who is here");
        }
    }

    fn everyone(&self) -> News {
        let rooms = self.rooms.members().into_iter();
        let rooms = rooms.map(|(room, members)| (room.to_string(), members.into_iter().collect()));
        News::All(rooms.collect())
    }

    fn take_changes(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    /// Nothing that holds it waits.
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.came_or_went.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what the other instances tell, until the bus ends.
    pub(crate) async fn hear(&self) {
        let mut listener = self.bus.listener();
        let mut listens = None;
        let mut looks = tokio::time::interval(PRESENCE_AFTER);
        loop {
            let heard = tokio::select! {
                heard = listener.next() => heard,
                _ = looks.tick() => {
                    let opened = Some(self.rooms.opened());
                    if listens != opened {
                        listens = opened;
                        listener.listen_to(self.channels());
                    }
                    continue;
                }
            };
            let Some(heard) = heard else { return };
            match &*heard.channel {
                presence::CHANNEL => self.hear_presence(&heard.payload),
                channel => {
                    let text = Utf8Bytes::try_from(heard.payload);
                    if let (Some(room), Ok(text)) = (channel.strip_prefix(ROOM), text) {
                        self.rooms.show_fleeting(room, &text);
                    }
                }
            }
        }
    }

    /// Closes the pages whose sessions end.
    pub(crate) async fn end_sessions(&self) {
        let mut endings = self.auth.endings();
        loop {
            self.rooms.log_out(&endings.next().await);
        }
    }

    fn hear_presence(&self, payload: &[u8]) {
        let Ok(told) = serde_json::from_slice(payload) else { return };
        for (room, change) in self.presence.hear(self.id, told, clock::now()) {
            self.show_change(&room, &change);
        }
    }

    /// Shows who came or went elsewhere, unless that user is here as well or the room is large.
    fn show_change(&self, room: &str, change: &Reply) {
        let (Reply::MemberJoined { user, .. } | Reply::MemberLeft { user, .. }) = change else {
            return;
        };
        if !self.rooms.has(room, *user) && !self.is_large(room) {
            self.show(room, change);
        }
    }

    /// The channels of the rooms that are open here, and those that everyone listens to.
    fn channels(&self) -> HashSet<Arc<str>> {
        let rooms = self.rooms.names().into_iter().map(|room| channel_of(&room).into());
        rooms.chain([presence::CHANNEL.into()]).collect()
    }

    /// Says who came or went, unless another page of the same user is open somewhere or the room is
    /// large.
    pub(crate) fn announce(&self, room: &str, who: &Identity, came: bool) {
        let (user, name) = (who.user_id, who.username.clone());
        let step = came.then(|| name.clone());
        self.changes().entry(room.to_owned()).or_default().insert(user, step);
        self.changed.notify_one();
        if self.presence.knows(room, user) || self.is_large(room) {
            return;
        }
        let (room, server) = (room.to_owned(), self.settings.server_name.clone());
        let reply = match came {
            true => Reply::MemberJoined { room: room.clone(), user, name, server },
            false => Reply::MemberLeft { room: room.clone(), user, name, server },
        };
        self.show(&room, &reply);
    }

    /// Shows a room to a page no more.
    pub(crate) fn show_no_more(&self, room: &str, socket: &Socket, who: &Identity) {
        if self.rooms.leave(room, socket) {
            self.announce(room, who, false);
        }
    }

    /// Ends all sockets: others will take them.
    pub(crate) fn close_sockets(&self) {
        self.rooms.close_all(GOING_AWAY);
    }
}

const ROOM: &str = "room:";

/// The channel of what is fleeting in a room.
pub(crate) fn channel_of(room: &str) -> String {
    format!("{ROOM}{room}")
}
