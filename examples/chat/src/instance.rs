//! What all sockets and requests of one chat server share.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use common::auth::{Auth, Identity, Limiter, SESSION_ENDED};
use common::bus::Bus;
use common::db::Database;
use common::hub::GOING_AWAY;
use common::telemetry::{Component, Telemetry};
use klamm_utils::clock;
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::frames::{Member, Reply};
use crate::log::{Log, Writer};
use crate::presence::{self, Presence, Snapshot};
use crate::rooms::Rooms;
use crate::server::{Backends, Settings};
use crate::store;

/// How often it is told what has reached the members' screens.
const DELIVERED_EVERY: Duration = Duration::from_millis(250);

/// How long changes of who is there are gathered.
const PRESENCE_AFTER: Duration = Duration::from_millis(100);

/// How long a page waits for what the database knows before it is shown what is known without.
pub(crate) const DATABASE_WITHIN: Duration = Duration::from_secs(2);

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
    pub(crate) kafka: Component,
    pub(crate) telemetry: Telemetry,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    /// Somebody came or went here.
    pub(crate) changed: Notify,
    /// Sockets of each address. Held to count only.
    pub(crate) addresses: Mutex<HashMap<IpAddr, usize>>,
    /// How far each user has been sent each room, until that is told. Held to note only.
    delivered: Mutex<HashMap<Arc<str>, HashMap<Uuid, i64>>>,
}

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) sockets: Gauge,
    pub(crate) sent: Counter,
    pub(crate) failed: Counter,
    pub(crate) deliveries: Counter,
    pub(crate) left_out: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) stored_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let metrics = Self {
            sockets: Gauge::default(),
            sent: Counter::default(),
            failed: Counter::default(),
            deliveries: Counter::default(),
            left_out: Counter::default(),
            duplicates: Counter::default(),
            stored_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
        };
        telemetry.register(|registry| {
            registry.register("ws_connections", "Open sockets", metrics.sockets.clone());
            registry.register("messages_sent", "Messages stored in the log", metrics.sent.clone());
            registry.register("messages_failed", "Messages not stored", metrics.failed.clone());
            registry.register(
                "deliveries",
                "Messages put before sockets",
                metrics.deliveries.clone(),
            );
            registry.register("ws_left_out", "Fleeting frames left out", metrics.left_out.clone());
            registry.register("duplicates", "Messages sent again", metrics.duplicates.clone());
            let help = "From a message to its acknowledgement";
            registry.register("stored_seconds", help, metrics.stored_seconds.clone());
        });
        metrics
    }
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
            kafka: telemetry.needs("kafka"),
            metrics: Metrics::new(&telemetry),
            telemetry,
            tasks,
            changed: Notify::new(),
            addresses: Mutex::default(),
            delivered: Mutex::default(),
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
        let mut online = self.presence.members(room);
        online.extend(self.rooms.members_of(room));
        let known = tokio::time::timeout(DATABASE_WITHIN, store::members(&self.database, room));
        let known = known.await.ok().and_then(Result::ok).unwrap_or_default();
        let mut members: Vec<Member> = known
            .into_iter()
            .map(|(user, name, read_offset)| {
                let online = online.remove(&user).is_some();
                Member { user, name, online, read_offset }
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

    /// Moves the read pointer of somebody, and tells the others.
    pub(crate) async fn read(&self, room: &str, who: &Identity, offset: i64) {
        let user = who.user_id;
        let written = store::read(&self.database, room, user, offset);
        match tokio::time::timeout(DATABASE_WITHIN, written).await {
            Ok(Ok(())) => {}
            // The next message that is read moves it further.
            Ok(Err(error)) => tracing::debug!(%error, "a read pointer stays behind"),
            Err(_) => tracing::debug!("a read pointer stays behind"),
        }
        self.tell(room, &Reply::Read { room: room.to_owned(), user, offset }).await;
    }

    /// Remembers that this member was sent everything up to here.
    pub(crate) fn note_delivered(&self, room: Arc<str>, user: Uuid, offset: i64) {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let far = delivered.entry(room).or_default().entry(user).or_insert(offset);
        *far = offset.max(*far);
    }

    /// Tells what reached whom, a few times a second.
    pub(crate) async fn tell_delivered(&self) {
        let mut ticks = tokio::time::interval(DELIVERED_EVERY);
        loop {
            ticks.tick().await;
            let delivered =
                std::mem::take(&mut *self.delivered.lock().unwrap_or_else(PoisonError::into_inner));
            for (room, users) in delivered {
                for (user, offset) in users {
                    let reply = Reply::Delivered { room: room.to_string(), user, offset };
                    self.tell(&room, &reply).await;
                }
            }
        }
    }

    /// Tells the others who is here: when that changes, and every few seconds.
    pub(crate) async fn tell_presence(&self) {
        loop {
            self.publish_presence(self.snapshot()).await;
            for (room, change) in self.presence.forget_gone(self.id, clock::now()) {
                self.show_change(&room, &change);
            }
            tokio::select! {
                () = self.changed.notified() => tokio::time::sleep(PRESENCE_AFTER).await,
                () = tokio::time::sleep(presence::EVERY) => {}
            }
        }
    }

    /// Says that nobody is here any more.
    pub(crate) async fn say_goodbye(&self) {
        let server = self.settings.server_name.clone();
        self.publish_presence(Snapshot { instance: self.id, server, rooms: HashMap::new() }).await;
    }

    async fn publish_presence(&self, snapshot: Snapshot) {
        let told = serde_json::to_vec(&snapshot).expect("a snapshot has nothing that JSON has not");
        if let Err(error) = self.bus.publish(presence::CHANNEL, told.into()).await {
            tracing::debug!(%error, "others do not hear who is here");
        }
    }

    fn snapshot(&self) -> Snapshot {
        let rooms = self.rooms.members().into_iter();
        let rooms = rooms.map(|(room, members)| (room.to_string(), members.into_iter().collect()));
        let server = self.settings.server_name.clone();
        Snapshot { instance: self.id, server, rooms: rooms.collect() }
    }

    /// Hears what the other instances tell, until the bus ends.
    pub(crate) async fn hear(&self) {
        let mut listener = self.bus.listener();
        let mut listens = HashSet::new();
        let mut looks = tokio::time::interval(PRESENCE_AFTER);
        loop {
            let heard = tokio::select! {
                heard = listener.next() => heard,
                _ = looks.tick() => {
                    let wanted = self.channels();
                    if wanted != listens {
                        listens = wanted.clone();
                        listener.listen_to(wanted);
                    }
                    continue;
                }
            };
            let Some(heard) = heard else { return };
            match &*heard.channel {
                SESSION_ENDED => {
                    if let Ok(user) = Uuid::from_slice(&heard.payload) {
                        self.rooms.log_out(user);
                    }
                }
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

    fn hear_presence(&self, payload: &[u8]) {
        let Ok(told) = serde_json::from_slice(payload) else { return };
        for (room, change) in self.presence.hear(self.id, told, clock::now()) {
            self.show_change(&room, &change);
        }
    }

    /// Shows who came or went elsewhere, unless that user is here as well.
    fn show_change(&self, room: &str, change: &Reply) {
        let (Reply::MemberJoined { user, .. } | Reply::MemberLeft { user, .. }) = change else {
            return;
        };
        if !self.rooms.has(room, *user) {
            self.show(room, change);
        }
    }

    /// The channels of the rooms that are open here, and those that everyone listens to.
    fn channels(&self) -> HashSet<Arc<str>> {
        let rooms = self.rooms.names().into_iter().map(|room| channel_of(&room).into());
        rooms.chain([SESSION_ENDED.into(), presence::CHANNEL.into()]).collect()
    }

    /// Says who came, unless another page of the same user is open somewhere.
    pub(crate) fn announce(&self, room: &str, who: &Identity, came: bool) {
        self.changed.notify_one();
        if self.presence.knows(room, who.user_id) {
            return;
        }
        let (user, name) = (who.user_id, who.username.clone());
        let (room, server) = (room.to_owned(), self.settings.server_name.clone());
        let reply = match came {
            true => Reply::MemberJoined { room: room.clone(), user, name, server },
            false => Reply::MemberLeft { room: room.clone(), user, name, server },
        };
        self.show(&room, &reply);
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
