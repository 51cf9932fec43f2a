//! Answers questions.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::auth::Limiter;
use common::bus::Bus;
use futures_util::StreamExt as _;
use klamm_utils::clock::{Clock as _, SystemClock};
use klamm_utils::task::TaskGroup;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::service::Settings;
use super::{Llm, Prompt, STOP, Said};
use crate::frames::Reply;
use crate::instance::channel_of;
use crate::log::Writer;
use crate::message::{CONTENT_MAX, Message, SUPERCHAT, is_content};

/// How much of a room a model is told.
const CONTEXT_MAX: usize = 20;

/// Of how many rooms.
const ROOMS_MAX: usize = 1_000;

/// How many answers are made at a time.
const ANSWERS_MAX: usize = 8;

/// Of how many messages it is known that they were read: one that was sent again is in the log
/// twice.
const READ_MAX: usize = 2_000;

/// How often a user is told that there is no answer.
const REFUSED_EVERY: Duration = Duration::from_secs(5);

/// An answer that takes longer ends there.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Nobody waits for the answer to an older question.
const QUESTION_AGE_MAX_MS: i64 = 120_000;

/// One worker.
pub(super) struct Worker {
    settings: Settings,
    bus: Bus,
    writer: Writer,
    questions: Limiter<Uuid>,
    refusals: Limiter<Uuid>,
    /// Held for moments only.
    state: Mutex<State>,
    answered: Counter,
    tasks: TaskGroup,
}

#[derive(Default)]
struct State {
    /// The last messages of each room.
    context: HashMap<String, VecDeque<Said>>,
    /// Rooms that are being answered.
    answering: HashSet<String>,
    /// What ends an answer, by its id.
    stops: HashMap<Uuid, CancellationToken>,
    /// Questions whose answers are not finished.
    open: HashSet<Uuid>,
    read: Last,
}

/// The ids that came last.
#[derive(Default)]
struct Last {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Last {
    /// Whether this one is new.
    fn is_new(&mut self, id: Uuid) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > READ_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// An answer that is made; dropped, however that ends, it leaves the room to the next question.
struct Answering {
    worker: Arc<Worker>,
    room: String,
    id: Uuid,
    question: Uuid,
    /// Another worker is to answer.
    is_left: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.worker.state();
        state.answering.remove(&self.room);
        state.stops.remove(&self.id);
        if !self.is_left {
            state.open.remove(&self.question);
        }
    }
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        bus: Bus,
        writer: Writer,
        answered: Counter,
        tasks: TaskGroup,
    ) -> Self {
        let questions = Limiter::new(settings.questions_per_minute, Duration::from_secs(60));
        let refusals = Limiter::new(1, REFUSED_EVERY);
        let state = Mutex::default();
        Self { settings, bus, writer, questions, refusals, state, answered, tasks }
    }

    /// Whether this is a question whose answer is not finished.
    pub(super) fn is_open(&self, id: Uuid) -> bool {
        self.state().open.contains(&id)
    }

    /// Remembers a message, and answers it if it is a question.
    pub(super) fn take(self: Arc<Self>, message: Message) {
        if !self.state().read.is_new(message.id) {
            return;
        }
        let Some(question) = message.question().map(str::to_owned) else {
            return self.remember(&message);
        };
        let context = self.said_in(&message.room);
        self.remember(&message);
        if SystemClock::new().now_ms() - message.created_at > QUESTION_AGE_MAX_MS {
            return;
        }
        let begun = match self.questions.check(&message.sender) {
            Ok(()) => self.begin(&message),
            Err(wait) => {
                let seconds = wait.as_secs().max(1);
                Err(format!("Too many questions: ask me again in {seconds} s."))
            }
        };
        let tasks = self.tasks.clone();
        match begun {
            Ok(answering) => {
                let (room, tokens_max) = (message.room.clone(), self.settings.tokens_max);
                let prompt = Prompt { room, context, question, tokens_max };
                tasks
                    .spawn("answer", async move { self.answer(answering, &message, prompt).await });
            }
            // Who asks on and on is told now and then: each time would be a message more.
            Err(_) if self.refusals.check(&message.sender).is_err() => {}
            Err(refusal) => {
                let id = Message::id_of_refusal(message.id);
                tasks.spawn("answer", async move { self.say(id, &message, refusal).await });
            }
        }
    }

    /// What was said in a room last.
    fn said_in(&self, room: &str) -> Vec<Said> {
        let state = self.state();
        state.context.get(room).into_iter().flatten().cloned().collect()
    }

    fn remember(&self, message: &Message) {
        let mut state = self.state();
        if state.context.len() >= ROOMS_MAX && !state.context.contains_key(&message.room) {
            state.context.clear();
        }
        let context = state.context.entry(message.room.clone()).or_default();
        if context.len() == CONTEXT_MAX {
            context.pop_front();
        }
        context.push_back(Said {
            name: message.sender_name.clone(),
            text: message.content.clone(),
            by_bot: message.sender == Message::superchat(),
        });
    }

