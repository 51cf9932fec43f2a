//! How a message is declared: [`api!`](crate::api!) turns one declaration into types that read
//! and write themselves at every version, and a description of itself.
//!
//! ```
//! klamm_protocol::api! {
//!     /// Asks how a thing is.
//!     Look = 999, versions 0..=2, flexible 2..;
//!
//!     struct Request {
//!         /// Null asks for all.
//!         names: Option<Vec<Str>>      [0.., null 1..],
//!         dry_run: bool                [1..; must],
//!     }
//!     struct Response {
//!         things: Vec<Thing>,
//!     }
//!     struct Thing {
//!         name: Str,
//!         size: i64                    [1..] = -1;
//!         tagged { 0 => colour: Str    [2..] }
//!     }
//! }
//! assert_eq!(Thing::default().size, -1);
//! ```
//!
//! - `[1..]`, `[..=4]`, `[2..=7]`: the versions that carry the field; all of them where nothing
//!   stands. A field that a version lacks keeps its default when read.
//! - `null 1..`: the versions in which null is a value; all that carry the field where nothing
//!   stands. `Option` is what makes a field nullable.
//! - `= -1`: the default, where it is not the type's own.
//! - `must`: writing a version that lacks the field is an error, unless it has its default.
//! - `tagged`: optional fields of flexible versions, by number; sent when they differ from their
//!   default.

use std::ops::RangeInclusive;

use crate::wire::{Reader, Result, Wire, WireError, Writer};

/// One API: its key, its versions and its two messages.
pub trait Api {
    /// The number that says it on the wire.
    const KEY: i16;
    /// Its name.
    const NAME: &'static str;
    /// The versions declared here.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version, `i16::MAX` where there is none.
    const FLEXIBLE_FROM: i16;
    /// What a client sends.
    type Request: Wire;
    /// What a broker answers.
    type Response: Wire + Answer;

    /// Whether messages of this version are in the flexible form.
    #[must_use]
    fn is_flexible(version: i16) -> bool {
        version >= Self::FLEXIBLE_FROM
    }
}

/// What every broker's answer tells, of whichever API it is.
pub trait Answer {
    /// For how long the broker will not listen, in milliseconds: who asked is to ask nothing more
    /// on the connection meanwhile (KIP-219). 0 where the API has no such field.
    fn throttle_time_ms(&self) -> i32;
}

/// Reads an optional field, which this version may not allow to be null.
#[doc(hidden)]
pub fn read_restricted<T: Wire>(r: &mut Reader, null_allowed: bool) -> Result<Option<T>> {
    match T::read_nullable(r)? {
        None if !null_allowed => Err(WireError::UnexpectedNull),
        value => Ok(value),
    }
}

/// Writes an optional field, which this version may not allow to be null.
#[doc(hidden)]
pub fn write_restricted<T: Wire>(value: &Option<T>, w: &mut Writer, null_allowed: bool) {
    if value.is_none() && !null_allowed {
        w.fail(WireError::UnexpectedNull);
    }
    value.write(w);
}

/// Reads a structure that may be null: a byte says whether it follows.
#[doc(hidden)]
pub fn read_nullable_struct<T: Wire>(r: &mut Reader) -> Result<Option<T>> {
    if i8::read(r)? < 0 { Ok(None) } else { T::read(r).map(Some) }
}

/// Writes a structure that may be null: a byte says whether it follows.
#[doc(hidden)]
pub fn write_nullable_struct<T: Wire>(value: Option<&T>, w: &mut Writer) {
    match value {
        None => (-1i8).write(w),
        Some(value) => {
            1i8.write(w);
            value.write(w);
        }
    }
}

