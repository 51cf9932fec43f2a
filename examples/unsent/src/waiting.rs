//! What waits for one user from one sender: the arithmetic, without a store.
//!
//! # Invariants
//!
//! - An event is counted once: those at or before the last offset are known already, and a message
//!   that was posted again takes the place of the one that waits with its id.
//! - Whatever is written to a store is the state itself, never a difference: to write twice is to
//!   write once.

use std::collections::{BTreeMap, VecDeque};

use common::kv::Write;
use serde::{Deserialize, Serialize};

use crate::keys;
use crate::wire::{Event, HandedOver, Message, Sender, preview};

/// The newest messages of a sender whose text is kept. Older ones are counted only.
pub(crate) const TEXTS_MAX: usize = 100;

/// How many texts are kept of so many messages, at most.
pub(crate) fn texts_kept(count: u64) -> usize {
    usize::try_from(count).unwrap_or(TEXTS_MAX).min(TEXTS_MAX)
}

/// What waits for one user from one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    count: u64,
    first_at: i64,
    last_at: i64,
    /// That of the last message, whether that waits or not: what lies before it was counted.
    last_offset: Option<i64>,
    preview: String,
    /// The newest, oldest first.
    texts: VecDeque<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    offset: i64,
    id: String,
    at: i64,
    preview: String,
}

/// A message as a store holds it, under its offset.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    /// Its id.
    pub(crate) message_id: String,
    /// When it was written.
    pub(crate) at: i64,
    /// What was written.
    pub(crate) message: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The state is another now.
    Changed,
    /// It was known already, or about nothing that waits.
    Known,
}

impl Waiting {
    /// What a store holds: the summary and the texts. Whatever cannot be read is not there.
    #[must_use]
    pub(crate) fn from_store(summary: Option<&str>, bodies: &BTreeMap<String, String>) -> Self {
        let Some(sender) = summary.and_then(|summary| read_summary("", summary)) else {
            return Self::default();
        };
        let texts = bodies.iter().filter_map(|(offset, body)| {
            let body: Body = serde_json::from_str(body).ok()?;
            let (offset, preview) = (offset.parse().ok()?, preview(&body.message));
            Some(Text { offset, id: body.message_id, at: body.at, preview })
        });
        let mut texts: Vec<_> = texts.collect();
        texts.sort_by_key(|text| text.offset);
        Self {
            count: sender.count,
            first_at: sender.first_at,
            last_at: sender.last_at,
            last_offset: Some(sender.last_offset),
            preview: sender.preview,
            texts: texts.into(),
        }
    }

    /// How many texts are kept.
    pub(crate) fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Takes an event that lies at this offset and was written at that time; adds what a store
    /// must write about texts.
    pub(crate) fn apply(
        &mut self,
        event: &Event,
        offset: i64,
        at: i64,
        out: &mut Vec<Write>,
    ) -> Outcome {
        match event {
            Event::Message(message) => self.add(message, offset, at, out),
            Event::HandedOver(handed_over) => self.hand_over(handed_over, offset, out),
        }
    }

    /// What a store must write for everything but the texts.
    pub(crate) fn summarise(&self, users: String, user: &str, sender: &str, out: &mut Vec<Write>) {
        let (senders, details) = (keys::senders(user), keys::details(user));
        match self.sender(sender) {
            Some(summary) => {
                out.push(Write::AddMember(users, user.into()));
                out.push(Write::AddMember(senders, sender.into()));
                out.push(Write::SetField(details, sender.into(), write_summary(&summary)));
            }
            None => {
                out.push(Write::RemoveMember(senders.clone(), sender.into()));
                out.push(Write::RemoveField(details, sender.into()));
                out.push(Write::Delete(keys::texts(user, sender)));
                let member = user.into();
                out.push(Write::RemoveMemberWithout { set: users, member, key: senders });
            }
        }
    }

    /// The answer about this sender; none if nothing waits.
    #[must_use]
    pub(crate) fn sender(&self, name: &str) -> Option<Sender> {
        let last_offset = self.last_offset.filter(|_| self.count > 0)?;
        Some(Sender {
            fromuser: name.into(),
            count: self.count,
            first_at: self.first_at,
            last_at: self.last_at,
            last_offset,
            preview: self.preview.clone(),
        })
    }

    fn add(&mut self, message: &Message, offset: i64, at: i64, out: &mut Vec<Write>) -> Outcome {
        if self.last_offset.is_some_and(|last| offset <= last) {
            return Outcome::Known;
        }
        let texts = keys::texts(&message.touser, &message.fromuser);
        let mut drop_text = |text: Text| {
            out.push(Write::RemoveField(texts.clone(), text.offset.to_string()));
        };
        match self.texts.iter().position(|text| text.id == message.message_id) {
            // Posted again, it lies where it was posted last.
            Some(before) => self.texts.remove(before).into_iter().for_each(&mut drop_text),
            None => self.count += 1,
        }
        (self.last_at, self.last_offset) = (at, Some(offset));
        self.preview = message.preview();
        let (id, preview) = (message.message_id.clone(), self.preview.clone());
        self.texts.push_back(Text { offset, id, at, preview });
        if self.count == self.texts.len() as u64 {
            self.first_at = self.texts.front().map_or(at, |oldest| oldest.at);
        }
        if self.texts.len() > TEXTS_MAX {
            self.texts.pop_front().into_iter().for_each(&mut drop_text);
        }
        let (message_id, message) = (message.message_id.clone(), message.message.clone());
        let body = serde_json::to_string(&Body { message_id, at, message });
        let body = body.expect("a struct of texts and numbers is JSON");
        out.push(Write::SetField(texts, offset.to_string(), body));
        Outcome::Changed
    }

