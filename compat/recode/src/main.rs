//! Decodes messages with our codec and encodes them again, for comparison with Kafka's classes.
//!
//! `recode` reads lines `request|response TAB api key TAB version TAB hex` and prints likewise; a
//! message that fails has `!` and the reason in the place of the bytes. `recode list` prints the
//! declared versions, `recode defaults` a message of every kind and version.

use std::fmt::{Display, Write as _};
use std::io::{self, BufRead as _, BufWriter, Write};

use klamm_protocol::api::{AnyRequest, AnyResponse, ApiKey};
use klamm_protocol::bytes::Bytes;

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match std::env::args().nth(1).as_deref() {
        Some("list") => list(&mut out)?,
        Some("defaults") => defaults(&mut out)?,
        _ => {
            for line in io::stdin().lock().lines() {
                let line = line?;
                let (head, hex) = line.rsplit_once('\t').unwrap_or_default();
                let bytes = recode(head, hex).unwrap_or_else(|reason| format!("!{reason}"));
                writeln!(out, "{head}\t{bytes}")?;
            }
        }
    }
    out.flush()
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for key in ApiKey::ALL {
        let versions = key.versions();
        writeln!(out, "{}\t{}\t{}", key.code(), versions.start(), versions.end())?;
    }
    Ok(())
}

fn defaults(out: &mut impl Write) -> io::Result<()> {
    for &key in ApiKey::ALL {
        for version in key.versions() {
            let request = AnyRequest::default_of(key).encode(version);
            let response = AnyResponse::default_of(key).encode(version);
            for (kind, encoded) in [("request", request), ("response", response)] {
                let bytes = encoded.map_or_else(|e| format!("!{e}"), |e| to_hex(&e.into_bytes()));
                writeln!(out, "{kind}\t{}\t{version}\t{bytes}", key.code())?;
            }
        }
    }
    Ok(())
}

fn recode(head: &str, hex: &str) -> Result<String, String> {
    let mut parts = head.split('\t');
    let kind = parts.next().unwrap_or_default();
    let code: i16 = number(parts.next())?;
    let version: i16 = number(parts.next())?;
    let key = ApiKey::from_code(code).ok_or("not declared")?;
    let body = from_hex(hex)?;
    let encoded = match kind {
        "request" => AnyRequest::decode(key, version, body).and_then(|m| m.encode(version)),
        _ => AnyResponse::decode(key, version, body).and_then(|m| m.encode(version)),
    };
    Ok(to_hex(&encoded.map_err(describe)?.into_bytes()))
}

fn number(text: Option<&str>) -> Result<i16, String> {
    text.unwrap_or_default().parse().map_err(describe)
}

fn describe(error: impl Display) -> String {
    error.to_string()
}

fn from_hex(text: &str) -> Result<Bytes, String> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap_or_default(), 16);
    pairs.map(byte).collect::<Result<Vec<_>, _>>().map(Bytes::from).map_err(describe)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a string cannot fail.
        text
    })
}
