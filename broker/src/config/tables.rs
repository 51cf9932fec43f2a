//! The same keys in TOML: nested tables are joined by dots, arrays by commas.

use super::settings::{Entry, SyntaxError};

/// The entries of a file, by key.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let table = text.parse::<toml::Table>().map_err(|error| SyntaxError {
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    flatten("", &table, &mut entries);
    Ok(entries)
}

fn line_of(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|byte| *byte == b'\n').count()
}

fn flatten(prefix: &str, table: &toml::Table, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(table) => flatten(&key, table, entries),
            value => entries.push(Entry { key, value: text_of(value), line: None }),
        }
    }
}

fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(elements) => elements.iter().map(text_of).collect::<Vec<_>>().join(","),
        toml::Value::Boolean(value) => value.to_string(),
        toml::Value::Integer(value) => value.to_string(),
        toml::Value::Float(value) => value.to_string(),
        toml::Value::Datetime(value) => value.to_string(),
        toml::Value::Table(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_joined_by_dots() {
        let text = "\
node.id = 7
[log]
dirs = '/d'
retention = { hours = 2 }
[cleanup]
policy = ['compact', 'delete']
[message]
\"max.bytes\" = 1.5
";
        let entries = parse(text).unwrap();
        let mut pairs: Vec<_> = entries.iter().map(|it| (&*it.key, &*it.value)).collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [
                ("cleanup.policy", "compact,delete"),
                ("log.dirs", "/d"),
                ("log.retention.hours", "2"),
                ("message.max.bytes", "1.5"),
                ("node.id", "7"),
            ]
        );
    }

    #[test]
    fn an_error_is_told_with_its_line() {
        assert_eq!(parse("a = 1\nb = \n").unwrap_err().line, 2);
    }
}
