//! Properties files, as Java reads them.

use std::iter::Peekable;
use std::str::CharIndices;

/// What is white between and around names and values. Line ends are not.
const WHITE: [char; 3] = [' ', '\t', '\u{c}'];

/// Names and values in the order of the file; or the line, counted from 1, with an escape that
/// means nothing.
///
/// The rules are those of `java.util.Properties`: `=`, `:` or white space ends a name; `#` or `!`
/// begins a comment; a backslash at the end of a line joins it with the next; `\t`, `\n`, `\r`,
/// `\f` and `\uXXXX` are what they are in Java, and before all else a backslash takes away what
/// the character would mean.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut pairs = Vec::new();
    let mut input = Input { text, chars: text.char_indices().peekable() };
    while input.skip_to_name() {
        let name = input.token(&[' ', '\t', '\u{c}', '=', ':'])?;
        input.skip_white();
        if input.chars.next_if(|(_, c)| matches!(c, '=' | ':')).is_some() {
            input.skip_white();
        }
        pairs.push((name, input.token(&[])?));
    }
    Ok(pairs)
}

struct Input<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Input<'_> {
    /// Goes past blank lines and comments. There is no name where the text is over.
    fn skip_to_name(&mut self) -> bool {
        while let Some((_, next)) = self.chars.peek() {
            match next {
                '#' | '!' => while self.chars.next_if(|(_, c)| !is_line_end(*c)).is_some() {},
                c if is_line_end(*c) || WHITE.contains(c) => {
                    self.chars.next();
                }
                _ => return true,
            }
        }
        false
    }

    fn skip_white(&mut self) {
        loop {
            while self.chars.next_if(|(_, c)| WHITE.contains(c)).is_some() {}
            if !self.join_lines() {
                return;
            }
        }
    }

    /// Goes past a backslash at the end of a line, and past the white space of the next.
    fn join_lines(&mut self) -> bool {
        let mut ahead = self.chars.clone();
        if ahead.next().is_none_or(|(_, c)| c != '\\') {
            return false;
        }
        match ahead.next() {
            None => {}
            Some((_, '\r')) => {
                ahead.next_if(|(_, c)| *c == '\n');
            }
            Some((_, '\n')) => {}
            Some(_) => return false,
        }
        while ahead.next_if(|(_, c)| WHITE.contains(c)).is_some() {}
        self.chars = ahead;
        true
    }

    /// All up to a line's end or one of `ends`, without its escapes.
    fn token(&mut self, ends: &[char]) -> Result<String, usize> {
        let mut token = String::new();
        loop {
            while self.join_lines() {}
            let Some((at, c)) = self.chars.next_if(|(_, c)| !is_line_end(*c) && !ends.contains(c))
            else {
                return Ok(token);
            };
            if c != '\\' {
                token.push(c);
                continue;
            }
            match self.chars.next() {
                Some((_, 't')) => token.push('\t'),
                Some((_, 'n')) => token.push('\n'),
                Some((_, 'r')) => token.push('\r'),
                Some((_, 'f')) => token.push('\u{c}'),
                Some((_, 'u')) => {
                    let line = self.text[..at].lines().count().max(1);
                    token.push(self.code_point().ok_or(line)?);
                }
                Some((_, other)) => token.push(other),
                None => {}
            }
        }
    }

    /// What follows a `\u`: one unit of UTF-16, or two with another `\u` between them.
    fn code_point(&mut self) -> Option<char> {
        let first = self.unit()?;
        let low = match first {
            0xD800..=0xDBFF => {
                self.chars.next_if(|(_, c)| *c == '\\')?;
                self.chars.next_if(|(_, c)| *c == 'u')?;
                Some(self.unit()?)
            }
            _ => None,
        };
        let mut decoded = char::decode_utf16([first].into_iter().chain(low));
        decoded.next()?.ok().filter(|_| decoded.next().is_none())
    }

    fn unit(&mut self) -> Option<u16> {
        (0..4).try_fold(0, |unit, _| {
            let (_, digit) = self.chars.next_if(|(_, c)| c.is_ascii_hexdigit())?;
            Some(unit << 4 | u16::try_from(digit.to_digit(16)?).ok()?)
        })
    }
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text, and what `java.util.Properties` of Java 17 made of it.
    const READ_BY_JAVA: &[(&str, &[(&str, &str)])] = &[
        ("a=1\nb:2\nc 3\nd\t=\t4", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]),
        ("  # x\n ! y\n  a = 1 \n\n \t\n", &[("a", "1 ")]),
        ("a\\:b\\=c\\ d = e\\\\f", &[("a:b=c d", "e\\f")]),
        ("a=1,\\\n   2,\\\n\t3\nb=4", &[("a", "1,2,3"), ("b", "4")]),
        ("a=x\\\\\nb=2", &[("a", "x\\"), ("b", "2")]),
        ("a=1\\\n#no comment", &[("a", "1#no comment")]),
        ("#c\\\na=1", &[("a", "1")]),
        ("a=\\u00e9\\u0041\\t|\\n|\\r|\\f|\\q|\\\"", &[("a", "éA\t|\n|\r|\u{c}|q|\"")]),
        ("a", &[("a", "")]),
        ("a=", &[("a", "")]),
        ("=b", &[("", "b")]),
        (":b", &[("", "b")]),
        ("a==b", &[("a", "=b")]),
        ("a = = b", &[("a", "= b")]),
        ("a\\\n  b = c", &[("ab", "c")]),
        ("a=1\r\nb=2\rc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
        ("a=1\\\r\n 2", &[("a", "12")]),
        ("a=1\\", &[("a", "1")]),
        ("a=1\\\n", &[("a", "1")]),
        ("a=1\\\n\nb=2", &[("a", "1"), ("b", "2")]),
        ("a  b=c", &[("a", "b=c")]),
        ("a=1\\\n   \\\n  2", &[("a", "12")]),
        ("\\  a=1", &[(" ", "a=1")]),
        ("a=b#c", &[("a", "b#c")]),
        ("\u{c}a\u{c}=\u{c}b\u{c}", &[("a", "b\u{c}")]),
        ("a=\\\nb=1", &[("a", "b=1")]),
    ];

    #[test]
    fn files_are_read_as_java_reads_them() {
        for (text, expected) in READ_BY_JAVA {
            let parsed = parse(text).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(parsed, *expected, "{text:?}");
        }
    }

    #[test]
    fn characters_beyond_the_first_plane_are_two_escapes() {
        assert_eq!(parse("a=\\uD83D\\uDE00!"), Ok(vec![("a".into(), "😀!".into())]));
    }

    #[test]
    fn an_escape_that_means_nothing_is_told_with_its_line() {
        for (text, line) in [
            ("a=\\u12", 1),
            ("a=1\nb=\\uxyzw", 2),
            ("a=1\n\n  b=\\uD83D", 3),
            ("\\uDE00=1", 1),
            ("a=\\uD83D\\u0041", 1),
        ] {
            assert_eq!(parse(text), Err(line), "{text:?}");
        }
    }
}
