//! How a record is printed.

use klamm_consumer::Header;
use serde::{Serialize, Serializer};

use crate::format::{Format, Shown};
use crate::output::{Bytes, Stdout, Time};

/// How a record is printed.
#[derive(Clone, Debug)]
pub(super) enum Printer {
    Format(Format),
    Json,
}

/// The names of the fields are a promise to scripts.
#[derive(Serialize)]
struct RecordLine<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Time,
    key: Option<Bytes<'a>>,
    value: Option<Bytes<'a>>,
    headers: Headers<'a>,
}

struct Headers<'a>(&'a [Header]);

#[derive(Serialize)]
struct HeaderLine<'a> {
    key: Bytes<'a>,
    value: Option<Bytes<'a>>,
}

impl Printer {
    /// Reads the name of a format, or a format.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let format = match text {
            "json" => return Ok(Self::Json),
            "text" => "%v\\n",
            "raw" => "%v",
            "hex" => "%p\\t%o\\t%k{hex}\\t%v{hex}\\n",
            verbs if verbs.contains('%') => verbs,
            _ => return Err("expected text, json, raw, hex or a text with verbs like %v".into()),
        };
        Format::parse(format).map(Self::Format).map_err(|error| error.to_string())
    }

    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Prints a record.
    pub(super) fn print(&self, record: &Shown<'_>, stdout: &mut Stdout) -> anyhow::Result<()> {
        match self {
            Self::Format(format) => {
                format.print(record, stdout.buffer());
                Ok(())
            }
            Self::Json => stdout.json_line(&RecordLine {
                topic: record.topic,
                partition: record.partition,
                offset: record.offset,
                timestamp: Time(record.timestamp),
                key: record.key.map(Bytes),
                value: record.value.map(Bytes),
                headers: Headers(record.headers),
            }),
        }
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|header| HeaderLine {
            key: Bytes(&header.key),
            value: header.value.as_deref().map(Bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, expected: &str) {
        let record = Shown {
            topic: "orders",
            partition: 3,
            offset: 7,
            timestamp: 1_700_000_000_000,
            key: Some(b"\xff"),
            value: Some(b"paid"),
            headers: &[Header { key: "a".into(), value: None }],
            number: 1,
        };
        let mut stdout = Stdout::new();
        let printer = Printer::parse(format).unwrap();
        printer.print(&record, &mut stdout).unwrap();
        assert_eq!(String::from_utf8_lossy(stdout.buffer()), expected);
    }

    #[test]
    fn the_named_formats_are_those_of_the_help() {
        check("text", "paid\n");
        check("raw", "paid");
        check("hex", "3\t7\tff\t70616964\n");
        check("%p:%o", "3:7");
        check(
            "json",
            "{\"topic\":\"orders\",\"partition\":3,\"offset\":7,\
             \"timestamp\":\"2023-11-14T22:13:20.000Z\",\"key\":{\"base64\":\"/w==\"},\
             \"value\":\"paid\",\"headers\":[{\"key\":\"a\",\"value\":null}]}\n",
        );
        assert!(Printer::parse("xml").is_err());
    }
}