    fn hand_over(&mut self, what: &HandedOver, offset: i64, out: &mut Vec<Write>) -> Outcome {
        let before = offset.saturating_sub(1);
        let upto = what.upto_offset.map_or(before, |upto| upto.min(before));
        let ids = &what.message_ids;
        let goes = |text: &Text| match ids.is_empty() {
            true => text.offset <= upto,
            false => text.offset <= before && ids.contains(&text.id),
        };
        let texts = keys::texts(&what.touser, &what.fromuser);
        let (held, mut gone) = (self.texts.len(), 0);
        let oldest_goes = self.texts.front().is_some_and(goes);
        self.texts.retain(|text| {
            let goes = goes(text);
            if goes {
                gone += 1;
                out.push(Write::RemoveField(texts.clone(), text.offset.to_string()));
            }
            !goes
        });
        // Whatever lies before an offset goes, texts or not; of those that are counted only, no id
        // is known: they go with the last text.
        let all = ids.is_empty() && self.last_offset.is_some_and(|last| last <= upto);
        if gone == 0 && !all {
            return Outcome::Known;
        }
        if all || self.texts.is_empty() {
            *self = Self::default();
            return Outcome::Changed;
        }
        // The messages that are counted only are older than all texts.
        let counted_only = self.count.saturating_sub(held as u64);
        let older = if ids.is_empty() && oldest_goes { 0 } else { counted_only };
        self.count = older + self.texts.len() as u64;
        if let (0, Some(oldest)) = (older, self.texts.front()) {
            self.first_at = oldest.at;
        }
        if let Some(newest) = self.texts.back() {
            (self.last_at, self.preview) = (newest.at, newest.preview.clone());
        }
        Outcome::Changed
    }
}

/// `count|first|last|last offset|preview`, as it lies in a store.
fn write_summary(sender: &Sender) -> String {
    let Sender { count, first_at, last_at, last_offset, preview, .. } = sender;
    format!("{count}|{first_at}|{last_at}|{last_offset}|{preview}")
}

/// What a store holds of a sender, if it can be read.
#[must_use]
pub(crate) fn read_summary(sender: &str, summary: &str) -> Option<Sender> {
    let mut parts = summary.splitn(5, '|');
    Some(Sender {
        count: parts.next()?.parse().ok()?,
        first_at: parts.next()?.parse().ok()?,
        last_at: parts.next()?.parse().ok()?,
        last_offset: parts.next()?.parse().ok()?,
        preview: parts.next()?.into(),
        fromuser: sender.into(),
    })
}

#[cfg(test)]
mod tests {
    use common::kv::{Kv, Read};
    use proptest::prelude::*;

    use super::*;

    fn message(id: &str) -> Event {
        Event::Message(Message {
            touser: "bob".into(),
            fromuser: "alice".into(),
            message: format!("text of {id}"),
            message_id: id.into(),
        })
    }

    fn handed_over(upto_offset: Option<i64>) -> Event {
        let (touser, fromuser) = ("bob".into(), "alice".into());
        Event::HandedOver(HandedOver { touser, fromuser, upto_offset, message_ids: Vec::new() })
    }

    fn arrived(ids: &[&str]) -> Event {
        let (touser, fromuser) = ("bob".into(), "alice".into());
        let message_ids = ids.iter().map(|id| id.to_string()).collect();
        Event::HandedOver(HandedOver { touser, fromuser, upto_offset: None, message_ids })
    }

    fn check(events: &[Event], count: u64, first_at: i64, last_offset: i64) {
        let mut waiting = Waiting::default();
        for (event, offset) in events.iter().zip(0..) {
            waiting.apply(event, offset, 1_000 + offset, &mut Vec::new());
        }
        let sender = waiting.sender("alice");
        let found = sender.map(|sender| (sender.count, sender.first_at, sender.last_offset));
        assert_eq!(found, (count > 0).then_some((count, first_at, last_offset)));
    }

    #[test]
    fn messages_are_counted_once_and_wait_until_they_are_handed_over() {
        check(&[message("a"), message("b")], 2, 1_000, 1);
        check(&[message("a"), message("a")], 1, 1_001, 1);
        check(&[message("a"), handed_over(None)], 0, 0, 0);
        check(&[message("a"), handed_over(Some(i64::MAX)), message("b")], 1, 1_002, 2);
        check(&[message("a"), message("b"), handed_over(Some(0))], 1, 1_001, 1);
        check(&[message("a"), handed_over(Some(-1))], 1, 1_000, 0);
        check(&[handed_over(None)], 0, 0, 0);
    }

