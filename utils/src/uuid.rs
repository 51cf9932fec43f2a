//! Identifiers as Kafka has them.

use std::fmt;

use crate::base64;

/// 128 bits; Kafka prints them in URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

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
        base64::decode_url(text)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode_url(&self.0))
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