    /// One answer in a room at a time, and not too many altogether.
    fn begin(self: &Arc<Self>, question: &Message) -> Result<Answering, String> {
        let (worker, room) = (Arc::clone(self), question.room.clone());
        let mut state = self.state();
        if state.answering.len() >= ANSWERS_MAX {
            return Err("I am answering too many questions just now.".into());
        }
        if !state.answering.insert(room.clone()) {
            return Err("One question at a time, please.".into());
        }
        let (id, question) = (Message::id_of_answer(question.id), question.id);
        state.open.insert(question);
        Ok(Answering { worker, room, id, question, is_left: false })
    }

    /// Makes an answer and tells of it as it grows. What is not finished when the tasks stop is not
    /// said: under the answer's id nobody else could answer any more.
    async fn answer(&self, mut answering: Answering, question: &Message, prompt: Prompt) {
        let id = answering.id;
        let stop = CancellationToken::new();
        self.state().stops.insert(id, stop.clone());
        let mut text = String::new();
        let made = tokio::select! {
            made = self.stream(&question.room, id, prompt, &mut text) => Some(made),
            () = tokio::time::sleep(ANSWER_WITHIN) => None,
            () = stop.cancelled() => None,
            () = self.tasks.stopping() => {
                answering.is_left = true;
                // Pages forget what they have of it: the next worker begins anew.
                return self.tell_done(&question.room, id).await;
            }
        };
        if let Some(Err(error)) = made {
            tracing::warn!(%error, "no answer");
            text.push_str(if text.is_empty() { "I cannot think just now." } else { " …" });
        }
        if !is_content(&text) {
            text = "(nothing)".into();
        }
        self.say(id, question, text).await;
        self.answered.inc();
        self.tell_done(&question.room, id).await;
        drop(answering);
    }

    async fn tell_done(&self, room: &str, id: Uuid) {
        self.tell(&Reply::LlmDone { room: room.to_owned(), id }, room).await;
    }

    async fn stream(
        &self,
        room: &str,
        id: Uuid,
        prompt: Prompt,
        text: &mut String,
    ) -> Result<(), super::LlmError> {
        let pause = match self.settings.llm {
            Llm::Builtin => self.settings.builtin_pause,
            _ => Duration::ZERO,
        };
        let mut pieces = self.settings.llm.answer(prompt);
        while let Some(piece) = pieces.next().await {
            let piece: String = piece?.replace('\0', "");
            let left = CONTENT_MAX.saturating_sub(text.chars().count());
            let piece: String = piece.chars().take(left).collect();
            if piece.is_empty() && left == 0 {
                break;
            }
            text.push_str(&piece);
            let delta = Reply::LlmDelta { room: room.to_owned(), id, text: piece };
            self.tell(&delta, room).await;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    /// Puts an answer into the log, as anybody's message.
    async fn say(&self, id: Uuid, question: &Message, content: String) {
        let message = Message {
            id,
            client_msg_id: None,
            room: question.room.clone(),
            sender: Message::superchat(),
            sender_name: SUPERCHAT.into(),
            kind: "chat_message".into(),
            content,
            server: SUPERCHAT.into(),
            created_at: SystemClock::new().now_ms(),
        };
        if let Err(failure) = self.writer.send(&message).await {
            tracing::warn!(?failure, "an answer was not stored");
        }
    }

    async fn tell(&self, reply: &Reply, room: &str) {
        let text = bytes::Bytes::from(reply.text());
        if let Err(error) = self.bus.publish(&channel_of(room), text).await {
            tracing::debug!(%error, "an answer is seen when it is complete");
        }
    }

    /// Hears which answers are long enough, until the tasks stop.
    pub(super) async fn hear_stops(&self) {
        let mut listener = self.bus.listener();
        listener.listen_to([STOP.into()].into());
        loop {
            let heard = tokio::select! {
                heard = listener.next() => heard,
                () = self.tasks.stopping() => return,
            };
            let Some(heard) = heard else { return };
            let stop = Uuid::from_slice(&heard.payload).ok();
            if let Some(stop) = stop.and_then(|id| self.state().stops.get(&id).cloned()) {
                stop.cancel();
            }
        }
    }

    /// Nothing in here panics or waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_known_and_older_ones_forgotten() {
        let mut last = Last::default();
        let ids: Vec<Uuid> = (0..=READ_MAX).map(|_| Uuid::now_v7()).collect();
        assert!(ids.iter().all(|id| last.is_new(*id)));
        assert!(!last.is_new(ids[READ_MAX]));
        assert!(last.is_new(ids[0]));
        assert_eq!((last.ids.len(), last.order.len()), (READ_MAX, READ_MAX));
    }
}
