//! Base64 (RFC 4648) by the standard alphabet, and by that of URLs.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// With the standard alphabet and padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = digits(bytes, STANDARD);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// With the alphabet of URLs and no padding, as tokens and identifiers have it.
#[must_use]
pub fn encode_url(bytes: &[u8]) -> String {
    digits(bytes, URL)
}

/// Reads the standard alphabet with padding, and nothing else.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if text.len().is_multiple_of(4) { bytes(digits, STANDARD) } else { None }
}

/// Reads the alphabet of URLs without padding, and nothing else.
#[must_use]
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    bytes(text, URL)
}

fn digits(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for place in 0..=group.len() {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(char::from(alphabet[digit as usize]));
        }
    }
    text
}

fn bytes(digits: &str, alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let mut word = 0u32;
        for digit in group {
            let value = alphabet.iter().position(|known| known == digit)?;
            word = (word << 6) | u32::try_from(value).ok()?;
        }
        word <<= 6 * (4 - group.len());
        let [_, whole @ ..] = word.to_be_bytes();
        let (kept, rest) = whole.split_at(group.len().checked_sub(1).filter(|kept| *kept > 0)?);
        // Bits that no byte holds must be zero: a value has one form.
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), plain.as_bytes());
            assert_eq!(encode_url(plain.as_bytes()), text.trim_end_matches('='));
        }
        assert_eq!(
            (encode(&[0xfb, 0xff]), encode_url(&[0xfb, 0xff])),
            ("+/8=".into(), "-_8".into())
        );
    }

    #[test]
    fn nothing_else_is_read() {
        for text in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "=", "====", "Zm 9", "Zm9ä"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode_url("Zg=="), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes.clone());
            prop_assert_eq!(decode_url(&encode_url(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn what_is_read_is_written_alike(text in "[A-Za-z0-9+/]{0,12}={0,2}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
