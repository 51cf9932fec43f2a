use bytes::Bytes;

use super::{Result, WireError, varint};

/// Memory that elements may take beyond the multiple of the frame: small messages need not count.
const BUDGET_FLOOR: usize = 64 * 1024;
/// How many bytes of elements one byte of a frame may become.
const BUDGET_PER_BYTE: usize = 16;
/// The length of the longest string.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Takes values off the front of one message.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    version: i16,
    flexible: bool,
    detaches: bool,
    budget: usize,
    budget_max: usize,
}

impl Reader {
    /// A reader of `bytes`, which hold a message of this version and form.
    #[must_use]
    pub fn new(bytes: Bytes, version: i16, flexible: bool) -> Self {
        let budget = bytes.len().saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET_FLOOR);
        Self { bytes, version, flexible, detaches: false, budget, budget_max: budget }
    }

    /// The version of the message.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message is in the flexible form.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// How many bytes have not been read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next `count` bytes, without copying them.
    pub fn take(&mut self, count: usize) -> Result<Bytes> {
        if count > self.bytes.len() {
            return Err(WireError::Truncated);
        }
        Ok(self.bytes.split_to(count))
    }

    /// From now on, values are read into buffers of their own, so that none of them holds the
    /// whole message; but for records, which are never copied.
    pub fn detach(&mut self) {
        self.detaches = true;
    }

    /// Takes the next `count` bytes for a value that may be kept for long.
    pub(super) fn take_value(&mut self, count: usize) -> Result<Bytes> {
        let shared = self.take(count)?;
        Ok(if self.detaches { Bytes::copy_from_slice(&shared) } else { shared })
    }

    /// Takes the next `N` bytes by value.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = *self.bytes.first_chunk::<N>().ok_or(WireError::Truncated)?;
        bytes::Buf::advance(&mut self.bytes, N);
        Ok(array)
    }

    /// Takes an unsigned varint.
    pub fn varint(&mut self) -> Result<u32> {
        let (value, length) = varint::read(&self.bytes)?;
        bytes::Buf::advance(&mut self.bytes, length);
        Ok(value)
    }

    /// Takes the length of a string: an i16, or a varint of one more; `None` stands for null.
    ///
    /// Kafka takes no string that could not be said in the old form. Neither do we: it may have to
    /// be, in an answer of another version or in a record.
    pub fn string_length(&mut self) -> Result<Option<usize>> {
        if !self.flexible {
            return self.short_string_length();
        }
        match self.varint_length()? {
            Some(length) if length > STRING_BYTES_MAX => Err(WireError::Length(length as i64)),
            length => Ok(length),
        }
    }

    /// Takes the length of a string in the old form, which headers use at every version.
    pub(crate) fn short_string_length(&mut self) -> Result<Option<usize>> {
        let length = i64::from(i16::from_be_bytes(self.array()?));
        self.within_message(length)
    }

    /// Takes the length of bytes or an array: an i32, or a varint of one more; `None` stands
    /// for null.
    pub fn length(&mut self) -> Result<Option<usize>> {
        if self.flexible {
            return self.varint_length();
        }
        let length = i64::from(i32::from_be_bytes(self.array()?));
        self.within_message(length)
    }

    fn varint_length(&mut self) -> Result<Option<usize>> {
        let length = i64::from(self.varint()?) - 1;
        self.within_message(length)
    }

    /// Every element takes at least one byte, so a count can never exceed what remains.
    fn within_message(&self, length: i64) -> Result<Option<usize>> {
        match usize::try_from(length) {
            Ok(length) if length > self.bytes.len() => Err(WireError::Truncated),
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(WireError::Length(length)),
        }
    }

    /// Counts memory that an element is about to take.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.budget =
            self.budget.checked_sub(bytes).ok_or(WireError::Amplified(self.budget_max))?;
        Ok(())
    }

    /// Runs `read` over the next `size` bytes, which it must use up.
    pub(super) fn nested<T>(
        &mut self,
        size: usize,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let bytes = self.take(size)?;
        let rest = std::mem::replace(&mut self.bytes, bytes);
        let value = read(self);
        let left = std::mem::replace(&mut self.bytes, rest).len();
        match value {
            Ok(_) if left > 0 => Err(WireError::Trailing(left)),
            value => value,
        }
    }

    /// Says that the message must be over.
    pub fn finish(&self) -> Result<()> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Records, Str, Wire as _};

    #[test]
    fn what_is_detached_holds_nothing_of_the_message() {
        let message = Bytes::from(vec![0, 1, b'a', 0, 0, 0, 1, 7, 0, 0, 0, 1, 8]);
        let mut r = Reader::new(message.clone(), 0, false);
        r.detach();
        let text = Str::read(&mut r).unwrap();
        let bytes = Option::<Bytes>::read(&mut r).unwrap();
        let mut rest = r.clone();
        drop(r);
        let records = Records::read(&mut rest).unwrap();
        drop(rest);
        assert!(!message.is_unique());
        drop(records);
        assert!(message.is_unique());
        assert_eq!((text.as_str(), bytes.as_deref()), ("a", Some(&[7][..])));
    }
}
