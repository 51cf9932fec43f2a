//! Random messages, made from their shapes.
//!
//! This writes Kafka's encoding a second time, without a line of `wire`, so that a mistake there
//! is not made here, too. What it makes is what an encoder would send: a tagged field is there
//! only with a value that is not its default.

use klamm_protocol::wire::{Field, Shape};

const TEXTS: [&str; 4] = ["", "a", "topic-1", "Ünïcödé ✓"];
const ELEMENTS_MAX: u64 = 3;

/// A source of messages; those of one seed are always the same.
pub(crate) struct Dice {
    state: u64,
    version: i16,
    flexible: bool,
    /// Inside a tagged field: every value differs from every default.
    marked: bool,
    unknown_tags: bool,
    out: Vec<u8>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let out = Vec::new();
        Self { state: seed, version: 0, flexible: false, marked: false, unknown_tags: false, out }
    }

    /// A message of this shape in which every structure also has tags that nobody knows.
    #[allow(dead_code, reason = "not every user of this file asks for them")]
    pub(crate) fn message_with_unknown_tags(&mut self, shape: Shape, version: i16) -> Vec<u8> {
        self.unknown_tags = true;
        let message = self.message(shape, version, true);
        self.unknown_tags = false;
        message
    }

    /// A message of this shape in which nothing has its default, but for flags that
    /// are set by default.
    #[allow(dead_code, reason = "not every user of this file asks for it")]
    pub(crate) fn full_message(&mut self, shape: Shape, version: i16, flexible: bool) -> Vec<u8> {
        self.marked = true;
        let message = self.message(shape, version, flexible);
        self.marked = false;
        message
    }

    /// A message of this shape.
    pub(crate) fn message(&mut self, shape: Shape, version: i16, flexible: bool) -> Vec<u8> {
        (self.version, self.flexible) = (version, flexible);
        self.value(shape, true);
        std::mem::take(&mut self.out)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64: short, and good enough for anything but secrets.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn value(&mut self, shape: Shape, null_allowed: bool) {
        match shape {
            Shape::Bool => {
                let value = self.marked || self.below(2) == 1;
                self.out.push(u8::from(value));
            }
            Shape::Fixed(size) => self.number(size),
            Shape::Text => self.text(),
            Shape::Bytes => self.bytes(),
            Shape::Array(element) => {
                let count = self.length_below(ELEMENTS_MAX + 1);
                self.length(Some(count));
                (0..count).for_each(|_| self.value(*element, true));
            }
            Shape::Nullable(inner) => self.nullable(*inner, null_allowed),
            Shape::Struct(fields) => self.fields(fields),
        }
    }

    fn number(&mut self, size: usize) {
        let (first, rest) = match if self.marked { 4 } else { self.below(6) } {
            0 => (0, 0),
            1 => (0xff, 0xff),
            2 => (0x7f, 0xff),
            3 => (0x80, 0),
            // Far from zero, from minus one and from both ends.
            _ => (0x10 + self.below(0x60) as u8, self.below(256) as u8),
        };
        self.out.push(first);
        self.out.extend(std::iter::repeat_n(rest, size - 1));
    }

    fn text(&mut self) {
        let longest = "x".repeat(200);
        let place = self.length_below(TEXTS.len() + 1);
        let text = TEXTS.get(place).map_or(longest.as_str(), |text| text);
        self.string_length(Some(text.len()));
        self.out.extend_from_slice(text.as_bytes());
    }

    fn bytes(&mut self) {
        let count = self.length_below(40);
        self.length(Some(count));
        for _ in 0..count {
            let byte = self.below(256) as u8;
            self.out.push(byte);
        }
    }

    fn nullable(&mut self, inner: Shape, null_allowed: bool) {
        let null = null_allowed && !self.marked && self.below(4) == 0;
        match inner {
            Shape::Text if null => self.string_length(None),
            Shape::Struct(_) if null => self.out.push(0xff),
            Shape::Struct(_) => {
                self.out.push(1);
                self.value(inner, false);
            }
            _ if null => self.length(None),
            _ => self.value(inner, false),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        let version = self.version;
        let carried = || fields.iter().filter(|field| (field.carried)(version));
        for field in carried().filter(|field| field.tag.is_none()) {
            self.value(field.shape, (field.nullable)(version));
        }
        if self.flexible {
            let tagged = carried().filter_map(|field| Some((field.tag?, field.shape)));
            let mut sent: Vec<_> = tagged.filter(|_| self.marked || self.below(2) == 1).collect();
            sent.sort_by_key(|(number, _)| *number);
            self.tags(&sent);
        }
    }

    fn tags(&mut self, sent: &[(u32, Shape)]) {
        self.varint(sent.len() + if self.unknown_tags { 2 } else { 0 });
        for (number, shape) in sent {
            let outer = (std::mem::replace(&mut self.marked, true), std::mem::take(&mut self.out));
            self.value(*shape, false);
            let value = std::mem::replace(&mut self.out, outer.1);
            self.marked = outer.0;
            self.tag(*number as usize, &value);
        }
        if self.unknown_tags {
            self.tag(4711, b"");
            self.tag(4712, b"from a later version");
        }
    }

    fn tag(&mut self, number: usize, value: &[u8]) {
        self.varint(number);
        self.varint(value.len());
        self.out.extend_from_slice(value);
    }

    /// A length below `end`; not 0 where every value must differ from its default.
    fn length_below(&mut self, end: impl TryInto<u64>) -> usize {
        let end = end.try_into().unwrap_or(1);
        let length = if self.marked { 1 + self.below(end - 1) } else { self.below(end) };
        length as usize
    }

    fn string_length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.varint(length.map_or(0, |length| length + 1));
        }
        let length = length.map_or(-1, |length| length as i16);
        self.out.extend_from_slice(&length.to_be_bytes());
    }

    fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            return self.varint(length.map_or(0, |length| length + 1));
        }
        let length = length.map_or(-1, |length| length as i32);
        self.out.extend_from_slice(&length.to_be_bytes());
    }

    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
