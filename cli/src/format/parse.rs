//! Understanding a format.

use super::{Format, NumberEncoding, NumberField, Piece, TextEncoding, TextField};

/// Why a format is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    /// There is no such verb.
    #[error("there is no verb `%{0}`; a percent sign itself is `%%`")]
    Verb(char),
    /// The verb is not known of headers.
    #[error("`%{0}` says nothing about a header; inside `%h{{...}}` are %k, %v, %K and %V")]
    HeaderVerb(char),
    /// The verb does not take the modifier.
    #[error("`%{verb}` cannot be printed as `{modifier}`")]
    Modifier {
        /// The verb.
        verb: char,
        /// What stands in its braces.
        modifier: String,
    },
    /// No closing brace.
    #[error("the brace after `%{0}` is not closed")]
    Open(char),
    /// The end comes where something is needed.
    #[error("the format ends after `{0}`")]
    End(&'static str),
    /// Not an escape.
    #[error("there is no escape `\\{0}`; a backslash itself is `\\\\`")]
    Escape(String),
    /// `%h` without what is to be printed for each header.
    #[error("`%h` needs a format for each header, such as `%h{{%k=%v }}`")]
    Headers,
}

impl Format {
    /// Reads a format.
    pub(crate) fn parse(text: &str) -> Result<Self, FormatError> {
        let mut parser = Parser { rest: text, scope: Scope::Record };
        parser.format()
    }

