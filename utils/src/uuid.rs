//! Identifiers as Kafka has them.

use std::fmt;

/// 128 bits; Kafka prints them in URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// The identifier that stands for none.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this stands for none.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Reads what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let mut bits = 0u128;
        for (index, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == byte)? as u128;
            if index == 21 {
                // 22 digits carry four bits more than there are; they are zero.
                return (digit & 15 == 0).then(|| Self((bits << 2 | digit >> 4).to_be_bytes()));
            }
            bits = bits << 6 | digit;
        }
        None
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        (0..22u32).try_for_each(|index| {
            let digit = if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 };
            fmt::Write::write_char(f, char::from(DIGITS[(digit & 63) as usize]))
        })
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn they_look_as_in_kafka() {
        // Kafka's two reserved ids.
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid(1u128.to_be_bytes()).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn text_and_id_are_one() {
        let mut random = Random::new();
        for _ in 0..1_000 {
            let uuid = Uuid(random.uuid());
            assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAA!!", "AAAAAAAAAAAAAAAAAAAAAB", "\u{e9}"] {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }
}
