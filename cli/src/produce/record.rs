//! From a line to a record.

use bytes::{Buf as _, Bytes};
use klamm_producer::Record;
use klamm_protocol::wire::Str;

use super::Args;
use crate::format::Format;

/// What all records of the command have in common.
#[derive(Debug)]
pub(super) struct Recipe {
    topic: Str,
    partition: Option<i32>,
    key: Option<Bytes>,
    separator: Option<Bytes>,
    headers: Vec<(Bytes, Bytes)>,
    tombstone: bool,
}

impl Recipe {
    pub(super) fn new(args: &Args) -> Self {
        let header = |(key, value): &(String, String)| (key.clone().into(), value.clone().into());
        Self {
            topic: args.topic.as_str().into(),
            partition: args.partition,
            key: args.key.clone().map(Bytes::from),
            separator: args.key_separator.clone(),
            headers: args.headers.iter().map(header).collect(),
            tombstone: args.tombstone,
        }
    }

    /// The record that a line becomes; shares the line's bytes.
    pub(super) fn record(&self, line: Bytes) -> Record {
        let (key, value) = match &self.separator {
            Some(separator) => split(line, separator),
            None => (self.key.clone(), line),
        };
        let mut record = Record::to(self.topic.clone());
        if let Some(key) = key {
            record = record.key(key);
        }
        if !(self.tombstone && value.is_empty()) {
            record = record.value(value);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        let headers = self.headers.iter();
        headers.fold(record, |record, (key, value)| record.header(key.clone(), value.clone()))
    }
}

/// What stands before the first separator, and what behind it.
fn split(mut line: Bytes, separator: &[u8]) -> (Option<Bytes>, Bytes) {
    match line.windows(separator.len()).position(|window| window == separator) {
        Some(end) => {
            let key = line.split_to(end);
            line.advance(separator.len());
            (Some(key), line)
        }
        None => (None, line),
    }
}

/// Reads a separator, in which `\t` and the like stand for bytes.
pub(super) fn separator(text: &str) -> Result<Bytes, String> {
    let bytes = Format::literal(text).map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        Err("a separator has at least one byte".into())
    } else {
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(separator: Option<&str>, tombstone: bool) -> Recipe {
        Recipe {
            topic: "orders".into(),
            partition: None,
            key: None,
            separator: separator.map(|text| super::separator(text).unwrap()),
            headers: vec![("source".into(), "cli".into())],
            tombstone,
        }
    }

    fn check(recipe: &Recipe, line: &[u8], key: Option<&[u8]>, value: Option<&[u8]>) {
        let record = recipe.record(Bytes::copy_from_slice(line));
        assert_eq!(record.key_bytes().map(|bytes| &bytes[..]), key);
        assert_eq!(record.value_bytes().map(|bytes| &bytes[..]), value);
    }

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        let colons = recipe(Some("::"), false);
        check(&colons, b"k::v::w", Some(b"k"), Some(b"v::w"));
        check(&colons, b"::", Some(b""), Some(b""));
        check(&colons, b"k:v", None, Some(b"k:v"));
        check(&recipe(Some("\\t"), false), b"\xff\tv", Some(b"\xff"), Some(b"v"));
        check(&recipe(None, false), b"k:v", None, Some(b"k:v"));
    }

    #[test]
    fn empty_values_are_tombstones_when_that_is_said() {
        check(&recipe(Some(":"), true), b"k:", Some(b"k"), None);
        check(&recipe(Some(":"), false), b"k:", Some(b"k"), Some(b""));
    }

    #[test]
    fn a_separator_is_something() {
        assert!(separator("").is_err() && separator("\\q").is_err());
        assert_eq!(separator("\\x00%").as_deref(), Ok(&b"\0%"[..]));
    }
}
