//! The connections of one client, and what it knows of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_protocol::api::metadata::{self, Metadata as MetadataApi};
use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::clock;
use klamm_utils::random::Random;
use klamm_utils::task::TaskGroup;
use tokio::sync::watch;

use crate::admin::Outcomes;
use crate::answer::Answer;
use crate::config::{ClientConfig, ConfigError, MetadataRecovery, keys};
use crate::connection::Connection;
use crate::coordinator::Coordinators;
use crate::dial::{self, Transport};
use crate::error::{Error, Result, Subject};
use crate::heard::Heard;
use crate::link::Limits;
use crate::metadata::{Metadata, Topic};
use crate::slot::{Reconnect, Slots};
use crate::wanted::Wanted;

/// A client of one cluster: its connections, one per broker and opened when first needed, and
/// the cluster's metadata. Cloning shares both; the last clone closes the connections.
///
/// Producers, consumers and the admin client are made from it.
#[derive(Clone, Debug)]
pub struct Kafka {
    cluster: Arc<Cluster>,
}

#[derive(Debug)]
struct Cluster {
    config: ClientConfig,
    settings: Settings,
    transport: Transport,
    bootstrap: Vec<Arc<str>>,
    slots: Slots,
    metadata: watch::Sender<Arc<Metadata>>,
    /// Its lock is what makes those who ask at the same time ask once.
    heard: tokio::sync::Mutex<Heard>,
    /// By those who wait for that.
    wanted: Wanted,
    coordinators: Coordinators,
    /// Before anything was heard.
    began: Instant,
    tasks: TaskGroup,
}

#[derive(Clone, Debug)]
struct Settings {
    limits: Limits,
    client_id: Str,
    metadata_max_age: Duration,
    reconnect: Reconnect,
    retry: Backoff,
    auto_create: bool,
    recovery: MetadataRecovery,
    recovery_patience: Duration,
}

impl Settings {
    fn of(config: &ClientConfig) -> Self {
        let get = |key| config.get(key);
        let backoff = |first, longest| Backoff::new(get(first), get(longest));
        Self {
            limits: Limits {
                in_flight: config.get(&keys::MAX_IN_FLIGHT),
                timeout: get(&keys::REQUEST_TIMEOUT),
                answer_bytes_max: config.get(&keys::RECEIVE_MAX),
                idle_max: config.get(&keys::CONNECTIONS_MAX_IDLE).0,
            },
            client_id: config.get(&keys::CLIENT_ID).into(),
            metadata_max_age: get(&keys::METADATA_MAX_AGE),
            reconnect: Reconnect {
                pause: backoff(&keys::RECONNECT_BACKOFF, &keys::RECONNECT_BACKOFF_MAX),
                timeout: backoff(&keys::CONNECT_TIMEOUT, &keys::CONNECT_TIMEOUT_MAX),
            },
            retry: backoff(&keys::RETRY_BACKOFF, &keys::RETRY_BACKOFF_MAX),
            auto_create: config.get(&keys::ALLOW_AUTO_CREATE),
            recovery: config.get(&keys::METADATA_RECOVERY_STRATEGY),
            recovery_patience: get(&keys::METADATA_RECOVERY_TRIGGER),
        }
    }
}

