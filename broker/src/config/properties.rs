//! Java's properties files, as `java.util.Properties` reads them.

use std::iter::Peekable;
use std::str::Chars;

use super::settings::{Entry, SyntaxError};

/// The entries of a file, in its order. Of a key that is there twice, the last counts.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, SyntaxError> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while is_continued(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let line = index + 1;
        let (key, value) = entry(&logical).map_err(|reason| SyntaxError { line, reason })?;
        entries.push(Entry { key, value, line: Some(line) });
    }
    Ok(entries)
}

/// Whether a line ends in an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value, parted by the first `=`, `:` or blank that no backslash precedes.
fn entry(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(next) = chars.next_if(|next| !matches!(next, '=' | ':') && !is_blank(*next)) {
        push(&mut key, next, &mut chars)?;
    }
    skip_blanks(&mut chars);
    if chars.next_if(|next| matches!(next, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(next) = chars.next() {
        push(&mut value, next, &mut chars)?;
    }
    // Java keeps blanks at the end; Kafka's parsers then cut them off.
    value.truncate(value.trim_end().len());
    Ok((key, value))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|next| is_blank(*next)).is_some() {}
}

/// Puts one character, which may be a backslash and what belongs to it.
fn push(into: &mut String, next: char, chars: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    let character = match next {
        '\\' => match chars.next() {
            None => return Ok(()),
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let character = code.and_then(char::from_u32);
                character.ok_or_else(|| format!("`\\u{digits}` is no character"))?
            }
            Some(other) => other,
        },
        other => other,
    };
    into.push(character);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, entries: &[(&str, &str, usize)]) {
        let parsed = parse(text).unwrap();
        let parsed: Vec<_> =
            parsed.iter().map(|it| (&*it.key, &*it.value, it.line.unwrap())).collect();
        assert_eq!(parsed, entries, "{text}");
    }

    #[test]
    fn entries_are_read_as_java_reads_them() {
        check("a=1\n", &[("a", "1", 1)]);
        check("# no\n! no\n\n  a : 1 \r\nb 2\n", &[("a", "1", 4), ("b", "2", 5)]);
        check("a=x,\\\n    y\nb=2", &[("a", "x,y", 1), ("b", "2", 3)]);
        check("a=b=c:d", &[("a", "b=c:d", 1)]);
        check("a\\=b=1\\t\\u00e9\\\\", &[("a=b", "1\t\u{e9}\\", 1)]);
        check("a", &[("a", "", 1)]);
        check("a=1\\", &[("a", "1", 1)]);
    }

    #[test]
    fn a_broken_escape_is_told_with_its_line() {
        let reason = "`\\u12` is no character".to_owned();
        assert_eq!(parse("a=1\nb=\\u12"), Err(SyntaxError { line: 2, reason }));
        assert!(parse("a=\\ud800").is_err());
    }
}
