//! Changes of topics and settings: the catalog decides and keeps, the topics follow.

use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_storage::OpenError;

use crate::catalog::{NewTopic, Planner, Refusal, new_id};
use crate::group::{OFFSETS_TOPIC, offsets_topic};
use crate::node::Node;
use crate::topics::Topic;
use crate::txn::{STATE_TOPIC, state_topic};

/// Opens everything that the catalog names, and sets aside what it does not. Blocks.
pub(crate) fn open_all(node: &Node) -> Result<(), OpenError> {
    node.topics.follow(&node.catalog.version())?;
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
        let outcome = self.catalog.change(change).await?;
        self.follow_catalog().await?;
        Ok(outcome)
    }

    /// Makes the topic that a client asks for, as the broker's settings say.
    pub(crate) async fn auto_create(self: &Arc<Self>, name: &Str) -> Result<Arc<Topic>, ErrorCode> {
        let new = match name.as_str() {
            OFFSETS_TOPIC => offsets_topic(&self.config().groups),
            STATE_TOPIC => state_topic(&self.config().transactions),
            _ => NewTopic::named(name.clone()),
        };
        let id = new_id();
        let made = self.change(move |planner| planner.create_topic(&new, id).map(drop)).await;
        match made.and_then(|made| made) {
            Ok(()) => {}
            // Two clients may ask at the same time: then the topic is there for both.
            Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => {}
            Err(refusal) => return Err(refusal.code),
        }
        self.topics.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// Brings the open topics in line with the catalog after a change of it. One at a time, so
    /// that a topic is opened once; and not without need, as a change may plan nothing.
    pub(crate) async fn follow_catalog(self: &Arc<Self>) -> Result<(), Refusal> {
        let mut followed_end = self.followed.lock().await;
        let planned = self.catalog.version();
        let end = planned.end;
        if *followed_end == Some(end) {
            return Ok(());
        }
        let open = self.topics.all().into_iter();
        let deleted = open.filter(|topic| planned.image.topic_by_id(topic.id).is_none());
        let deleted: Vec<_> = deleted.map(|topic| (topic.name.clone(), topic.id)).collect();
        let node = Arc::clone(self);
        let following = tokio::task::spawn_blocking(move || node.topics.follow(&planned));
        let followed = following.await;
        self.transactions.forget_removed();
        self.groups.topics_deleted(&deleted).await;
        match followed {
            Ok(Ok(())) => {
                *followed_end = Some(end);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a topic cannot be opened");
                Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string()))
            }
            Err(error) => {
                tracing::error!(%error, "opening topics failed");
                Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))
            }
        }
    }
}
