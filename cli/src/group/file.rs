//! Files with offsets of groups: lines with commas as `kafka-consumer-groups` writes and reads
//! them, or JSON.

use klamm_protocol::wire::Str;
use serde::{Deserialize, Serialize};

use crate::place::Partition;

/// One offset of one group. The names of the fields are a promise to scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRow {
    /// May be left out where all is about one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum FileError {
    /// A line is not `topic,partition,offset`, with or without a group before it.
    #[error("line {0}: expected TOPIC,PARTITION,OFFSET or GROUP,TOPIC,PARTITION,OFFSET")]
    Line(usize),
    /// The JSON is none, or says something else.
    #[error("{0}; expected objects with topic, partition, offset and perhaps group")]
    Json(String),
}

impl FileRow {
    pub(super) fn partition(&self) -> Partition {
        (Str::from(self.topic.as_str()), self.partition)
    }

    /// The line, as `kafka-consumer-groups` has it for several groups or for one.
    pub(super) fn line(&self) -> String {
        let group = self.group.as_deref().map(|group| quoted(group) + ",").unwrap_or_default();
        format!("{group}{},{},{}\n", quoted(&self.topic), self.partition, self.offset)
    }

    fn from_line(line: &str) -> Option<Self> {
        let cells = cells(line)?;
        let (group, rest) = match cells.len() {
            3 => (None, &cells[..]),
            4 => (cells.first().cloned(), &cells[1..]),
            _ => return None,
        };
        let [topic, partition, offset] = rest else { return None };
        let topic = topic.clone();
        Some(Self {
            group,
            topic,
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }
}

/// Reads a file: JSON if it looks like that, lines otherwise.
pub(super) fn read(text: &str) -> Result<Vec<FileRow>, FileError> {
    let json = |error: serde_json::Error| FileError::Json(error.to_string());
    match text.trim_start().as_bytes().first() {
        Some(b'[') => serde_json::from_str(text).map_err(json),
        Some(b'{') => {
            let rows = serde_json::Deserializer::from_str(text).into_iter();
            rows.collect::<Result<_, _>>().map_err(json)
        }
        _ => {
            let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
            lines
                .map(|(line, number)| FileRow::from_line(line).ok_or(FileError::Line(number)))
                .collect()
        }
    }
}

/// The cells of a line; one in quotes may hold commas, and quotes twice.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = line.trim();
    loop {
        let (cell, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        cells.push(cell);
        match behind.trim_start().strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if behind.trim().is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// What stands before the closing quote, and what behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        cell.push_str(before);
        match behind.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((cell, behind)),
        }
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', ' ']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: Option<&str>, topic: &str, partition: i32, offset: i64) -> FileRow {
        FileRow { group: group.map(str::to_owned), topic: topic.into(), partition, offset }
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let rows = [
            row(None, "orders", 0, 5),
            row(Some("billing"), "orders", 1, 0),
            row(Some("a, \"b\""), "orders", 2, 7),
        ];
        let text: String = rows.iter().map(FileRow::line).collect();
        assert_eq!(text, "orders,0,5\nbilling,orders,1,0\n\"a, \"\"b\"\"\",orders,2,7\n");
        assert_eq!(read(&text), Ok(rows.into()));
    }

    #[test]
    fn what_kafka_quotes_is_read() {
        let text = "\"a.topic.with.a.rather.long.name\",0,5\n\n orders , 1 , 6\r\n";
        let expected =
            [row(None, "a.topic.with.a.rather.long.name", 0, 5), row(None, "orders", 1, 6)];
        assert_eq!(read(text), Ok(expected.into()));
    }

    #[test]
    fn json_is_read() {
        let one = r#"{"topic":"orders","partition":0,"offset":5}"#;
        let two = r#"{"group":"billing","topic":"orders","partition":1,"offset":6}"#;
        let expected = Ok(vec![row(None, "orders", 0, 5), row(Some("billing"), "orders", 1, 6)]);
        assert_eq!(read(&format!("{one}\n{two}\n")), expected);
        assert_eq!(read(&format!("[{one},\n{two}]")), expected);
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(read("orders,0,5\norders,0\n"), Err(FileError::Line(2)));
        for text in ["orders,x,5", "a,b,c,d,e", "\"orders,0,5", "\"orders\"x,0,5"] {
            assert_eq!(read(text), Err(FileError::Line(1)), "{text}");
        }
        assert!(matches!(read("[{\"topic\":\"orders\"}]"), Err(FileError::Json(_))));
        assert_eq!(read(""), Ok(Vec::new()));
    }
}
