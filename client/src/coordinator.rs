//! Which broker coordinates a group or a transactional id.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_protocol::api::find_coordinator::{self, FindCoordinator};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::answer::{Answer, Origin};
use crate::cluster::Kafka;
use crate::connection::Connection;
use crate::dial;
use crate::error::{Result, Subject};

/// The first version that asks for many keys at once.
const BATCHED: i16 = 4;

/// How many coordinators are remembered: who looks after a cluster asks for many, each once.
const KNOWN_MAX: usize = 10_000;

/// What a coordinator is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// A group, by its id.
    Group,
    /// A transactional id.
    Transaction,
}

/// The coordinators that are known.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    /// Held for a few instructions and never across an await.
    nodes: Mutex<HashMap<(CoordinatorKind, Str), i32>>,
}

impl CoordinatorKind {
    fn to_wire(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

impl Coordinators {
    /// Remembers these, as many as there is room for, which is made where there is none.
    fn keep<'a>(&self, kind: CoordinatorKind, found: impl Iterator<Item = (&'a Str, i32)>) {
        let mut nodes = self.lock();
        if nodes.len() >= KNOWN_MAX {
            nodes.clear();
        }
        let room = KNOWN_MAX - nodes.len();
        // A key may be a slice of a whole answer, which is not to be held on to.
        nodes.extend(found.take(room).map(|(key, node)| ((kind, key.detached()), node)));
    }

    /// Forgets all of them.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(CoordinatorKind, Str), i32>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kafka {
    /// The node id of the broker that coordinates `key`: the one that is known, or what a broker
    /// says now. Requests for it go to [`broker`](Self::broker); an error of theirs that
    /// [says so](crate::Error::is_stale_coordinator) is the time to
    /// [forget it](Self::forget_coordinator).
    ///
    /// # Errors
    /// No broker answers, or the cluster has none to give; often for a moment only, as
    /// [`Error::is_retriable`](crate::Error::is_retriable) tells.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &Str) -> Result<i32> {
        let mut found = self.coordinators(kind, std::slice::from_ref(key)).await?;
        found.pop().map(|(_, outcome)| outcome).expect("one outcome for each key")
    }

    /// The coordinators of many keys, in the order of the question.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn coordinators(
        &self,
        kind: CoordinatorKind,
        keys: &[Str],
    ) -> Result<Vec<(Str, Result<i32>)>> {
        let known = |key: &Str| self.known_coordinators().lock().get(&(kind, key.clone())).copied();
        let mut outcomes: HashMap<_, _> =
            keys.iter().filter_map(|key| Some((key.clone(), Ok(known(key)?)))).collect();
        // Each once: an answer is about a key, however often it is asked for.
        let unknown: BTreeSet<_> =
            keys.iter().filter(|key| !outcomes.contains_key(*key)).cloned().collect();
        if !unknown.is_empty() {
            let connection = self.any_broker().await?;
            let found = find(&connection, kind, unknown.into_iter().collect()).await?;
            self.keep_coordinators(kind, &found).await?;
            let nodes = found.into_iter().map(|(key, found)| (key, found.map(|found| found.node)));
            outcomes.extend(nodes);
        }
        Ok(keys.iter().map(|key| (key.clone(), outcomes[key].clone())).collect())
    }

    /// Looks the coordinator up anew when it is next wanted, unless another than `node` is known
    /// by now.
    pub fn forget_coordinator(&self, kind: CoordinatorKind, key: &Str, node: i32) {
        let mut nodes = self.known_coordinators().lock();
        let place = (kind, key.clone());
        if nodes.get(&place) == Some(&node) {
            nodes.remove(&place);
        }
    }

    async fn keep_coordinators(
        &self,
        kind: CoordinatorKind,
        found: &HashMap<Str, Result<Found>>,
    ) -> Result<()> {
        let found: Vec<_> =
            found.iter().filter_map(|(key, found)| Some((key, found.as_ref().ok()?))).collect();
        let metadata = self.metadata();
        let moved = |found: &Found| {
            let known = metadata.brokers.get(&found.node);
            known.is_none_or(|broker| broker.address != found.address)
        };
        if found.iter().any(|(_, found)| moved(found)) {
            // A broker that has come or moved since: its address is wanted next.
            self.refresh(Some(&[])).await?;
        }
        let found = found.into_iter().map(|(key, found)| (key, found.node));
        self.known_coordinators().keep(kind, found);
        Ok(())
    }
}

/// A coordinator, as a broker tells it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    node: i32,
    address: Arc<str>,
}

/// Asks a broker who coordinates each key. Every key has its outcome.
async fn find(
    connection: &Connection,
    kind: CoordinatorKind,
    keys: Vec<Str>,
) -> Result<HashMap<Str, Result<Found>>> {
    let version = connection.version::<FindCoordinator>(i16::MAX)?;
    if version >= BATCHED {
        return find_many(connection, version, kind, keys).await;
    }
    let mut found = HashMap::new();
    for key in keys {
        let request = find_coordinator::Request {
            key: key.clone(),
            key_type: kind.to_wire(),
            ..find_coordinator::Request::default()
        };
        let pending = connection.submit::<FindCoordinator>(version, &request).await?;
        let Answer { body, origin } = pending.answer().await?;
        // The same, as later versions have it.
        let told = find_coordinator::Coordinator {
            key: key.clone(),
            node_id: body.node_id,
            host: body.host,
            port: body.port,
            error_code: body.error_code,
            error_message: body.error_message,
        };
        found.insert(key, read(told, &origin));
    }
    Ok(found)
}