/// Declares one API: see the [module](crate::declare).
#[macro_export]
macro_rules! api {
    (
        $(#[$doc:meta])*
        $name:ident = $key:literal, versions $min:literal..=$max:literal
        $(, flexible $flexible:literal..)?;
        $($structs:tt)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl $crate::declare::Api for $name {
            const KEY: i16 = $key;
            const NAME: &'static str = stringify!($name);
            const VERSIONS: std::ops::RangeInclusive<i16> = $min..=$max;
            const FLEXIBLE_FROM: i16 = $crate::or!($($flexible)?, i16::MAX);
            type Request = Request;
            type Response = Response;
        }

        $crate::structs! { $($structs)* }
    };
}

/// Declares structures that read and write themselves: see the [module](crate::declare).
#[macro_export]
macro_rules! structs {
    ($(
        $(#[$doc:meta])*
        struct $name:ident {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $kind:ty
                $([$versions:expr $(, null $nullable:expr)? $(; $must:ident)?])?
                $(= $default:expr)?
            ),* $(,)?
            $(; tagged { $(
                $(#[$tag_doc:meta])*
                $tag:literal => $tagged:ident: $tagged_kind:ty
                $([$tag_versions:expr $(, null $tag_nullable:expr)? $(; $tag_must:ident)?])?
                $(= $tag_default:expr)?
            ),* $(,)? } $(,)?)?
        }
    )*) => {
        #[allow(unused_imports)]
        use $crate::wire::{Records, Str, Uuid};
        #[allow(unused_imports)]
        use $crate::{bytes::Bytes, error_code::ErrorCode};
        $(
            $crate::answer!($name: $($field)*);

            $(#[$doc])*
            #[allow(missing_docs, reason = "a field is documented where its name does not say it")]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
                $($($(#[$tag_doc])* pub $tagged: $tagged_kind,)*)?
            }

            impl Default for $name {
                fn default() -> Self {
                    Self {
                        $($field: $crate::or!($($default)?, Default::default()),)*
                        $($($tagged: $crate::or!($($tag_default)?, Default::default()),)*)?
                    }
                }
            }

            impl $crate::wire::Wire for $name {
                const SHAPE: $crate::wire::Shape = $crate::wire::Shape::Struct(&[
                    $($crate::field!($field: $kind, None
                        $(, $versions $(, null $nullable)? $(; $must)?)?),)*
                    $($($crate::field!($tagged: $tagged_kind, Some($tag)
                        $(, $tag_versions $(, null $tag_nullable)? $(; $tag_must)?)?),)*)?
                ]);

                fn read(r: &mut $crate::wire::Reader) -> $crate::wire::Result<Self> {
                    #[allow(unused_mut)]
                    let mut value = Self::default();
                    $(if $crate::carried!(r.version() $(, $versions)?) {
                        value.$field = $crate::read_field!(r $($(, $nullable)?)?);
                    })*
                    $crate::wire::read_tags(r, |_tag, _r| match _tag {
                        $($($tag if $crate::carried!(_r.version() $(, $tag_versions)?) => {
                            value.$tagged = $crate::read_field!(_r $($(, $tag_nullable)?)?);
                            Ok(true)
                        })*)?
                        _ => Ok(false),
                    })?;
                    Ok(value)
                }

                fn write(&self, w: &mut $crate::wire::Writer) {
                    $(
                        if $crate::carried!(w.version() $(, $versions)?) {
                            $crate::write_field!(self.$field, w $($(, $nullable)?)?);
                        }
                        $($($crate::refuse_loss!($must, self, $name.$field, $versions, w);)?)?
                    )*
                    $($($($(
                        $crate::refuse_loss!($tag_must, self, $name.$tagged, $tag_versions, w);
                    )?)?)*)?
                    $crate::wire::write_tags(w, &[$($($crate::wire::Tag {
                        number: $tag,
                        present: $crate::carried!(w.version() $(, $tag_versions)?)
                            && self.$tagged
                                != $crate::or!($($tag_default)?, <$tagged_kind>::default()),
                        write: &|w| {
                            $crate::write_field!(self.$tagged, w $($(, $tag_nullable)?)?);
                        },
                    }),*)?]);
                }

                fn read_nullable(
                    r: &mut $crate::wire::Reader,
                ) -> $crate::wire::Result<Option<Self>> {
                    $crate::declare::read_nullable_struct(r)
                }

                fn write_null(w: &mut $crate::wire::Writer) {
                    $crate::declare::write_nullable_struct::<Self>(None, w);
                }

                fn write_nullable(value: Option<&Self>, w: &mut $crate::wire::Writer) {
                    $crate::declare::write_nullable_struct(value, w);
                }
            }
        )*
    };
}

/// What a structure tells as an answer, if it is one.
#[doc(hidden)]
#[macro_export]
macro_rules! answer {
    (Response: throttle_time_ms $($field:ident)*) => {
        impl $crate::declare::Answer for Response {
            fn throttle_time_ms(&self) -> i32 {
                self.throttle_time_ms
            }
        }
    };
    (Response: $other:ident $($field:ident)*) => {
        $crate::answer!(Response: $($field)*);
    };
    (Response:) => {
        impl $crate::declare::Answer for Response {
            fn throttle_time_ms(&self) -> i32 {
                0
            }
        }
    };
    ($other:ident: $($field:ident)*) => {};
}

/// The first of its arguments that is there.
#[doc(hidden)]
#[macro_export]
macro_rules! or {
    (, $default:expr) => {
        $default
    };
    ($value:expr, $default:expr) => {
        $value
    };
}

/// Whether a version carries a field.
#[doc(hidden)]
#[macro_export]
macro_rules! carried {
    ($version:expr) => {
        true
    };
    ($version:expr, $versions:expr) => {
        std::ops::RangeBounds::contains(&($versions), &$version)
    };
}

/// The description of one field.
#[doc(hidden)]
#[macro_export]
macro_rules! field {
    (
        $name:ident: $kind:ty, $tag:expr
        $(, $versions:expr $(, null $nullable:expr)? $(; $must:ident)?)?
    ) => {
        $crate::wire::Field {
            name: stringify!($name),
            shape: <$kind as $crate::wire::Wire>::SHAPE,
            carried: |_version| $crate::carried!(_version $(, $versions)?),
            nullable: |_version| $crate::carried!(_version $($(, $nullable)?)?),
            must: $crate::or!($($(stringify!($must))?)?, "").len() > 0,
            tag: $tag,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! read_field {
    ($r:expr) => {
        $crate::wire::Wire::read($r)?
    };
    ($r:expr, $nullable:expr) => {{
        let null_allowed = $crate::carried!($r.version(), $nullable);
        $crate::declare::read_restricted($r, null_allowed)?
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! write_field {
    ($value:expr, $w:expr) => {
        $crate::wire::Wire::write(&$value, $w)
    };
    ($value:expr, $w:expr, $nullable:expr) => {{
        let null_allowed = $crate::carried!($w.version(), $nullable);
        $crate::declare::write_restricted(&$value, $w, null_allowed)
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! refuse_loss {
    (must, $self:ident, $name:ident.$field:ident, $versions:expr, $w:ident) => {
        if !$crate::carried!($w.version(), $versions) && $self.$field != Self::default().$field {
            let field = concat!(stringify!($name), ".", stringify!($field));
            let version = $w.version();
            $w.fail($crate::wire::WireError::Unsayable { field, version });
        }
    };
}