impl Kafka {
    /// Connects to a bootstrap broker that answers, and learns the cluster from it.
    ///
    /// # Errors
    /// The settings are wrong, or no bootstrap broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves nothing behind.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        config.check()?;
        let transport = Transport::of(&config)?;
        let servers = config.get(&keys::BOOTSTRAP_SERVERS);
        let bootstrap: Vec<_> = servers.iter().map(|server| dial::with_port(server)).collect();
        if bootstrap.is_empty() {
            return Err(ConfigError::NoBootstrap.into());
        }
        let unused: Vec<_> = config.without_effect().collect();
        if !unused.is_empty() {
            tracing::warn!(settings = ?unused, "these settings have no effect");
        }
        let cluster = Cluster {
            settings: Settings::of(&config),
            transport,
            config,
            bootstrap,
            slots: Slots::default(),
            metadata: watch::Sender::default(),
            heard: tokio::sync::Mutex::default(),
            wanted: Wanted::default(),
            coordinators: Coordinators::default(),
            began: clock::now(),
            tasks: TaskGroup::new("client"),
        };
        let kafka = Self { cluster: Arc::new(cluster) };
        kafka.refresh(Some(&[])).await?;
        Ok(kafka)
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.cluster.config
    }

    /// A back-off for retries, as the settings have it.
    #[must_use]
    pub fn retry_backoff(&self) -> Backoff {
        self.cluster.settings.retry.clone()
    }

    /// What is known of the cluster now, without asking.
    #[must_use]
    pub fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.cluster.metadata.borrow())
    }

    /// Asks what there is: all topics, or those named, or the brokers alone where none is. What
    /// became of each that is named is told beside the snapshot; unknown topics are not created.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn refresh(
        &self,
        topics: Option<&[Str]>,
    ) -> Result<(Arc<Metadata>, Outcomes<Str, Arc<Topic>>)> {
        let mut heard = self.cluster.heard.lock().await;
        self.ask(topics, false, &mut heard).await
    }

    /// A topic: what is known of it if that is young enough, otherwise what a broker says now. An
    /// unknown topic is created if this client and its cluster allow that.
    ///
    /// # Errors
    /// No broker answers, or the topic is not there. One that is just being created gives an
    /// error that [is retriable](Error::is_retriable).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn topic(&self, name: &Str) -> Result<Arc<Topic>> {
        // No moment is that long ago on a machine that has just started.
        let oldest = clock::now().checked_sub(self.cluster.settings.metadata_max_age);
        self.topic_heard_after(name, oldest.unwrap_or(self.cluster.began)).await
    }

    /// A topic as a broker knows it after `moment`: for those to whom what is known is stale.
    /// Callers that ask at the same time share one request, whatever topics they ask for.
    ///
    /// # Errors
    /// As [`topic`](Self::topic).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn topic_heard_after(&self, name: &Str, moment: Instant) -> Result<Arc<Topic>> {
        let waiter = self.cluster.wanted.want(name);
        let mut heard = self.cluster.heard.lock().await;
        if heard.since(name, moment)
            && let Some(topic) = self.metadata().topic(name)
        {
            return Ok(Arc::clone(topic));
        }
        waiter.check()?;
        self.ask_for_wanted(&mut heard).await;
        waiter.check()?;
        Ok(Arc::clone(self.metadata().topic(name).expect("what is not refused is known")))
    }

    /// Asks for all topics that callers wait for.
    async fn ask_for_wanted(&self, heard: &mut Heard) {
        let asked = self.cluster.wanted.ask();
        let auto_create = self.cluster.settings.auto_create;
        let refused = match self.ask(Some(&asked.names), auto_create, heard).await {
            Ok((_, topics)) => {
                let refused = topics.into_iter().filter_map(|(name, it)| Some((name, it.err()?)));
                refused.collect()
            }
            Err(error) => {
                let refused = asked.names.iter().map(|name| (name.clone(), error.clone()));
                refused.collect::<BTreeMap<_, _>>()
            }
        };
        self.cluster.wanted.refuse(&asked, &refused);
    }

    /// The connection to a broker, opened now if there is none.
    ///
    /// # Errors
    /// Nobody knows the broker, it cannot be reached, or it has just failed and may not be tried
    /// again yet.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has opened nothing.
    pub async fn broker(&self, node: i32) -> Result<Connection> {
        self.open(&self.address_of(node)?).await
    }

    /// A connection to any broker: one that is open if there is one, and rather one that owes no
    /// answer, otherwise to one that answers; each time they are tried from another on. Bootstrap
    /// servers come after all brokers that are known, and not at all if `metadata.recovery.strategy` is `none` and any broker is known.
    ///
    /// # Errors
    /// One refuses who this client says it is; the others are not asked then. Or none answers: the
    /// reason is the last one's, or the first that nothing but other settings will mend.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has opened at most what others can use.
    pub async fn any_broker(&self) -> Result<Connection> {
        let metadata = self.metadata();
        let mut addresses =
            from_anywhere(metadata.brokers.values().map(|broker| &broker.address).collect());
        let settled = self.cluster.settings.recovery == MetadataRecovery::None;
        if addresses.is_empty() || !settled {
            addresses.extend(from_anywhere(self.cluster.bootstrap.iter().collect()));
        }
        let reconnect = &self.cluster.settings.reconnect;
        let opened = |address: &Arc<str>| self.cluster.slots.of(address, reconnect).opened();
        let mut listening: Vec<_> =
            addresses.iter().filter_map(|address| opened(address)).collect();
        listening.retain(|connection| !connection.is_throttled());
        // One that is silent may be so for as long as a request may take.
        let free = listening.iter().position(Connection::is_free).unwrap_or(0);
        if free < listening.len() {
            return Ok(listening.swap_remove(free));
        }
        // Those that are open do not listen.
        addresses.sort_by_key(|address| opened(address).is_some());
        let mut failed: Option<Error> = None;
        for address in addresses {
            match self.open(address).await {
                Ok(connection) => return Ok(connection),
                // The others would be told the same, and count how often it was wrong.
                Err(error @ Error::Authentication { .. }) if error.is_fatal() => return Err(error),
                Err(error) => failed = failed.filter(Error::is_fatal).or(Some(error)),
            }
        }
        Err(failed.unwrap_or(Error::Closed))
    }

    /// Asks the broker with this node id, in the newest common version.
    ///
    /// # Errors
    /// The broker cannot be reached or does not answer. Error codes in the answer are the
    /// caller's business.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request may have been sent or not.
    pub async fn call<A: Api>(
        &self,
        node: i32,
        request: &A::Request,
    ) -> Result<Answer<A::Response>> {
        self.broker(node).await?.call::<A>(request).await
    }

    /// A new connection to a broker, for the caller alone: brokers answer in order, so that a
    /// request that waits, such as a fetch, would hold up everybody else's.
    ///
    /// # Errors
    /// Nobody knows the broker, or it cannot be reached.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has opened nothing.
    pub async fn connect_to(&self, node: i32) -> Result<Connection> {
        let address = self.address_of(node)?;
        let timeout = self.cluster.settings.reconnect.clone().timeout.next_pause();
        self.cluster.connect(&address, timeout).await
    }

    /// A connection for the caller alone, as [`connect_to`](Self::connect_to) gives it, on which
    /// each answer may take longer than the request timeout by `patience`: for requests that a
    /// broker answers when others have come, too. Opening it takes no longer for that.
    ///
    /// # Errors
    /// Nobody knows the broker, or it cannot be reached.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has opened nothing.
    pub async fn connect_patiently(&self, node: i32, patience: Duration) -> Result<Connection> {
        Ok(self.connect_to(node).await?.patient(patience))
    }

    /// A new connection to the broker of this one.
    pub(crate) async fn connect_anew(&self, known: &Connection) -> Result<Connection> {
        let timeout = self.cluster.settings.reconnect.clone().timeout.next_pause();
        self.cluster.connect(known.address(), timeout).await
    }

    pub(crate) fn known_coordinators(&self) -> &Coordinators {
        &self.cluster.coordinators
    }

    fn address_of(&self, node: i32) -> Result<Arc<str>> {
        let metadata = self.metadata();
        let broker = metadata.brokers.get(&node).ok_or(Error::UnknownBroker { node })?;
        Ok(Arc::clone(&broker.address))
    }

    async fn open(&self, address: &Arc<str>) -> Result<Connection> {
        let slot = self.cluster.slots.of(address, &self.cluster.settings.reconnect);
        let connect = async |timeout| self.cluster.connect(address, timeout).await;
        slot.open(connect).await
    }

    async fn ask(
        &self,
        topics: Option<&[Str]>,
        auto_create: bool,
        heard: &mut Heard,
    ) -> Result<(Arc<Metadata>, Outcomes<Str, Arc<Topic>>)> {
        let Settings { recovery, recovery_patience, .. } = self.cluster.settings;
        let recovers = recovery == MetadataRecovery::Rebootstrap;
        let asked_at = clock::now();
        if heard.ask(asked_at, recovery_patience) && recovers {
            self.start_over(heard);
        }
        let mut answer = self.ask_any(topics, auto_create).await?;
        if answer.body.error_code == ErrorCode::REBOOTSTRAP_REQUIRED && recovers {
            self.start_over(heard);
            answer = self.ask_any(topics, auto_create).await?;
        }
        let Answer { body, origin } = answer;
        origin.check(body.error_code, None, Subject::Cluster)?;
        if body.brokers.is_empty() {
            // A broker that starts, and has not heard of the others or itself yet.
            return Err(origin.error(ErrorCode::LEADER_NOT_AVAILABLE, Subject::Cluster));
        }
        let (metadata, refused) = self.metadata().after(body, topics.is_none());
        let metadata = Arc::new(metadata);
        match topics {
            Some(topics) => heard.answered(asked_at, topics.iter().cloned()),
            None => {
                heard.forget();
                heard.answered(asked_at, metadata.topics().map(|topic| topic.name.clone()));
            }
        }
        heard.refused(refused.keys());
        self.cluster.metadata.send_replace(Arc::clone(&metadata));
        self.cluster.slots.keep(|address| {
            metadata.brokers.values().any(|broker| &*broker.address == address)
                || self.cluster.bootstrap.iter().any(|server| &**server == address)
        });
        let outcome = |name: &Str| match metadata.topic(name) {
            Some(topic) => (name.clone(), Ok(Arc::clone(topic))),
            None => {
                let code = refused.get(name).copied();
                let code = code.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                (name.clone(), Err(origin.error(code, Subject::Name(name.clone()))))
            }
        };
        let outcomes = topics.unwrap_or_default().iter().map(outcome).collect();
        Ok((metadata, outcomes))
    }

    async fn ask_any(
        &self,
        topics: Option<&[Str]>,
        auto_create: bool,
    ) -> Result<Answer<metadata::Response>> {
        let connection = self.any_broker().await?;
        let version = connection.version::<MetadataApi>(i16::MAX)?;
        let by_name =
            |name: &Str| metadata::Topic { name: Some(name.clone()), ..Default::default() };
        let request = metadata::Request {
            topics: topics.map(|topics| topics.iter().map(by_name).collect()),
            // Before version 4 there is no choice: the broker creates.
            allow_auto_topic_creation: auto_create || version < 4,
            ..metadata::Request::default()
        };
        connection.submit::<MetadataApi>(version, &request).await?.answer().await
    }

    /// Forgets the brokers, so that the bootstrap servers are asked next (KIP-899, KIP-1102).
    fn start_over(&self, heard: &mut Heard) {
        let servers = &self.cluster.bootstrap;
        tracing::info!(?servers, "asking the bootstrap servers again for the cluster's metadata");
        let metadata = self.metadata().without_brokers();
        self.cluster.metadata.send_replace(Arc::new(metadata));
        self.cluster.slots.keep(|_| false);
        self.cluster.coordinators.forget();
        heard.forget();
    }
}

