//! Tagged fields (KIP-482): optional fields at the end of a flexible structure.

use super::{Reader, Result, WireError, Writer};

/// Memory that one unknown tag is held to cost, so that a message cannot consist of them.
const UNKNOWN_TAG_COST: usize = 64;

/// Reads the tagged fields of a structure; `known` takes those it knows and says whether it did.
///
/// Unknown ones are skipped: only a proxy would keep them.
pub fn read_tags(
    r: &mut Reader,
    mut known: impl FnMut(u32, &mut Reader) -> Result<bool>,
) -> Result<()> {
    if !r.is_flexible() {
        return Ok(());
    }
    for _ in 0..r.varint()? {
        let (tag, size) = (r.varint()?, r.varint()?);
        let size = usize::try_from(size).map_err(|_| WireError::Truncated)?;
        r.nested(size, |r| {
            if !known(tag, r)? {
                r.charge(UNKNOWN_TAG_COST)?;
                let rest = r.remaining();
                r.take(rest)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// One tagged field about to be written.
pub struct Tag<'a> {
    /// Its number.
    pub number: u32,
    /// Whether it is sent: it exists in this version and differs from its default.
    pub present: bool,
    /// Puts its value.
    pub write: &'a dyn Fn(&mut Writer),
}

/// Writes the tagged fields of a structure, given in ascending order.
pub fn write_tags(w: &mut Writer, tags: &[Tag<'_>]) {
    if !w.is_flexible() {
        return;
    }
    let present = tags.iter().filter(|tag| tag.present);
    w.varint(present.clone().count() as u32);
    for tag in present {
        let mut value = Writer::new(w.version(), true);
        (tag.write)(&mut value);
        w.varint(tag.number);
        match value.finish() {
            Ok(value) => {
                w.varint(value.len() as u32);
                w.put(&value.into_bytes());
            }
            Err(error) => w.fail(error),
        }
    }
}
