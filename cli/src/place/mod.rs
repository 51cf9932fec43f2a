//! Places in a partition, as people say them.

mod time;

use std::collections::BTreeMap;

use klamm_client::admin::{Admin, OffsetSpec};
use klamm_protocol::wire::Str;

/// A partition by topic and number.
pub(crate) type Partition = (Str, i32);

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    End,
    Offset(i64),
    AfterStart(i64),
    BeforeEnd(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// The bounds of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The first offset that is there.
    pub(crate) start: i64,
    /// The offset behind the last one.
    pub(crate) end: i64,
}

impl Place {
    /// Reads a place; `now_ms` is the present time.
    pub(crate) fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let count = |text: &str| text.parse().ok().filter(|count: &i64| *count >= 0);
        Some(match text {
            "start" | "beginning" | "earliest" => Self::Start,
            "end" | "latest" => Self::End,
            _ => match text.split_at_checked(1)? {
                ("@", moment) => Self::Time(time::parse(moment, now_ms)?),
                ("+", rest) if !rest.starts_with('+') => Self::AfterStart(count(rest)?),
                ("-", rest) if !rest.starts_with('+') => Self::BeforeEnd(count(rest)?),
                _ => Self::Offset(count(text)?),
            },
        })
    }

    /// Reads a moment without the sign that tells it from an offset, where there is no need of it.
    pub(crate) fn parse_moment(text: &str, now_ms: i64) -> Option<Self> {
        Some(Self::Time(time::parse(text, now_ms)?))
    }

    /// What a broker must be asked to find the place, besides the bounds.
    fn question(self) -> Option<OffsetSpec> {
        match self {
            Self::Time(ms) => Some(OffsetSpec::Timestamp(ms)),
            _ => None,
        }
    }

    /// The offset, never before the first that is there. `found` is the answer to the
    /// [`question`](Self::question): none where nothing is that late.
    pub(crate) fn offset(self, bounds: Bounds, found: Option<i64>) -> i64 {
        let offset = match self {
            Self::Start => bounds.start,
            Self::End => bounds.end,
            Self::Offset(offset) => offset,
            Self::AfterStart(count) => bounds.start.saturating_add(count),
            Self::BeforeEnd(count) => bounds.end.saturating_sub(count),
            Self::Time(_) => found.unwrap_or(bounds.end),
        };
        offset.max(bounds.start)
    }
}

/// The bounds of partitions.
pub(crate) async fn bounds(
    admin: &Admin,
    partitions: &[Partition],
) -> anyhow::Result<BTreeMap<Partition, Bounds>> {
    let starts = ask(admin, partitions, OffsetSpec::Earliest).await?;
    let ends = ends(admin, partitions).await?;
    let found =
        |answers: &Answers, partition: &Partition| answers.get(partition).copied().flatten();
    let bounds = |partition: &Partition| {
        let start = found(&starts, partition).unwrap_or(0);
        let end = found(&ends, partition).unwrap_or(0);
        (partition.clone(), Bounds { start, end })
    };
    Ok(partitions.iter().map(bounds).collect())
}

/// Where partitions end.
pub(crate) async fn ends(admin: &Admin, partitions: &[Partition]) -> anyhow::Result<Answers> {
    ask(admin, partitions, OffsetSpec::Latest).await
}

/// Offsets by partition; none where no record is that late.
pub(crate) type Answers = BTreeMap<Partition, Option<i64>>;

/// What brokers answer to the place's [`question`](Place::question), if there is one.
pub(crate) async fn ask_for(
    admin: &Admin,
    partitions: &[Partition],
    place: Option<Place>,
) -> anyhow::Result<Answers> {
    match place.and_then(Place::question) {
        Some(question) => ask(admin, partitions, question).await,
        None => Ok(Answers::new()),
    }
}

async fn ask(
    admin: &Admin,
    partitions: &[Partition],
    question: OffsetSpec,
) -> anyhow::Result<Answers> {
    let wanted: Vec<_> =
        partitions.iter().map(|(topic, index)| (topic.clone(), *index, question)).collect();
    let outcomes = admin.list_offsets(&wanted).await?;
    let answers = outcomes.into_iter().map(|(partition, found)| Ok((partition, found?.offset)));
    answers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_offsets() {
        let bounds = Bounds { start: 10, end: 20 };
        let check = |place: Place, found, offset| {
            assert_eq!(place.offset(bounds, found), offset, "{place:?}");
        };
        check(Place::Start, None, 10);
        check(Place::End, None, 20);
        check(Place::Offset(3), None, 10);
        check(Place::Offset(30), None, 30);
        check(Place::AfterStart(2), None, 12);
        check(Place::BeforeEnd(2), None, 18);
        check(Place::BeforeEnd(200), None, 10);
        check(Place::Time(1), Some(15), 15);
        check(Place::Time(1), None, 20);
    }
}
