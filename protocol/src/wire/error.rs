/// Why bytes are not a message, or a message cannot become bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end in the middle of a value.
    #[error("the message ends in the middle of a value")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("{0} bytes are left after the last field")]
    Trailing(usize),
    /// Text is not UTF-8.
    #[error("text is not valid UTF-8")]
    NotUtf8,
    /// A null stands where this version does not allow one.
    #[error("null where a value must be")]
    UnexpectedNull,
    /// A length is negative, or larger than its type can say.
    #[error("{0} is no possible length")]
    Length(i64),
    /// A varint has more bits than its type.
    #[error("a varint has more bits than its type")]
    Varint,
    /// The elements of a message would take far more memory than the message itself.
    #[error("the elements of the message would take more than {0} bytes of memory")]
    Amplified(usize),
    /// The API has no such version here.
    #[error("API key {key} has no version {version} here")]
    Version {
        /// The key asked for.
        key: i16,
        /// The version asked for.
        version: i16,
    },
    /// A version is below zero.
    #[error("{0} is no possible version")]
    NegativeVersion(i16),
    /// The field matters, is set, and cannot be said in this version.
    #[error("version {version} cannot say field `{field}`")]
    Unsayable {
        /// The field, as `Struct.field`.
        field: &'static str,
        /// The version of the message.
        version: i16,
    },
}
