//! What the records hold.

use clap::ValueEnum;

/// The looks of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PayloadKind {
    /// Lines of JSON that resemble each other
    Text,
    /// Nothing that could be compressed
    Random,
}

/// Makes values; the same ones each time, so that runs can be compared.
pub(crate) struct Payloads {
    kind: PayloadKind,
    state: u64,
}

impl Payloads {
    pub(crate) fn new(kind: PayloadKind) -> Self {
        Self { kind, state: 0x9E37_79B9_7F4A_7C15 }
    }

    /// The next value, of `size` bytes.
    pub(crate) fn next(&mut self, size: usize) -> Vec<u8> {
        let mut value = Vec::with_capacity(size + 96);
        while value.len() < size {
            match self.kind {
                PayloadKind::Random => value.extend_from_slice(&self.number().to_le_bytes()),
                PayloadKind::Text => self.line(&mut value),
            }
        }
        value.truncate(size);
        value
    }

    fn line(&mut self, value: &mut Vec<u8>) {
        let (user, item) = (self.number() % 100_000, self.number() % 5_000);
        let at = 1_700_000_000_000 + self.number() % 86_400_000;
        let kind = ["view", "cart", "order", "search"][(self.number() % 4) as usize];
        let line =
            format!(r#"{{"at":{at},"user":{user},"event":"{kind}","item":{item},"ok":true}}"#);
        value.extend_from_slice(line.as_bytes());
        value.push(b'\n');
    }

    /// Xorshift: chance is of no matter here, speed and repetition are.
    fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_size_and_repeat() {
        for kind in [PayloadKind::Text, PayloadKind::Random] {
            for size in [0, 1, 100, 16_384] {
                let (mut one, mut two) = (Payloads::new(kind), Payloads::new(kind));
                assert_eq!(one.next(size).len(), size);
                assert_eq!(two.next(size).len(), size);
                assert_eq!(one.next(100), two.next(100));
            }
        }
    }
}
