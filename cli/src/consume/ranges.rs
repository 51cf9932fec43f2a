//! Where each partition begins and ends, and how far it has come.

use std::collections::BTreeMap;

use klamm_client::admin::Admin;
use klamm_consumer::Start;
use klamm_protocol::wire::Str;

use super::span::Span;
use crate::place::{Answers, Partition, ask_for, bounds};

/// The partitions that are not yet read to their end.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    open: BTreeMap<Partition, Range>,
}

/// From the first offset to the last, which is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: i64,
    until: i64,
}

impl Ranges {
    /// Asks where the span lies in each partition. One that `follows` ends only where the span
    /// says so.
    pub(crate) async fn find(
        admin: &Admin,
        partitions: &[Partition],
        span: &Span,
        follows: bool,
    ) -> anyhow::Result<Self> {
        let from = ask_for(admin, partitions, Some(span.from)).await?;
        let until = ask_for(admin, partitions, span.until).await?;
        let mut open = BTreeMap::new();
        for (partition, bounds) in bounds(admin, partitions).await? {
            let found = |answers: &Answers| answers.get(&partition).copied().flatten();
            let range = Range {
                from: span.from.offset(bounds, found(&from)),
                until: match span.until {
                    Some(place) => place.offset(bounds, found(&until)),
                    None if follows => i64::MAX,
                    None => bounds.end,
                },
            };
            if range.from < range.until {
                open.insert(partition, range);
            }
        }
        Ok(Self { open })
    }

    /// The partitions that have something, and where it begins.
    pub(crate) fn assignment(&self) -> Vec<(Str, i32, Start)> {
        let start = |((topic, index), range): (&Partition, &Range)| {
            (topic.clone(), *index, Start::Offset(range.from))
        };
        self.open.iter().map(start).collect()
    }

    /// The partitions that are not yet read to their end.
    pub(crate) fn partitions(&self) -> Vec<Partition> {
        self.open.keys().cloned().collect()
    }

    /// Whether every partition is read to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// The offset at which a partition ends; the least there is if it was read to its end.
    pub(super) fn until(&self, topic: &Str, partition: i32) -> i64 {
        self.open.get(&(topic.clone(), partition)).map_or(i64::MIN, |range| range.until)
    }

    /// Notes that a partition was read up to an offset; tells whether that is its end.
    pub(crate) fn advance(&mut self, topic: &Str, partition: i32, position: i64) -> bool {
        let is_over = position >= self.until(topic, partition);
        if is_over {
            self.open.remove(&(topic.clone(), partition));
        }
        is_over
    }

    /// Notes how far all partitions have come.
    pub(crate) fn look(&mut self, position: impl Fn(&Str, i32) -> Option<i64>) {
        self.open.retain(|(topic, partition), range| {
            position(topic, *partition).is_none_or(|position| position < range.until)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_over_where_it_ends() {
        let topic = Str::from("orders");
        let range = |until| Range { from: 0, until };
        let open = [((topic.clone(), 0), range(5)), ((topic.clone(), 1), range(9))];
        let mut ranges = Ranges { open: open.into() };
        assert!(!ranges.advance(&topic, 0, 4));
        assert!(ranges.advance(&topic, 0, 5));
        assert_eq!((ranges.until(&topic, 0), ranges.until(&topic, 1)), (i64::MIN, 9));
        ranges.look(|_, _| None);
        ranges.look(|_, _| Some(8));
        assert!(!ranges.is_over());
        ranges.look(|_, _| Some(9));
        assert!(ranges.is_over());
    }
}
