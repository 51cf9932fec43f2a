//! Names that were nearly right.

/// The name that differs from this one by the fewest edits, if they are few; of several, the first
/// in the alphabet.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let (count, nearest) = names.map(|known| (edits(known, name), known)).min()?;
    (count <= 2 + name.len() / 4).then_some(nearest)
}

/// How many bytes must be added, dropped or replaced to make one text the other.
#[must_use]
pub fn edits(one: &str, other: &str) -> usize {
    let mut costs: Vec<usize> = (0..=other.len()).collect();
    for (row, a) in one.bytes().enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        costs[0] = left;
        for (cost, b) in costs.iter_mut().skip(1).zip(other.bytes()) {
            let best = (left.min(*cost) + 1).min(diagonal + usize::from(a != b));
            diagonal = *cost;
            *cost = best;
            left = best;
        }
    }
    costs.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (one, other, count) in [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3)] {
            assert_eq!(edits(one, other), count);
            assert_eq!(edits(other, one), count);
        }
    }

    #[test]
    fn only_what_is_alike_is_near() {
        let names = ["linger.ms", "debug", "acks"];
        assert_eq!(nearest(names.into_iter(), "linger"), Some("linger.ms"));
        assert_eq!(nearest(names.into_iter(), "ack"), Some("acks"));
        assert_eq!(nearest(names.into_iter(), "foo.bar"), None);
    }
}
