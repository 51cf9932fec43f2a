//! `kafka-pub`: saves what was written, and publishes it to the pods of its receivers.
//!
//! A message is saved first and published then. What cannot be published now is kept, in order,
//! and tried again: it is lost by nobody but a pod that dies, and then it is still in the database
//! with the status `NONE`, from where its receiver gets it.

use std::time::Duration;

use common::patience::Patience;
use klamm_producer::Producer;
use klamm_utils::task::TaskGroup;
use tokio::sync::{mpsc, oneshot};

use super::lanes::{self, BATCH};
use super::save::{Refused, Save};
use super::{Pod, known};
use crate::status::Status;
use crate::store::Message;
use crate::wire::{Delivery, FrameOut, Routed, TypedOut};

/// So long is waited for what is on its way when the pod stops.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Work for a publisher.
#[derive(Debug)]
pub(super) enum Job {
    /// Somebody wrote.
    New(Written),
    /// It is to be passed on.
    Again(Routed),
}

/// What somebody wrote: over this connection, which hears what becomes of it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) message: Message,
    pub(super) connection: String,
    pub(super) client_msg_id: Option<String>,
}

/// Publishes until the tasks stop and the queue is empty. What is saved does not wait for what is
/// published, as far as there is room.
pub(super) async fn work(
    pod: Pod,
    producer: Producer,
    (worker, jobs): (usize, mpsc::Receiver<Job>),
    tasks: TaskGroup,
) {
    let (saved, messages) = mpsc::channel(BATCH);
    let saves = save_all(&pod, (worker, jobs), saved, &tasks);
    let publishes = async {
        let publishes = lanes::publish(&pod, &producer, messages);
        tokio::pin!(publishes);
        tokio::select! {
            () = &mut publishes => return,
            () = tasks.stopping() => {}
        }
        // What is not published by then waits in the database.
        let _ = tokio::time::timeout(END_WITHIN, publishes).await;
    };
    tokio::join!(saves, publishes);
}

async fn save_all(
    pod: &Pod,
    (worker, mut jobs): (usize, mpsc::Receiver<Job>),
    saved: mpsc::Sender<Routed>,
    tasks: &TaskGroup,
) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = jobs.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = tasks.stopping() => return,
        }
        pod.0.metrics.queued("kafka-pub", worker, jobs.len());
        let Some(messages) = save(pod, batch, tasks).await else { return };
        for routed in messages {
            tokio::select! {
                biased;
                sent = saved.send(routed) => if sent.is_err() { return },
                () = tasks.stopping() => return,
            }
        }
    }
}

/// Saves what is new, tells its senders, and gives what is to be published.
async fn save(pod: &Pod, batch: Vec<Job>, tasks: &TaskGroup) -> Option<Vec<Routed>> {
    let (mut new, mut publish) = (Vec::new(), Vec::new());
    for job in batch {
        match job {
            Job::Again(routed) => publish.push(routed),
            Job::New(written) => match address(pod, written, tasks).await {
                Addressed::To(written) => new.push(written),
                Addressed::ToNobody => {}
                Addressed::Stopping => return None,
            },
        }
    }
    if new.is_empty() {
        return Some(publish);
    }
    let (answer, answered) = oneshot::channel();
    let messages = new.iter().map(|written| written.message.clone()).collect();
    pod.0.save.send(Save { messages, answer }).await.ok()?;
    let too_late = async {
        tasks.stopping().await;
        tokio::time::sleep(END_WITHIN).await;
    };
    let saved = tokio::select! {
        saved = answered => saved.ok()?,
        () = too_late => return None,
    };
    for (written, saved) in new.into_iter().zip(saved) {
        match saved {
            Err(Refused(fault)) => refuse(pod, &written, fault),
            Ok((status, placed_us)) => {
                tell(pod, &written, status, placed_us);
                if status == Status::None {
                    let mut delivery = Delivery::of(written.message);
                    delivery.created_at = placed_us / 1_000;
                    publish.push(Routed { delivery, attempt: 0, from_pod: pod.id().into() });
                }
            }
        }
    }
    Some(publish)
}

/// What came of a look for a receiver.
enum Addressed {
    /// The message has its receiver's name as the account has it.
    To(Written),
    /// Nobody keeps what is for nobody: its sender was told.
    ToNobody,
    /// The tasks stop.
    Stopping,
}

async fn address(pod: &Pod, mut written: Written, tasks: &TaskGroup) -> Addressed {
    let mut patience = Patience::new(tasks, "look for a receiver");
    let receiver = loop {
        match known::account(pod, &written.message.reciever_id).await {
            Ok(receiver) => break receiver,
            Err(error) if patience.after(&error).await.is_some() => {}
            Err(_) => return Addressed::Stopping,
        }
    };
    let fault = match receiver {
        None => format!("there is no user called {}", written.message.reciever_id),
        Some(own) if own == written.message.sender_id => "reciever_id is sender_id".into(),
        Some(receiver) => {
            written.message.reciever_id = receiver;
            return Addressed::To(written);
        }
    };
    refuse(pod, &written, fault);
    Addressed::ToNobody
}

fn refuse(pod: &Pod, written: &Written, message: String) {
    let client_msg_id = written.client_msg_id.clone();
    let told = FrameOut::Typed(TypedOut::Error { message, client_msg_id, retry_ms: None });
    pod.0.sockets.send_to(&written.message.sender_id, &written.connection, told);
}

/// Tells the sender, and its other connections at this pod what it wrote.
fn tell(pod: &Pod, written: &Written, status: Status, placed_us: i64) {
    let Written { message, connection, client_msg_id } = written;
    let at = placed_us / 1_000;
    let told = TypedOut::Status {
        message_id: message.message_id,
        client_msg_id: client_msg_id.clone(),
        reciever_id: message.reciever_id.clone(),
        status,
        at,
    };
    pod.0.sockets.send_to(&message.sender_id, connection, FrameOut::Typed(told));
    let copy = Delivery { created_at: at, ..Delivery::of(message.clone()) };
    pod.0.sockets.send_to_others(&message.sender_id, connection, &FrameOut::Message(copy));
}