    /// Reads text in which only the escapes of a format mean something.
    pub(crate) fn literal(text: &str) -> Result<Vec<u8>, FormatError> {
        let mut parser = Parser { rest: text, scope: Scope::Record };
        let mut bytes = Vec::with_capacity(text.len());
        while let Some(next) = parser.take() {
            match next {
                '\\' => bytes.push(parser.escape()?),
                plain => bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(bytes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Record,
    /// Inside `%h{...}`, where a closing brace ends the format.
    Header,
}

struct Parser<'a> {
    rest: &'a str,
    scope: Scope,
}

impl<'a> Parser<'a> {
    fn format(&mut self) -> Result<Format, FormatError> {
        let mut pieces = Pieces::default();
        while let Some(next) = self.take() {
            match next {
                '%' => self.verb(&mut pieces)?,
                '\\' => {
                    let byte = self.escape()?;
                    pieces.literal(&[byte]);
                }
                '}' if self.scope == Scope::Header => return Ok(pieces.into()),
                plain => pieces.literal(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if self.scope == Scope::Header { Err(FormatError::Open('h')) } else { Ok(pieces.into()) }
    }

    fn verb(&mut self, pieces: &mut Pieces) -> Result<(), FormatError> {
        let verb = self.take().ok_or(FormatError::End("%"))?;
        if matches!(verb, '%' | '{' | '}') {
            pieces.literal(verb.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        if self.scope == Scope::Header && is_record_verb(verb) {
            return Err(FormatError::HeaderVerb(verb));
        }
        let piece = match verb {
            't' => self.text(verb, TextField::Topic)?,
            'k' => self.text(verb, TextField::Key)?,
            'v' => self.text(verb, TextField::Value)?,
            'T' => self.number(verb, NumberField::TopicLength)?,
            'K' => self.number(verb, NumberField::KeyLength)?,
            'V' => self.number(verb, NumberField::ValueLength)?,
            'H' => self.number(verb, NumberField::HeaderCount)?,
            'p' => self.number(verb, NumberField::Partition)?,
            'o' => self.number(verb, NumberField::Offset)?,
            'i' => self.number(verb, NumberField::Number)?,
            'd' => self.timestamp()?,
            'h' => self.headers()?,
            unknown => return Err(FormatError::Verb(unknown)),
        };
        pieces.all.push(piece);
        Ok(())
    }

    fn text(&mut self, verb: char, field: TextField) -> Result<Piece, FormatError> {
        let encoding = match self.modifier(verb)? {
            None => TextEncoding::AsIs,
            Some("hex") => TextEncoding::Hex,
            Some("base64") => TextEncoding::Base64,
            Some(other) => return Err(unknown(verb, other)),
        };
        Ok(Piece::Text(field, encoding))
    }

    fn number(&mut self, verb: char, field: NumberField) -> Result<Piece, FormatError> {
        let encoding = match self.modifier(verb)? {
            None => NumberEncoding::Ascii,
            Some(text) => NumberEncoding::parse(text).ok_or_else(|| unknown(verb, text))?,
        };
        Ok(Piece::Number(field, encoding))
    }

    fn timestamp(&mut self) -> Result<Piece, FormatError> {
        if let Some(rest) = self.rest.strip_prefix("{strftime[") {
            let (text, rest) = rest.split_once("]}").ok_or(FormatError::Open('d'))?;
            self.rest = rest;
            // What `strftime` cannot print is found here, not at the first record.
            return match jiff::fmt::strtime::format(
                text,
                &jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC),
            ) {
                Ok(_) => Ok(Piece::Strftime(text.to_owned())),
                Err(_) => Err(unknown('d', &format!("strftime[{text}]"))),
            };
        }
        if let Some(rest) = self.rest.strip_prefix("{rfc3339}") {
            self.rest = rest;
            return Ok(Piece::Rfc3339);
        }
        self.number('d', NumberField::Timestamp)
    }

    fn headers(&mut self) -> Result<Piece, FormatError> {
        let inside = self.rest.strip_prefix('{').ok_or(FormatError::Headers)?;
        let mut parser = Parser { rest: inside, scope: Scope::Header };
        let format = parser.format()?;
        self.rest = parser.rest;
        Ok(Piece::Headers(format))
    }

    /// What stands in the braces behind a verb.
    fn modifier(&mut self, verb: char) -> Result<Option<&'a str>, FormatError> {
        let Some(rest) = self.rest.strip_prefix('{') else { return Ok(None) };
        let (modifier, rest) = rest.split_once('}').ok_or(FormatError::Open(verb))?;
        self.rest = rest;
        Ok(Some(modifier))
    }

    fn escape(&mut self) -> Result<u8, FormatError> {
        Ok(match self.take().ok_or(FormatError::End("\\"))? {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let digits = self.rest.get(..2).unwrap_or(self.rest);
                let bad = || FormatError::Escape(format!("x{digits}"));
                let byte = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let byte = byte.then(|| u8::from_str_radix(digits, 16).ok()).flatten();
                let byte = byte.filter(|_| digits.len() == 2).ok_or_else(bad)?;
                self.rest = self.rest.get(2..).unwrap_or_default();
                byte
            }
            other => return Err(FormatError::Escape(other.to_string())),
        })
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }
}

/// Pieces of which no two literals follow each other.
#[derive(Default)]
struct Pieces {
    all: Vec<Piece>,
}

impl Pieces {
    fn literal(&mut self, bytes: &[u8]) {
        match self.all.last_mut() {
            Some(Piece::Literal(literal)) => literal.extend_from_slice(bytes),
            _ => self.all.push(Piece::Literal(bytes.to_vec())),
        }
    }
}

impl From<Pieces> for Format {
    fn from(pieces: Pieces) -> Self {
        Self { pieces: pieces.all }
    }
}

fn is_record_verb(verb: char) -> bool {
    "tTHpoidh".contains(verb)
}

fn unknown(verb: char, modifier: &str) -> FormatError {
    FormatError::Modifier { verb, modifier: modifier.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, error: FormatError) {
        assert_eq!(Format::parse(text), Err(error), "{text}");
    }

    #[test]
    fn mistakes_are_named() {
        check("%z", FormatError::Verb('z'));
        check("100%", FormatError::End("%"));
        check("%v\\", FormatError::End("\\"));
        check("%v\\q", FormatError::Escape("q".into()));
        check("\\x4", FormatError::Escape("x4".into()));
        check("\\x+4", FormatError::Escape("x+4".into()));
        check("\\xä", FormatError::Escape("xä".into()));
        check("%k{hex", FormatError::Open('k'));
        check("%k{big32}", unknown('k', "big32"));
        check("%o{base64}", unknown('o', "base64"));
        check("%d{strftime[%F}", FormatError::Open('d'));
        check("%d{strftime[%]}", unknown('d', "strftime[%]"));
        check("%h", FormatError::Headers);
        check("%h{%k=%v", FormatError::Open('h'));
        check("%h{%o}", FormatError::HeaderVerb('o'));
        check("%h{%h{%k}}", FormatError::HeaderVerb('h'));
    }

    #[test]
    fn literals_are_joined() {
        let format = Format::parse("a%%b%{\\n\\x41%}}").unwrap();
        assert_eq!(format.pieces, [Piece::Literal(b"a%b{\nA}}".to_vec())]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_format_or_an_error(text in "[%{}a-zA-Z\\\\x0-9ä \\[\\]]{0,40}") {
            let _ = Format::parse(&text);
        }
    }
}
