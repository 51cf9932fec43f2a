use bytes::Bytes;
use klamm_utils::uuid::Uuid;

use super::{Reader, Result, Shape, WireError, Writer};

/// A value that can be read from and written to a message.
pub trait Wire: Sized {
    /// What it looks like on the wire.
    const SHAPE: Shape;

    /// Takes the value off the front of the message.
    fn read(r: &mut Reader) -> Result<Self>;

    /// Puts the value at the end of the message.
    fn write(&self, w: &mut Writer);

    /// Takes a value that may be null.
    fn read_nullable(r: &mut Reader) -> Result<Option<Self>>;

    /// Puts a null.
    fn write_null(w: &mut Writer);

    /// Puts a value that may be null.
    fn write_nullable(value: Option<&Self>, w: &mut Writer) {
        match value {
            Some(value) => value.write(w),
            None => Self::write_null(w),
        }
    }
}

/// Values of one fixed size have no null; a declaration that asks for one is refused at run time
/// in both directions, and by the round-trip test of every message long before that.
macro_rules! fixed_size {
    ($($t:ty: $shape:expr, |$bytes:ident| $read:expr, |$value:ident| $write:expr;)*) => {$(
        impl Wire for $t {
            const SHAPE: Shape = $shape;

            #[inline]
            fn read(r: &mut Reader) -> Result<Self> {
                let $bytes = r.array()?;
                Ok($read)
            }

            #[inline]
            fn write(&self, w: &mut Writer) {
                let $value = *self;
                w.put(&$write);
            }

            fn read_nullable(_: &mut Reader) -> Result<Option<Self>> {
                Err(WireError::UnexpectedNull)
            }

            fn write_null(w: &mut Writer) {
                w.fail(WireError::UnexpectedNull);
            }
        }
    )*};
}

fixed_size! {
    bool: Shape::Bool, |bytes| bytes != [0u8], |value| [u8::from(value)];
    i8: Shape::Fixed(1), |bytes| i8::from_be_bytes(bytes), |value| value.to_be_bytes();
    i16: Shape::Fixed(2), |bytes| i16::from_be_bytes(bytes), |value| value.to_be_bytes();
    u16: Shape::Fixed(2), |bytes| u16::from_be_bytes(bytes), |value| value.to_be_bytes();
    i32: Shape::Fixed(4), |bytes| i32::from_be_bytes(bytes), |value| value.to_be_bytes();
    u32: Shape::Fixed(4), |bytes| u32::from_be_bytes(bytes), |value| value.to_be_bytes();
    i64: Shape::Fixed(8), |bytes| i64::from_be_bytes(bytes), |value| value.to_be_bytes();
    Uuid: Shape::Fixed(16), |bytes| Self(bytes), |value| value.0;
    f64: Shape::Fixed(8), |bytes| f64::from_be_bytes(bytes), |value| value.to_be_bytes();
}

impl Wire for Bytes {
    const SHAPE: Shape = Shape::Bytes;

    fn read(r: &mut Reader) -> Result<Self> {
        Self::read_nullable(r)?.ok_or(WireError::UnexpectedNull)
    }

    fn write(&self, w: &mut Writer) {
        w.length(Some(self.len()));
        w.put(self);
    }

    fn read_nullable(r: &mut Reader) -> Result<Option<Self>> {
        r.length()?.map(|length| r.take_value(length)).transpose()
    }

    fn write_null(w: &mut Writer) {
        w.length(None);
    }
}

impl<T: Wire> Wire for Vec<T> {
    const SHAPE: Shape = Shape::Array(&T::SHAPE);

    fn read(r: &mut Reader) -> Result<Self> {
        Self::read_nullable(r)?.ok_or(WireError::UnexpectedNull)
    }

    fn write(&self, w: &mut Writer) {
        w.length(Some(self.len()));
        for element in self {
            element.write(w);
        }
    }

    fn read_nullable(r: &mut Reader) -> Result<Option<Self>> {
        let Some(count) = r.length()? else { return Ok(None) };
        // Room for what the message can really hold: a false count costs its sender the bytes.
        let mut elements = Self::with_capacity(count.min(1 + 4096 / size_of::<T>().max(1)));
        for _ in 0..count {
            r.charge(size_of::<T>())?;
            elements.push(T::read(r)?);
        }
        Ok(Some(elements))
    }

    fn write_null(w: &mut Writer) {
        w.length(None);
    }
}

impl<T: Wire> Wire for Option<T> {
    const SHAPE: Shape = Shape::Nullable(&T::SHAPE);

    fn read(r: &mut Reader) -> Result<Self> {
        T::read_nullable(r)
    }

    fn write(&self, w: &mut Writer) {
        T::write_nullable(self.as_ref(), w);
    }

    fn read_nullable(_: &mut Reader) -> Result<Option<Self>> {
        Err(WireError::UnexpectedNull)
    }

    fn write_null(w: &mut Writer) {
        w.fail(WireError::UnexpectedNull);
    }
}
