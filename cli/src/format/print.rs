//! Printing a record by a format.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use klamm_utils::base64;

use super::{Format, NumberField, Piece, Shown, TextEncoding, TextField};
use crate::output::Time;

impl Format {
    /// Appends the record.
    pub(crate) fn print(&self, record: &Shown<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Text(field, encoding) => encoding.write(record.text(*field), out),
                Piece::Number(field, encoding) => encoding.write(record.number_of(*field), out),
                Piece::Strftime(format) => write_time(format, record.timestamp, out),
                Piece::Rfc3339 => {
                    out.extend_from_slice(Time(record.timestamp).to_string().as_bytes());
                }
                Piece::Headers(format) => {
                    for header in record.headers {
                        let (key, value) = (Some(&*header.key), header.value.as_deref());
                        format.print(&Shown { key, value, ..*record }, out);
                    }
                }
            }
        }
    }
}

impl<'a> Shown<'a> {
    fn text(&self, field: TextField) -> &'a [u8] {
        match field {
            TextField::Topic => self.topic.as_bytes(),
            TextField::Key => self.key.unwrap_or_default(),
            TextField::Value => self.value.unwrap_or_default(),
        }
    }

    fn number_of(&self, field: NumberField) -> i64 {
        let length = |bytes: &[u8]| i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        match field {
            NumberField::TopicLength => length(self.text(TextField::Topic)),
            NumberField::KeyLength => length(self.text(TextField::Key)),
            NumberField::ValueLength => length(self.text(TextField::Value)),
            NumberField::HeaderCount => i64::try_from(self.headers.len()).unwrap_or(i64::MAX),
            NumberField::Partition => self.partition.into(),
            NumberField::Offset => self.offset,
            NumberField::Timestamp => self.timestamp,
            NumberField::Number => i64::try_from(self.number).unwrap_or(i64::MAX),
        }
    }
}

impl TextEncoding {
    fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        match self {
            Self::AsIs => out.extend_from_slice(bytes),
            Self::Base64 => out.extend_from_slice(base64::encode(bytes).as_bytes()),
            Self::Hex => {
                out.extend(bytes.iter().flat_map(|byte| {
                    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
                }))
            }
        }
    }
}

/// A time that no calendar has is printed as the number it is.
fn write_time(format: &str, timestamp: i64, out: &mut Vec<u8>) {
    let zoned = Timestamp::from_millisecond(timestamp).map(|time| time.to_zoned(TimeZone::UTC));
    let text = zoned.ok().and_then(|zoned| strtime::format(format, &zoned).ok());
    out.extend_from_slice(text.unwrap_or_else(|| timestamp.to_string()).as_bytes());
}

#[cfg(test)]
mod tests {
    use klamm_protocol::records::Header;

    use super::*;

    fn check(format: &str, expected: impl AsRef<[u8]>) {
        let headers = [("a", Some("1")), ("b", None)]
            .map(|(key, value)| Header { key: key.into(), value: value.map(Into::into) });
        let record = Shown {
            topic: "orders",
            partition: 3,
            offset: 1_000,
            timestamp: 1_700_000_000_123,
            key: Some(b"k\xff"),
            value: Some(b"paid"),
            headers: &headers,
            number: 7,
        };
        let mut out = Vec::new();
        Format::parse(format).unwrap().print(&record, &mut out);
        assert_eq!(out, expected.as_ref(), "{format}: {}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn every_verb_prints_its_field() {
        check("%t/%p@%o %v\\n", "orders/3@1000 paid\n");
        check("%k", b"k\xff");
        check("%k{hex} %v{base64}", "6bff cGFpZA==");
        check("%T %K %V %H %i", "6 2 4 2 7");
        check("%K{big32}%k%V{little16}%v", b"\0\0\0\x02k\xff\x04\0paid");
        check("%h{%k=%v, }", "a=1, b=, ");
        check("[%h{%{%k{hex}:%V%} }]", "[{61:1} {62:0} ]");
        check("%d %d{hex64}", "1700000000123 0000018bcfe5687b");
        check(
            "%d{strftime[%F %H:%M:%S]}|%d{rfc3339}",
            "2023-11-14 22:13:20|2023-11-14T22:13:20.123Z",
        );
    }

    #[test]
    fn what_is_absent_prints_nothing() {
        let record = Shown {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: i64::MAX,
            key: None,
            value: None,
            headers: &[],
            number: 1,
        };
        let mut out = Vec::new();
        let format = Format::parse("<%k%v%h{x}%K%V> %d{strftime[%F]}").unwrap();
        format.print(&record, &mut out);
        assert_eq!(out, format!("<00> {}", i64::MAX).as_bytes());
    }
}
