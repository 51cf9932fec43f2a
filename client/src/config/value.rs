//! What the values of settings may be.

use std::time::Duration;

use klamm_protocol::records::Compression;

/// A value that a properties file can say.
pub trait Value: Sized {
    /// What is expected, to be read after "expected".
    const EXPECTED: &'static str;
    /// Whether values are never to be shown.
    const SECRET: bool = false;

    /// Reads the form that a properties file has.
    fn parse(text: &str) -> Option<Self>;

    /// The form that a properties file has.
    fn print(&self) -> String;
}

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn print(&self) -> String {
        self.clone()
    }
}

/// Values separated by commas.
impl Value for Vec<String> {
    const EXPECTED: &'static str = "values separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
        Some(values.map(str::to_owned).collect())
    }

    fn print(&self) -> String {
        self.join(",")
    }
}

/// The ways of assigning that a member knows, the best liked first; at least one, and none twice.
impl Value for Vec<Assignor> {
    const EXPECTED: &'static str =
        "range, roundrobin, sticky or cooperative-sticky, or several separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let mut assignors = Self::new();
        for name in text.split(',') {
            let assignor = Assignor::parse(name.trim())?;
            if assignors.contains(&assignor) {
                return None;
            }
            assignors.push(assignor);
        }
        Some(assignors)
    }

    fn print(&self) -> String {
        self.iter().map(Assignor::print).collect::<Vec<_>>().join(",")
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.to_ascii_lowercase().parse().ok()
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// A count or a number of bytes, as far as the protocol can say it.
impl Value for usize {
    const EXPECTED: &'static str = "a whole number from 0 to 2147483647";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| i32::try_from(*number).is_ok())
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// A codec's level.
impl Value for i32 {
    const EXPECTED: &'static str = "a whole number";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// Milliseconds.
impl Value for Duration {
    const EXPECTED: &'static str = "milliseconds, from 0 to 2147483647";

    fn parse(text: &str) -> Option<Self> {
        let ms: u32 = text.parse().ok().filter(|ms| i32::try_from(*ms).is_ok())?;
        Some(Self::from_millis(ms.into()))
    }

    fn print(&self) -> String {
        // What is shorter than a millisecond is not nothing.
        self.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128).to_string()
    }
}

/// How long something may last; nothing for as long as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimit(pub Option<Duration>);

/// Milliseconds; no limit is -1 for Java and 0 for librdkafka.
impl Value for TimeLimit {
    const EXPECTED: &'static str = "milliseconds, from 1 to 2147483647, or -1 or 0 for no limit";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "-1" | "0" => Some(Self(None)),
            _ => Duration::parse(text).map(|limit| Self(Some(limit))),
        }
    }

    fn print(&self) -> String {
        self.0.as_ref().map_or_else(|| "-1".to_owned(), Duration::print)
    }
}

/// A setting that need not be set; empty text stands for none.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }

    fn print(&self) -> String {
        self.as_ref().map(T::print).unwrap_or_default()
    }
}

impl Value for Compression {
    const EXPECTED: &'static str = "none, gzip, snappy, lz4 or zstd";

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
    }

    fn print(&self) -> String {
        self.name().to_owned()
    }
}

macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        $name:ident, $expected:literal {
            $($(#[$choice_doc:meta])* $choice:ident = $text:literal $(| $alias:literal)*,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$choice_doc])* $choice,)* }

        impl Value for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($text $(| $alias)* => Some(Self::$choice),)*
                    _ => None,
                }
            }

            fn print(&self) -> String {
                match self { $(Self::$choice => $text.to_owned(),)* }
            }
        }
    )*};
}

pub(super) use choices;

choices! {
    /// How many replicas must hold a batch before the broker answers.
    Acks, "all, 1 or 0" {
        /// All that are in sync. What is acknowledged survives what the broker's durability says.
        #[default]
        All = "all" | "-1",
        /// The leader.
        Leader = "1",
        /// The broker does not answer, so that nobody knows.
        None = "0",
    }

    /// How the partition of a record is chosen, where the record does not name it.
    Partitioner, "fnv1a_random, murmur2_random or consistent_random" {
        /// FNV-1a of the key, as sarama and kafka-go have it. Records without a key fill one
        /// batch after the other.
        #[default]
        Fnv1a = "fnv1a_random" | "fnv1a",
        /// MurmurHash 2 of the key, as the Java clients have it; otherwise as the first.
        Murmur2 = "murmur2_random" | "murmur2",
        /// CRC-32 of the key, as librdkafka has it; otherwise as the first.
        Crc32 = "consistent_random" | "consistent",
    }

    /// How the leader of a group decides who gets which partitions.
    Assignor, "range, roundrobin, sticky or cooperative-sticky" {
        /// Neighbouring partitions of each topic to one member.
        #[default]
        Range = "range" | "org.apache.kafka.clients.consumer.rangeassignor",
        /// One partition after the other to one member after the other.
        RoundRobin = "roundrobin" | "org.apache.kafka.clients.consumer.roundrobinassignor",
        /// Evenly, with as little movement as can be.
        Sticky = "sticky" | "org.apache.kafka.clients.consumer.stickyassignor",
        /// Likewise, and what does not move is read on while the group rebalances.
        CooperativeSticky = "cooperative-sticky"
            | "org.apache.kafka.clients.consumer.cooperativestickyassignor",
    }

    /// How the members of a group agree.
    GroupProtocol, "classic or consumer" {
        /// One of them assigns.
        #[default]
        Classic = "classic",
        /// The broker assigns (KIP-848).
        Consumer = "consumer",
    }

    /// Whether records of unfinished and aborted transactions are seen.
    IsolationLevel, "read_uncommitted or read_committed" {
        /// They are.
        #[default]
        ReadUncommitted = "read_uncommitted",
        /// They are not.
        ReadCommitted = "read_committed",
    }

    /// What a client does when it cannot reach any broker that it knows of (KIP-899).
    MetadataRecovery, "rebootstrap or none" {
        /// It asks the bootstrap servers again, whose names are resolved anew.
        #[default]
        Rebootstrap = "rebootstrap",
        /// It goes on with the brokers that it knows of.
        None = "none",
    }

    /// How a connection is protected.
    SecurityProtocol, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL" {
        /// Not at all.
        #[default]
        Plaintext = "plaintext",
        /// By TLS.
        Ssl = "ssl",
        /// By SASL, in the clear.
        SaslPlaintext = "sasl_plaintext",
        /// By SASL inside TLS.
        SaslSsl = "sasl_ssl",
    }
}
