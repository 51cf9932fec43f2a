//! What all sockets and requests of one chat server share.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use common::auth::{Auth, Identity, Limiter};
use common::bus::Bus;
use common::db::Database;
use common::hub::GOING_AWAY;
use common::telemetry::{Component, Telemetry};
use klamm_utils::task::TaskGroup;
use uuid::Uuid;

use crate::attendance::{self, CameOrWent};
use crate::frames::{Member, Reply};
use crate::log::{Log, Writer};
use crate::members::{Known, KnownMembers};
use crate::metrics::Metrics;
use crate::places::Places;
use crate::pointers::Pointers;
use crate::presence::{self, Presence};
use crate::room::{Socket, TOLD_MAX};
use crate::rooms::Rooms;
use crate::searches::Searches;
use crate::server::{Backends, Settings};
use crate::store;

/// How often it is looked which rooms are open here.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a page waits for what the database knows before it is shown what is known without.
pub(crate) const DATABASE_WITHIN: Duration = Duration::from_secs(2);

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
    /// Who came or went here, until that is told.
    pub(crate) came_or_went: CameOrWent,
    known: KnownMembers,
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
            came_or_went: CameOrWent::default(),
            known: KnownMembers::default(),
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
        self.known.of(&self.database, room).await
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

    /// Hears what the other instances tell, until the bus ends.
    pub(crate) async fn hear(self: Arc<Self>) {
        let mut listener = self.bus.listener();
        let mut listens = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
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
                presence::CHANNEL => attendance::hear(&self, &heard.payload),
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
    pub(crate) async fn end_sessions(self: Arc<Self>) {
        let mut endings = self.auth.endings();
        loop {
            self.rooms.log_out(&endings.next().await);
        }
    }

    /// The channels of the rooms that are open here, and those that everyone listens to.
    fn channels(&self) -> HashSet<Arc<str>> {
        let rooms = self.rooms.names().into_iter().map(|room| channel_of(&room).into());
        rooms.chain([presence::CHANNEL.into()]).collect()
    }

    /// Shows a room to a page no more.
    pub(crate) fn show_no_more(&self, room: &str, socket: &Socket, who: &Identity) {
        if self.rooms.leave(room, socket) {
            attendance::announce(self, room, who, false);
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