    /// Of many that wait one has arrived: the others wait on.
    #[test]
    fn only_what_was_handed_over_waits_no_more() {
        let all = [message("a"), message("b"), message("c")];
        let with = |event: Event| [&all[..], &[event]].concat();
        check(&with(arrived(&["b"])), 2, 1_000, 2);
        check(&with(arrived(&["a", "a"])), 2, 1_001, 2);
        check(&with(arrived(&["a", "b", "c"])), 0, 0, 0);
        check(&with(arrived(&["nobody wrote this"])), 3, 1_000, 2);
    }

    /// It was: the one that had arrived was still shown as the last that waits.
    #[test]
    fn what_waits_is_shown_by_the_newest_of_it() {
        let mut waiting = Waiting::default();
        let events = [message("a"), message("b"), message("c"), arrived(&["b", "c"])];
        for (event, offset) in events.iter().zip(0..) {
            waiting.apply(event, offset, 1_000 + offset, &mut Vec::new());
        }
        let sender = waiting.sender("alice").unwrap();
        assert_eq!((&*sender.preview, sender.last_at, sender.last_offset), ("text of a", 1_000, 2));
        assert_eq!(waiting.apply(&message("c"), 2, 1_002, &mut Vec::new()), Outcome::Known);
    }

    /// Of more than are kept, the older ones are counted until the last that is known has gone.
    #[test]
    fn messages_that_are_counted_only_go_with_the_last_text() {
        let ids: Vec<_> = (0..150).map(|id: u32| id.to_string()).collect();
        let messages: Vec<_> = ids.iter().map(|id| message(id)).collect();
        let newest: Vec<_> = ids[50..].iter().map(String::as_str).collect();
        let with = |ids: &[&str]| [&messages[..], &[arrived(ids)]].concat();
        check(&with(&newest[..99]), 51, 1_000, 149);
        check(&with(&newest), 0, 0, 0);
    }

    /// As a store may be that an older version has filled.
    #[test]
    fn what_is_counted_without_texts_can_be_handed_over() {
        let mut waiting = Waiting::from_store(Some("6|1|2|3|hi"), &BTreeMap::new());
        let outcome = waiting.apply(&handed_over(None), 9, 9, &mut Vec::new());
        assert_eq!((outcome, waiting.sender("alice")), (Outcome::Changed, None));
    }

    #[test]
    fn a_summary_is_read_as_it_was_written_and_rubbish_is_not() {
        let mut waiting = Waiting::default();
        waiting.apply(&message("a|b"), 4, 5, &mut Vec::new());
        let sender = waiting.sender("alice").unwrap();
        assert_eq!(write_summary(&sender), "1|5|5|4|text of a|b");
        assert_eq!(read_summary("alice", &write_summary(&sender)), Some(sender));
        for rubbish in ["", "1|2", "x|1|1|1|p", "1|1|1|1"] {
            assert_eq!(read_summary("alice", rubbish), None);
        }
    }

    /// What a store holds after all events were written to it, and how the state reads it.
    async fn store_of(kv: &Kv) -> Waiting {
        let reads = [
            Read::Field(keys::details("bob"), "alice".into()),
            Read::Fields(keys::texts("bob", "alice")),
        ];
        let mut found = kv.read(&reads).await.unwrap().into_iter();
        let summary = found.next().unwrap().into_text();
        Waiting::from_store(summary.as_deref(), &found.next().unwrap().into_fields())
    }

    async fn write(kv: &Kv, waiting: &mut Waiting, events: &[Event], from: usize) {
        for (offset, event) in events.iter().enumerate().skip(from) {
            let (mut out, offset) = (Vec::new(), i64::try_from(offset).unwrap());
            waiting.apply(event, offset, 1_000 + offset, &mut out);
            waiting.summarise(keys::users(0), "bob", "alice", &mut out);
            kv.write(&out).await.unwrap();
        }
    }

    fn some_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..400_u32).prop_map(|id| message(&id.to_string())),
            1 => proptest::option::of(0..300_i64).prop_map(handed_over),
            1 => (0..400_u32).prop_map(|id| arrived(&[&id.to_string()])),
        ]
    }

    proptest! {
        /// Whoever stops anywhere and goes on from any earlier offset, with the state of the store
        /// that is ahead, ends where those are who did everything once.
        #[test]
        fn a_replay_changes_nothing(
            events in proptest::collection::vec(some_event(), 1..300),
            stop in 0..300_usize,
            back in 0..300_usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (once, twice) = (Kv::memory(), Kv::memory());
                write(&once, &mut Waiting::default(), &events, 0).await;
                let stop = stop.min(events.len());
                write(&twice, &mut Waiting::default(), &events[..stop], 0).await;
                let mut again = store_of(&twice).await;
                write(&twice, &mut again, &events, stop.saturating_sub(back)).await;
                assert_eq!(store_of(&once).await, store_of(&twice).await);
            });
        }
    }
}