async fn find_many(
    connection: &Connection,
    version: i16,
    kind: CoordinatorKind,
    keys: Vec<Str>,
) -> Result<HashMap<Str, Result<Found>>> {
    let request = find_coordinator::Request {
        key_type: kind.to_wire(),
        coordinator_keys: keys.clone(),
        ..find_coordinator::Request::default()
    };
    let pending = connection.submit::<FindCoordinator>(version, &request).await?;
    let Answer { body, origin } = pending.answer().await?;
    let mut told: HashMap<_, _> =
        body.coordinators.into_iter().map(|told| (told.key.clone(), told)).collect();
    let found = keys.into_iter().map(|key| {
        let unanswered =
            || Err(origin.error(ErrorCode::COORDINATOR_NOT_AVAILABLE, Subject::Name(key.clone())));
        let found = told.remove(&key).map_or_else(unanswered, |told| read(told, &origin));
        (key, found)
    });
    Ok(found.collect())
}

fn read(told: find_coordinator::Coordinator, origin: &Origin) -> Result<Found> {
    let subject = Subject::Name(told.key.detached());
    origin.check(told.error_code, told.error_message, subject)?;
    Ok(Found { node: told.node_id, address: dial::address(&told.host, told.port) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientConfig;
    use crate::fake::{self, Served};
    use bytes::Bytes;
    use klamm_protocol::api::find_coordinator::{Coordinator, Response};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;

    /// A broker that speaks FindCoordinator up to `max_version`, coordinates "a", and has no
    /// coordinator for anything else: in the old form it says so when it is asked a second time.
    fn answer(max_version: i16, asked: &Served) -> Bytes {
        let (id, version) = (asked.correlation_id, asked.api_version);
        if asked.api_key != FindCoordinator::KEY {
            return fake::versions(asked, &[(FindCoordinator::KEY, max_version)]);
        }
        let absent = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        let coordinators = ["a", "b"].map(|key| Coordinator {
            key: key.into(),
            node_id: if key == "a" { 7 } else { -1 },
            host: "a".into(),
            port: 9,
            error_code: if key == "a" { ErrorCode::NONE } else { absent },
            ..Coordinator::default()
        });
        let first = &coordinators[usize::from(id > 1)];
        let body = Response {
            error_code: if version >= BATCHED { ErrorCode::NONE } else { first.error_code },
            node_id: if version >= BATCHED { 0 } else { first.node_id },
            host: first.host.clone(),
            port: first.port,
            coordinators: coordinators.to_vec(),
            ..Response::default()
        };
        fake::answer::<FindCoordinator>(asked, &body)
    }

    #[test]
    fn no_more_is_remembered_than_is_good() {
        let (known, kind) = (Coordinators::default(), CoordinatorKind::Group);
        let frame = Str::from("group");
        known.keep(kind, [(&frame, 7)].into_iter());
        let kept = known.lock().keys().next().unwrap().1.clone();
        assert!(kept == frame && kept.as_ptr() != frame.as_ptr());
        for number in 0..=KNOWN_MAX {
            known.keep(kind, [(&number.to_string().into(), 7)].into_iter());
        }
        let last = (kind, KNOWN_MAX.to_string().into());
        assert!(known.lock().len() <= KNOWN_MAX && known.lock().contains_key(&last));
    }

    #[test]
    fn of_a_question_about_very_many_no_more_is_remembered_either() {
        let (known, kind) = (Coordinators::default(), CoordinatorKind::Group);
        let groups: Vec<Str> = (0..2 * KNOWN_MAX).map(|number| number.to_string().into()).collect();
        for _ in 0..2 {
            known.keep(kind, groups.iter().map(|group| (group, 7)));
            assert_eq!(known.lock().len(), KNOWN_MAX);
        }
    }

    #[tokio::test]
    async fn a_key_may_be_named_twice() {
        let address = fake::broker(|asked| {
            let apis = [(Metadata::KEY, 12), (FindCoordinator::KEY, 6)];
            Some(match asked.api_key {
                Metadata::KEY => fake::metadata(asked, &[&asked.address], 0),
                FindCoordinator::KEY => answer(6, asked),
                _ => fake::versions(asked, &apis),
            })
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let keys = ["a", "b", "a"].map(Str::from);
        let found = kafka.coordinators(CoordinatorKind::Group, &keys).await.unwrap();
        assert!(found.iter().map(|(key, _)| key).eq(&keys));
        assert!(matches!(&found[..], [(_, Ok(7)), (_, Err(_)), (_, Ok(7))]), "{found:?}");
    }

    #[tokio::test]
    async fn old_brokers_are_asked_one_by_one() {
        for max_version in [0, 3, 4, 6] {
            let address = fake::broker(move |asked| Some(answer(max_version, asked))).await;
            let connection = fake::connect(&address).await.unwrap();
            let keys = vec!["a".into(), "b".into()];
            let found = find(&connection, CoordinatorKind::Group, keys).await.unwrap();
            let a = Found { node: 7, address: "a:9".into() };
            assert_eq!(found["a"].as_ref().ok(), Some(&a), "version {max_version}");
            let refused = found["b"].as_ref().unwrap_err();
            assert!(refused.is_retriable() && refused.is_stale_coordinator());
        }
    }
}
