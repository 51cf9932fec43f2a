/// What a type looks like on the wire: enough to make or to walk a message without its type.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// One byte, 0 or 1.
    Bool,
    /// A value of so many bytes.
    Fixed(usize),
    /// UTF-8 behind the length of a string.
    Text,
    /// Any bytes behind their length.
    Bytes,
    /// Elements behind their count.
    Array(&'static Shape),
    /// A value that may be null.
    Nullable(&'static Shape),
    /// Fields, one after the other; in flexible messages the tagged ones behind them.
    Struct(&'static [Field]),
}

/// One field of a structure, as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether a version carries it.
    pub carried: fn(i16) -> bool,
    /// Whether it may be null in a version that carries it, if its shape has a null at all.
    pub nullable: fn(i16) -> bool,
    /// Whether a version that lacks it refuses a message in which it is set.
    pub must: bool,
    /// Its number, if it is tagged.
    pub tag: Option<u32>,
}
