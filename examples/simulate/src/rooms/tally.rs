//! What members have seen.

use super::plan::Word;
use crate::report::{Times, times};

/// What one member has seen.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) member: usize,
    /// From when it should have been sent to the acknowledgement.
    pub(super) acknowledgements: Times,
    /// From when it should have been sent to here.
    pub(super) deliveries: Times,
    /// The own messages that were acknowledged.
    pub(super) acknowledged: Vec<Word>,
    pub(super) heard: u64,
    pub(super) doubled: u64,
    /// Messages that came behind one with a higher offset.
    pub(super) disordered: u64,
    pub(super) refused: u64,
    /// How often the history was loaded, over HTTP.
    pub(super) histories: u64,
    /// Where each message was shown, each time it was: of one member of each room, since all are
    /// told the same offsets.
    pub(super) shown: Vec<(Word, i64)>,
    /// What the server had to say against it, the last time.
    pub(super) complaint: Option<String>,
    /// Of each sender in the room: which numbers were heard.
    seen: Vec<Numbers>,
}

/// A set of numbers that begin at 0.
#[derive(Clone, Debug, Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    fn contains(&self, number: u64) -> bool {
        let place = self.0.get((number / 64) as usize);
        place.is_some_and(|place| place & 1 << (number % 64) != 0)
    }

    /// Whether it was not there before.
    fn insert(&mut self, number: u64) -> bool {
        let (place, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        let is_new = self.0[place] & bit == 0;
        self.0[place] |= bit;
        is_new
    }
}

impl Tally {
    /// Nothing yet, in a room with so many senders.
    pub(super) fn new(member: usize, senders: usize) -> Self {
        Self {
            member,
            acknowledgements: times(),
            deliveries: times(),
            acknowledged: Vec::new(),
            heard: 0,
            doubled: 0,
            disordered: 0,
            refused: 0,
            histories: 0,
            shown: Vec::new(),
            complaint: None,
            seen: vec![Numbers::default(); senders],
        }
    }

    /// Whether this message was heard; it was sent from this seat of the room.
    pub(super) fn has_seen(&self, seat: usize, number: u64) -> bool {
        self.seen[seat].contains(number)
    }

    /// Notes this message; whether it was not heard before.
    pub(super) fn see(&mut self, seat: usize, number: u64) -> bool {
        self.seen[seat].insert(number)
    }

    /// Adds what another member has seen.
    pub(super) fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.acknowledgements.add(&other.acknowledgements)?;
        self.deliveries.add(&other.deliveries)?;
        self.acknowledged.extend(other.acknowledged);
        self.heard += other.heard;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.refused += other.refused;
        self.histories += other.histories;
        self.shown.extend(other.shown);
        self.complaint = other.complaint.or(self.complaint.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_remembered() {
        let mut numbers = Numbers::default();
        assert!(!numbers.contains(200));
        assert!(numbers.insert(200) && !numbers.insert(200));
        assert!(numbers.contains(200) && !numbers.contains(199) && !numbers.contains(2_000));
    }
}
