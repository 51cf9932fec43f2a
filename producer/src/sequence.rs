//! Sequence numbers of idempotent producers: 31 bits, and 0 after the last.

/// The number that follows `count` records from `base` on.
pub(crate) fn after(base: i32, count: i32) -> i32 {
    base.wrapping_add(count) & i32::MAX
}

/// Whether one number was given before another. They are never half of all numbers apart.
pub(crate) fn is_before(one: i32, other: i32) -> bool {
    one != other && (other.wrapping_sub(one) & i32::MAX) < i32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_to_zero() {
        assert_eq!(after(0, 5), 5);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 1, 3), 1);
        assert!(is_before(3, 4) && !is_before(4, 3) && !is_before(4, 4));
        assert!(is_before(i32::MAX, 0) && !is_before(0, i32::MAX));
    }
}
