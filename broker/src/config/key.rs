//! One configuration key: what it is called, which values it takes, who may change it when.

use super::value::{self, ConfigError};

/// The types of Kafka's configuration values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts between commas.
    List,
    /// The name of a Java class; never loaded here.
    Class,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// The number that says it in a DescribeConfigs answer.
    #[must_use]
    pub fn id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Kafka's name for it, as its error texts have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// Which values of its type a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All of them.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// Numbers within these bounds, both included.
    Between(i64, i64),
    /// Numbers within these bounds, or this one.
    BetweenOr(i64, i64, i64),
    /// One of these texts; of a list, each element.
    OneOf(&'static [&'static str]),
    /// One of these texts, in capitals or not.
    OneOfInAnyCase(&'static [&'static str]),
    /// Any number but zero.
    NotZero,
    /// `*`, or pairs of partition and broker.
    ThrottledReplicas,
    /// `earliest`, `latest`, or how far back.
    OffsetReset,
}

/// Whether a running broker lets the key be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dynamic {
    /// Only where the broker is started.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

/// Whether the key does anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This broker acts on it.
    Used,
    /// Accepted and shown with Kafka's default, so that tools find what they look for.
    Listed,
}

/// What is shown about a key that does nothing here.
const LISTED: &str = "Accepted and shown for compatibility; this broker does not act on it.";

/// A broker key from which a key of a topic or group takes its default, and how many units of
/// that key one unit of it is.
pub type Source = (&'static str, i64);

/// One row of the tables under `keys/`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The value that holds when nobody sets one; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// The values it takes.
    pub valid: Valid,
    /// Whether it can change while the broker runs. Others than broker keys always can.
    pub dynamic: Dynamic,
    /// Whether it does anything here.
    pub effect: Effect,
    /// Of a topic or group key, the broker keys that give its default, the strongest first. Empty where
    /// Kafka has none.
    pub sources: &'static [Source],
    /// What it does, in a sentence.
    pub documentation: &'static str,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {$(
        $(#[$doc])*
        pub(super) const fn $name(name: &'static str, default: &'static str) -> Key {
            Key::listed(name, Kind::$kind, Some(default))
        }
    )*};
}

constructors! {
    boolean Boolean;
    string String;
    int Int;
    short Short;
    long Long;
    double Double;
    list List;
    class Class;
}

/// A key that has no default.
pub(super) const fn unset(name: &'static str, kind: Kind) -> Key {
    Key::listed(name, kind, None)
}

impl Key {
    const fn listed(name: &'static str, kind: Kind, default: Option<&'static str>) -> Self {
        Self {
            name,
            kind,
            default,
            valid: Valid::Any,
            dynamic: Dynamic::ReadOnly,
            effect: Effect::Listed,
            sources: &[],
            documentation: LISTED,
        }
    }

    pub(super) const fn at_least(mut self, min: i64) -> Self {
        self.valid = Valid::AtLeast(min);
        self
    }

    pub(super) const fn between(mut self, min: i64, max: i64) -> Self {
        self.valid = Valid::Between(min, max);
        self
    }

    pub(super) const fn between_or(mut self, min: i64, max: i64, other: i64) -> Self {
        self.valid = Valid::BetweenOr(min, max, other);
        self
    }

    pub(super) const fn one_of(mut self, texts: &'static [&'static str]) -> Self {
        self.valid = Valid::OneOf(texts);
        self
    }

    pub(super) const fn one_of_in_any_case(mut self, texts: &'static [&'static str]) -> Self {
        self.valid = Valid::OneOfInAnyCase(texts);
        self
    }

    pub(super) const fn throttled_replicas(mut self) -> Self {
        self.valid = Valid::ThrottledReplicas;
        self
    }

    pub(super) const fn not_zero(mut self) -> Self {
        self.valid = Valid::NotZero;
        self
    }

    pub(super) const fn offset_reset(mut self) -> Self {
        self.valid = Valid::OffsetReset;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.dynamic = Dynamic::PerBroker;
        self
    }

    pub(super) const fn cluster_wide(mut self) -> Self {
        self.dynamic = Dynamic::ClusterWide;
        self
    }

    pub(super) const fn from(mut self, sources: &'static [Source]) -> Self {
        self.sources = sources;
        self
    }

    pub(super) const fn used(mut self, documentation: &'static str) -> Self {
        self.effect = Effect::Used;
        self.documentation = documentation;
        self
    }

    /// Whether the value is never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Says why `text` cannot be the value of this key, in Kafka's words.
    ///
    /// # Errors
    /// The text is not of the key's type, or the value is none that the key takes.
    pub fn validate(&self, text: &str) -> Result<(), ConfigError> {
        value::validate(self, text)
    }

    /// A value of this key as it is shown: as it is read, not as it was written.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        value::shown(self.kind, text)
    }
}
