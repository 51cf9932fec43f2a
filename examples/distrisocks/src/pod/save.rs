//! `saves`: one transaction for what all publishers have to save at a time.

use common::db::is_refusal;
use common::patience::Patience;
use klamm_utils::task::TaskGroup;
use tokio::sync::{mpsc, oneshot};

use super::Pod;
use crate::status::Status;
use crate::store::{Kept, Message, Store};

/// Requests of one transaction, at most.
const BATCH: usize = 50;

/// What a publisher has to save.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) messages: Vec<Message>,
    /// Takes what came of each.
    pub(super) answer: oneshot::Sender<Vec<Saved>>,
}

/// How far a message is, and its place.
pub(super) type Saved = Result<(Status, i64), Refused>;

/// A message is not kept, however often the database is asked.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

/// Saves until the tasks stop and the queue is empty.
pub(super) async fn work(pod: Pod, mut requests: mpsc::Receiver<Save>, tasks: TaskGroup) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = requests.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = tasks.stopping() => return,
        }
        let messages: Vec<_> = batch.iter().flat_map(|save| save.messages.clone()).collect();
        let Some(saved) = save(&pod.0.store, &messages, &tasks).await else { return };
        let mut saved = saved.into_iter();
        for Save { messages, answer } in batch {
            // Who has gone meanwhile reads it from the database.
            let _ = answer.send(saved.by_ref().take(messages.len()).collect());
        }
    }
}

/// Saves all of them, or each by itself if one is not taken; none if the tasks stop first.
async fn save(store: &Store, messages: &[Message], tasks: &TaskGroup) -> Option<Vec<Saved>> {
    let mut patience = Patience::new(tasks, "save messages");
    loop {
        match store.save(messages).await {
            Ok(kept) => return Some(kept.into_iter().map(saved).collect()),
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%error, "the database does not take a message");
                let [_] = messages else { break };
                let fault = "the database does not take this text".to_owned();
                return Some(vec![Err(Refused(fault))]);
            }
            Err(error) => patience.after(&error).await?,
        }
    }
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        all.extend(Box::pin(save(store, std::slice::from_ref(message), tasks)).await?);
    }
    Some(all)
}

fn saved(kept: Kept) -> Saved {
    match kept {
        Kept::It(status, placed_us) => Ok((status, placed_us)),
        Kept::Another => Err(Refused("client_msg_id names another message".into())),
    }
}
