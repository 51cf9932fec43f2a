//! Variable-length integers, as records have them: zigzag, then seven bits a byte, lowest first.
//!
//! Kafka's `ByteUtils.java`, and Protocol Buffers before it. A last byte with bits that the type
//! has no room for is refused.

use super::RecordError;

/// Takes a 32-bit integer off the front of `input`.
pub(super) fn take_i32(input: &mut &[u8]) -> Result<i32, RecordError> {
    let raw = take::<32>(input)?;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a 64-bit integer off the front of `input`.
pub(super) fn take_i64(input: &mut &[u8]) -> Result<i64, RecordError> {
    let raw = take::<64>(input)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Appends an integer. The same value has the same bytes as 32 and as 64 bits.
pub(super) fn put(value: i64, out: &mut Vec<u8>) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes that [`put`] appends.
pub(super) fn len(value: i64) -> usize {
    let bits = u64::BITS - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Small numbers of either sign as small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn take<const BITS: u32>(input: &mut &[u8]) -> Result<u64, RecordError> {
    let mut raw = 0;
    for shift in (0..BITS).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(RecordError::Truncated)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if BITS - shift < 7 && bits >> (BITS - shift) != 0 {
            break;
        }
        raw |= bits << shift;
        if byte < 0x80 {
            return Ok(raw);
        }
    }
    Err(RecordError::Varint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put(value, &mut out);
        assert_eq!(out.len(), len(value), "{value}");
        out
    }

    #[test]
    fn known_values() {
        assert_eq!(bytes(0), [0x00]);
        assert_eq!(bytes(-1), [0x01]);
        assert_eq!(bytes(1), [0x02]);
        assert_eq!(bytes(63), [0x7e]);
        assert_eq!(bytes(-64), [0x7f]);
        assert_eq!(bytes(64), [0x80, 0x01]);
        assert_eq!(bytes(8191), [0xfe, 0x7f]);
        assert_eq!(bytes(i32::MAX.into()), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(bytes(i32::MIN.into()), [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(bytes(i64::MIN), [[0xff; 9].as_slice(), &[0x01]].concat());
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let check = |mut bytes: &[u8], expected| {
            assert_eq!(take_i32(&mut bytes), Err(expected));
        };
        check(&[], RecordError::Truncated);
        check(&[0x80; 4], RecordError::Truncated);
        check(&[0x80; 5], RecordError::Varint);
        check(&[0xff, 0xff, 0xff, 0xff, 0x10], RecordError::Varint);
        check(&[0xff, 0xff, 0xff, 0xff, 0x8f, 0x00], RecordError::Varint);
        let mut long = &[[0xff; 9].as_slice(), &[0x02]].concat()[..];
        assert_eq!(take_i64(&mut long), Err(RecordError::Varint));
        assert_eq!(take_i64(&mut &[0x80; 10][..]), Err(RecordError::Varint));
    }

    proptest! {
        #[test]
        fn integers_round_trip(value: i64, narrow: i32, shift in 0u32..64) {
            let value = value >> shift;
            prop_assert_eq!(take_i64(&mut &bytes(value)[..]), Ok(value));
            prop_assert_eq!(take_i32(&mut &bytes(narrow.into())[..]), Ok(narrow));
        }
    }
}
