//! The bus over Redis Pub/Sub.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use klamm_utils::backoff::Backoff;
use klamm_utils::task::TaskGroup;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};
use tokio::sync::{OnceCell, mpsc, watch};

use super::{BusError, Counted, Heard};
use crate::telemetry::Component;

/// How long a publisher waits for Redis.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// How often a listener asks whether its connection is one still, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Takes one back of what there is.
const UNCOUNT: &str = "local count = tonumber(redis.call('GET', KEYS[1]) or '0') \
                       if count > 0 then return redis.call('DECR', KEYS[1]) end return 0";

/// One connection for what is published, and one for each listener. Both come back by themselves.
#[derive(Clone)]
pub struct RedisBus(Arc<Inner>);

struct Inner {
    client: Client,
    /// Made by who first needs it.
    connection: OnceCell<ConnectionManager>,
    tasks: TaskGroup,
    component: Component,
}

impl Debug for RedisBus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("RedisBus").field(self.0.client.get_connection_info().addr()).finish()
    }
}

/// Tells the task of a listener which channels are wanted; dropped, it ends the task.
#[derive(Debug)]
pub(super) struct Ear(watch::Sender<HashSet<Arc<str>>>);

impl RedisBus {
    pub(super) fn new(url: &str, tasks: TaskGroup, component: Component) -> Result<Self, BusError> {
        let client = Client::open(url)?;
        Ok(Self(Arc::new(Inner { client, connection: OnceCell::new(), tasks, component })))
    }

    pub(super) async fn publish(&self, channel: &str, payload: &Bytes) -> Result<(), BusError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(&payload[..]);
        self.ask::<()>(&command).await
    }

    pub(super) async fn claim(&self, name: &str, lifetime: Duration) -> Result<bool, BusError> {
        let mut command = redis::cmd("SET");
        command.arg(format!("claim:{name}")).arg(1).arg("NX").arg("PX").arg(millis(lifetime));
        Ok(self.ask::<Option<String>>(&command).await?.is_some())
    }

    pub(super) async fn count(&self, name: &str, lifetime: Duration) -> Result<Counted, BusError> {
        let (key, lifetime_ms) = (format!("count:{name}"), millis(lifetime));
        let mut commands = redis::pipe();
        commands.atomic();
        commands.cmd("SET").arg(&key).arg(0).arg("NX").arg("PX").arg(lifetime_ms).ignore();
        commands.cmd("INCR").arg(&key).cmd("PTTL").arg(&key);
        let asked = async {
            let mut connection = self.connection().await?;
            Ok(commands.query_async(&mut connection).await?)
        };
        let (count, left): (u64, i64) = self.within(asked).await?;
        Ok(Counted { count, left: Duration::from_millis(left.try_into().unwrap_or(0)) })
    }

    pub(super) async fn uncount(&self, name: &str) -> Result<(), BusError> {
        let mut command = redis::cmd("EVAL");
        command.arg(UNCOUNT).arg(1).arg(format!("count:{name}"));
        self.ask::<i64>(&command).await.map(drop)
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, BusError> {
        let asked = async {
            let mut connection = self.connection().await?;
            Ok(command.query_async(&mut connection).await?)
        };
        self.within(asked).await
    }

    async fn within<T>(
        &self,
        asked: impl Future<Output = Result<T, BusError>>,
    ) -> Result<T, BusError> {
        let answer = tokio::time::timeout(ANSWER_WITHIN, asked).await;
        let answer = answer.unwrap_or(Err(BusError::Timeout));
        self.0.component.tell(&answer);
        answer
    }

    async fn connection(&self) -> Result<ConnectionManager, RedisError> {
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(ANSWER_WITHIN))
                .set_response_timeout(Some(ANSWER_WITHIN))
                .set_number_of_retries(1);
            ConnectionManager::new_with_config(self.0.client.clone(), config)
        };
        self.0.connection.get_or_try_init(connect).await.cloned()
    }

    pub(super) fn ear(&self, sender: mpsc::Sender<Heard>) -> Ear {
        let (wanted, changes) = watch::channel(HashSet::new());
        let bus = self.clone();
        let tasks = self.0.tasks.clone();
        self.0.tasks.spawn("listen", async move {
            tokio::select! {
                () = bus.listen(sender, changes) => {}
                () = tasks.stopping() => {}
            }
        });
        Ear(wanted)
    }

    /// Until the listener is dropped.
    async fn listen(&self, sender: mpsc::Sender<Heard>, mut wanted: Wanted) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match self.listen_once(&sender, &mut wanted, &mut backoff).await {
                Ok(()) => return,
                Err(error) => self.0.component.away(error),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_pause()) => {}
                () = sender.closed() => return,
            }
        }
    }

    /// Until the connection fails, or with `Ok` until the listener is dropped.
    async fn listen_once(
        &self,
        sender: &mpsc::Sender<Heard>,
        wanted: &mut Wanted,
        backoff: &mut Backoff,
    ) -> Result<(), RedisError> {
        let connected = tokio::time::timeout(LOOK_WITHIN, self.0.client.get_async_pubsub());
        let (mut sink, mut messages) = connected.await.map_err(|_| silent())??.split();
        self.0.component.well();
        backoff.reset();
        let mut have = HashSet::<Arc<str>>::new();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            let want = wanted.borrow_and_update().clone();
            for channel in want.difference(&have) {
                answered(sink.subscribe(&**channel)).await?;
            }
            for channel in have.difference(&want) {
                answered(sink.unsubscribe(&**channel)).await?;
            }
            have = want;
            loop {
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return Ok(()),
                    },
                    // What is half open says nothing: it is asked.
                    _ = looks.tick() => answered(sink.ping::<redis::Value>()).await.map(drop)?,
                    message = messages.next() => match message {
                        Some(message) => hear(sender, &have, &message),
                        None => return Err(RedisError::from((redis::ErrorKind::Io, "connection closed"))),
                    },
                }
            }
        }
    }
}

/// The answer, if it comes in time.
async fn answered<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> redis::RedisResult<T> {
    tokio::time::timeout(LOOK_WITHIN, answer).await.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> RedisError {
    RedisError::from((redis::ErrorKind::Io, "the connection is silent"))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

type Wanted = watch::Receiver<HashSet<Arc<str>>>;

fn hear(sender: &mpsc::Sender<Heard>, have: &HashSet<Arc<str>>, message: &redis::Msg) {
    let Some(channel) = have.get(message.get_channel_name()) else { return };
    let payload = Bytes::copy_from_slice(message.get_payload_bytes());
    // One that is too slow misses it, as `Bus` says.
    let _ = sender.try_send(Heard { channel: Arc::clone(channel), payload });
}

impl Ear {
    pub(super) fn listen_to(&self, channels: HashSet<Arc<str>>) {
        self.0.send_replace(channels);
    }
}