impl Cluster {
    async fn connect(&self, address: &Arc<str>, timeout: Duration) -> Result<Connection> {
        let Settings { limits, client_id, .. } = self.settings.clone();
        let socket = self.transport.connect(address, timeout).await?;
        let (tasks, broker) = (self.tasks.child(address), Arc::clone(address));
        let connection = Connection::open(socket, broker, limits, client_id, tasks).await?;
        self.transport.authenticate(&connection).await?;
        Ok(connection)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// These in turn, from any of them on: one that all clients began with would have all the work.
fn from_anywhere<T>(mut all: Vec<T>) -> Vec<T> {
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let start = Random::new().below(count);
    all.rotate_left(usize::try_from(start).unwrap_or(0));
    all
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::fake;

    /// One that hangs was asked as often as any other, and held up who wanted to know of a topic.
    #[tokio::test]
    async fn a_broker_that_owes_an_answer_is_asked_last() {
        let versions = |asked: &fake::Served| fake::versions(asked, &[(MetadataApi::KEY, 12)]);
        let silent = fake::broker(move |asked| match asked.api_key {
            MetadataApi::KEY => Some(Bytes::new()),
            _ => Some(versions(asked)),
        });
        let silent = silent.await;
        let well = fake::broker(move |asked| match asked.api_key {
            MetadataApi::KEY => Some(fake::metadata(asked, &[&asked.address, &silent], 0)),
            _ => Some(versions(asked)),
        });
        let kafka = Kafka::connect(ClientConfig::new(&well.await)).await.unwrap();
        let (well, silent) = (kafka.broker(0).await.unwrap(), kafka.broker(1).await.unwrap());
        let asked = silent.submit::<MetadataApi>(12, &metadata::Request::default()).await.unwrap();
        for _ in 0..20 {
            assert_eq!(kafka.any_broker().await.unwrap().address(), well.address());
        }
        // Rather that than a new connection.
        well.fail("for a test");
        assert_eq!(kafka.any_broker().await.unwrap().address(), silent.address());
        drop(asked);
    }

    #[test]
    fn the_work_is_not_one_brokers_alone() {
        let first: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| from_anywhere(vec![1, 2, 3])[0]).collect();
        assert_eq!(first, [1, 2, 3].into());
        assert_eq!(from_anywhere(vec![7]), [7]);
        assert!(from_anywhere(Vec::<i32>::new()).is_empty());
    }
}
