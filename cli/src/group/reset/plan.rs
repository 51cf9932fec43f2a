//! What a reset does to one partition.

use crate::failure::Failure;
use crate::place::{Bounds, Partition};

/// What is done to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) partition: Partition,
    /// What is committed, if anything is.
    pub(super) old: Option<i64>,
    pub(super) new: i64,
    /// The offset that was asked for.
    wanted: i64,
}

impl Step {
    /// From what is committed to what is wanted, or the nearest offset that is there.
    ///
    /// # Errors
    /// Nothing is wanted, as there is nothing committed to start from.
    pub(super) fn new(
        partition: Partition,
        old: Option<i64>,
        wanted: Option<i64>,
        bounds: Bounds,
    ) -> Result<Self, Failure> {
        let Some(wanted) = wanted else {
            let (topic, index) = partition;
            return Err(Failure::NotFound(format!(
                "the group has committed nothing for {topic}-{index} to go on from; say --to"
            )));
        };
        let new = wanted.min(bounds.end).max(bounds.start);
        Ok(Self { partition, old, new, wanted })
    }

    /// What the user should know: that the offset asked for is not there.
    pub(super) fn note(&self) -> Option<String> {
        let (topic, index) = &self.partition;
        (self.new != self.wanted).then(|| {
            format!("{topic}-{index} has no offset {}; {} is the nearest", self.wanted, self.new)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_is_not_there_becomes_the_nearest() {
        let bounds = Bounds { start: 10, end: 20 };
        let step = |wanted| Step::new(("orders".into(), 0), Some(12), wanted, bounds);
        let check = |wanted, new, is_noted: bool| {
            let step = step(Some(wanted)).unwrap();
            assert_eq!((step.new, step.note().is_some()), (new, is_noted), "{wanted}");
        };
        check(10, 10, false);
        check(20, 20, false);
        check(9, 10, true);
        check(-5, 10, true);
        check(21, 20, true);
        assert!(matches!(step(None), Err(Failure::NotFound(_))));
    }
}
