//! Who says what, where and when: all of it known before anything is sent.

use std::time::Duration;

use serde_json::{Value, json};

/// A load on rooms. Messages are due at fixed times, however long earlier ones took: what is sent
/// late counts as late.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Tells this run from others.
    pub(super) run: String,
    pub(super) rooms: usize,
    /// How many members send: the first ones, in turn.
    pub(super) senders: usize,
    /// Messages a second, of all.
    pub(super) rate: f64,
    /// For how long is sent.
    pub(super) time: Duration,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) sender: usize,
    /// The how manieth of this sender, from 0.
    pub(super) number: u64,
    /// When it is to be sent.
    pub(super) due: Duration,
}

impl Word {
    /// What tells it from others.
    pub(super) fn name(self) -> (usize, u64) {
        (self.sender, self.number)
    }
}

impl Plan {
    /// The room of a member.
    pub(super) fn room(&self, member: usize) -> String {
        format!("sim {} {}", self.run, member % self.rooms)
    }

    /// How many send in one room, at most.
    pub(super) fn senders_of_room(&self) -> usize {
        self.senders.div_ceil(self.rooms)
    }

    /// The place of a sender among those of its room.
    pub(super) fn seat(&self, sender: usize) -> usize {
        sender / self.rooms
    }

    /// A message, if it is within the time.
    pub(super) fn word(&self, sender: usize, number: u64) -> Option<Word> {
        let place = number as f64 * self.senders as f64 + sender as f64;
        let due = Duration::from_secs_f64(place / self.rate);
        (sender < self.senders && due < self.time).then_some(Word { sender, number, due })
    }

    /// How many messages a sender sends.
    pub(super) fn words(&self, sender: usize) -> u64 {
        if sender >= self.senders {
            return 0;
        }
        let places = (self.rate * self.time.as_secs_f64() - sender as f64).max(0.0);
        (places / self.senders as f64).ceil() as u64
    }

    /// The frame that sends it.
    pub(super) fn frame(&self, word: Word) -> Value {
        let text = format!("{} {} {}", self.run, word.sender, word.number);
        json!({
            "type": "chat_message",
            "room": self.room(word.sender),
            "content": text,
            "client_msg_id": text,
        })
    }

    /// The message that has this text, or this id, if it is one of this run.
    pub(super) fn read(&self, text: &str) -> Option<Word> {
        let mut words = text.split(' ');
        let run = words.next()?;
        let (sender, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        if run == self.run { self.word(sender, number) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_and_can_be_read_again() {
        let plan =
            Plan { run: "r".into(), rooms: 2, senders: 4, rate: 8.0, time: Duration::from_secs(1) };
        let all = (0..3).flat_map(|number| (0..5).map(move |sender| (sender, number)));
        let words: Vec<_> = all.filter_map(|(sender, number)| plan.word(sender, number)).collect();
        assert_eq!(words.len(), 8);
        assert_eq!((0..5).map(|sender| plan.words(sender)).sum::<u64>(), 8);
        for (place, word) in words.iter().enumerate() {
            assert_eq!(word.due, Duration::from_millis(125) * place as u32);
            let content = plan.frame(*word)["content"].as_str().unwrap().to_owned();
            assert_eq!(plan.read(&content), Some(*word));
        }
        assert_eq!(plan.read("other 0 0"), None);
        assert_eq!((plan.seat(3), plan.senders_of_room()), (1, 2));
    }
}
