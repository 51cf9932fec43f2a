//! Records as text, by a format of percent verbs as users of rpk and kcl know it.
//!
//! | verb | prints | modifiers |
//! |---|---|---|
//! | `%t` `%k` `%v` | topic, key, value | `{hex}` `{base64}` |
//! | `%T` `%K` `%V` | their lengths | number |
//! | `%p` `%o` | partition, offset | number |
//! | `%H` `%i` | number of headers, number of this record in the output, from 1 | number |
//! | `%d` | timestamp in milliseconds since 1970 | number, `{strftime[...]}` in UTC, `{rfc3339}` |
//! | `%h{...}` | the format inside once per header, in which `%k %v %K %V` are the header's | |
//! | `%%` `%{` `%}` | `%`, `{`, `}` | |
//!
//! Numbers are printed in decimals, or by `{hex64}` to `{hex4}`, `{big64}` to `{big8}`,
//! `{little64}` to `{little8}`, `{byte}`, `{bool}`, `{ascii}`, of which all but the first and the
//! last two cut off what does not fit. `\n`, `\t`, `\r`, `\0`, `\\` and `\xNN` are bytes. An absent
//! key or value prints nothing and has the length 0.

mod number;
mod parse;
mod print;

use number::NumberEncoding;

/// A format that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
}

/// What is known of a record that is to be printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [klamm_protocol::records::Header],
    /// Which record of the output it is, counted from 1.
    pub(crate) number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Text(TextField, TextEncoding),
    Number(NumberField, NumberEncoding),
    /// The timestamp, as `strftime` prints it.
    Strftime(String),
    Rfc3339,
    /// What is printed for each header.
    Headers(Format),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Topic,
    Key,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextEncoding {
    AsIs,
    Hex,
    Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberField {
    TopicLength,
    KeyLength,
    ValueLength,
    HeaderCount,
    Partition,
    Offset,
    Timestamp,
    Number,
}
