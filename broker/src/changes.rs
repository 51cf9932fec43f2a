//! Changes of topics and settings: the catalog decides and keeps, the topics follow.

use std::slice;
use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_storage::OpenError;

use crate::catalog::{NewTopic, Planner, Refusal, new_id};
use crate::group::{OFFSETS_TOPIC, offsets_topic};
use crate::node::Node;
use crate::topics::{Topic, Unopened};
use crate::txn::{STATE_TOPIC, state_topic};

/// Opens everything that the catalog names, and sets aside what it does not. Blocks.
pub(crate) fn open_all(node: &Node) -> Result<(), OpenError> {
    if let Some(unopened) = node.topics.follow(&node.catalog.version()).into_iter().next() {
        return Err(unopened.error);
    }
    for (log, place) in node.storage.set_aside_strays()? {
        // A crash came between the end of a topic and that of its files, or the disk refused.
        tracing::warn!(
            log, place = %place.display(),
            "files of no topic that is known, probably a deleted one; remove them if so"
        );
    }
    Ok(())
}

impl Node {
    /// What `change` would plan, without carrying it out.
    pub(crate) fn plan<T>(&self, change: impl FnOnce(&mut Planner<'_>) -> T) -> T {
        self.catalog.plan(change)
    }

    /// Carries out what `change` plans: it is on disk and in force when this returns.
    pub(crate) async fn change<T: Send>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Planner<'_>) -> T + Send,
    ) -> Result<T, Refusal> {
        let before = self.catalog.version();
        let outcome = self.catalog.change(change).await?;
        let unopened = self.follow_catalog().await?;
        let after = self.catalog.version();
        // Others may have waited for long, whatever was changed now.
        let is_new = |unopened: &Unopened| {
            let [before, after] = [&before, &after].map(|it| it.image.topic_by_id(unopened.topic));
            !before.zip(after).is_some_and(|(before, after)| Arc::ptr_eq(before, after))
        };
        match unopened.into_iter().find(is_new) {
            Some(Unopened { error, .. }) => {
                Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))
            }
            None => Ok(outcome),
        }
    }

    /// Makes the topic that a client asks for, as the broker's settings say.
    pub(crate) async fn auto_create(self: &Arc<Self>, name: &Str) -> Result<Arc<Topic>, ErrorCode> {
        let made = self.auto_create_all(slice::from_ref(name)).await.pop();
        made.unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    }

    /// Makes topics with one change, all or none if they would have too many partitions together.
    /// What became of each.
    pub(crate) async fn auto_create_all(
        self: &Arc<Self>,
        names: &[Str],
    ) -> Vec<Result<Arc<Topic>, ErrorCode>> {
        let config = self.config();
        let new = names.iter().map(|name| match name.as_str() {
            OFFSETS_TOPIC => offsets_topic(&config.groups),
            STATE_TOPIC => state_topic(&config.transactions),
            _ => NewTopic::named(name.clone()),
        });
        let new: Vec<_> = new.collect();
        let made = self.change(move |planner| create_all(planner, &new)).await;
        let refused = match made {
            Ok(refused) => refused,
            Err(refusal) => vec![Some(refusal.code); names.len()],
        };
        let made = names.iter().zip(refused).map(|(name, refused)| match refused {
            // Two clients may ask at the same time: then the topic is there for both.
            None | Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {
                self.topics.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            Some(code) => Err(code),
        });
        made.collect()
    }

    /// Brings the open topics in line with the catalog after a change of it. One at a time, so
    /// that a topic is opened once; and not without need, as a change may plan nothing. Gives the
    /// topics that cannot be opened.
    pub(crate) async fn follow_catalog(self: &Arc<Self>) -> Result<Vec<Unopened>, Refusal> {
        let mut followed_end = self.followed.lock().await;
        let planned = self.catalog.version();
        let end = planned.end;
        if *followed_end == Some(end) {
            return Ok(Vec::new());
        }
        let open = self.topics.all().into_iter();
        let deleted = open.filter(|topic| planned.image.topic_by_id(topic.id).is_none());
        let deleted: Vec<_> = deleted.map(|topic| (topic.name.clone(), topic.id)).collect();
        let node = Arc::clone(self);
        let following = tokio::task::spawn_blocking(move || node.topics.follow(&planned));
        let followed = following.await;
        self.transactions.forget_removed();
        self.groups.topics_deleted(&deleted).await;
        let unopened = followed.map_err(|error| {
            tracing::error!(%error, "opening topics failed");
            Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())
        })?;
        for Unopened { error, .. } in &unopened {
            tracing::error!(%error, "a topic cannot be opened");
        }
        if unopened.is_empty() {
            *followed_end = Some(end);
        }
        Ok(unopened)
    }
}

/// Why each was refused.
fn create_all(planner: &mut Planner<'_>, topics: &[NewTopic]) -> Vec<Option<ErrorCode>> {
    let default = planner.broker().default_partitions;
    let counts = topics.iter().map(|topic| match topic.partitions {
        -1 => default,
        count => count,
    });
    let counts = counts.map(|count| usize::try_from(count).unwrap_or_default());
    if let Err(refusal) = planner.check_count(counts.fold(0, usize::saturating_add)) {
        return vec![Some(refusal.code); topics.len()];
    }
    let refused = topics.iter().map(|topic| planner.create_topic(topic, new_id()).err());
    refused.map(|refusal| refusal.map(|refusal| refusal.code)).collect()
}
