//! What a fetch session remembers (KIP-227), as pure state: which partitions the client follows,
//! what it asks of each, and what it was last told, so that both sides name only what changes.
//!
//! - A request names what it adds or asks anew, and what is to be forgotten.
//! - An answer names a partition that gives records, has an error to tell, has parted from the
//!   client's log, or whose high watermark or start moved since the client was told.
//! - Partitions are read in order. One that gives records goes to the end, so that a busy one
//!   never starves those behind it.
//! - Topics go by name or by id for as long as the session lives, never by both.

use std::collections::{BTreeMap, HashMap};

use klamm_protocol::api::fetch::{
    EpochEnd, ForgottenTopic, Partition as Wanted, PartitionAnswer, Topic,
};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Records, Str, Uuid};

/// What a followed partition takes in memory, its topic's name aside.
const PARTITION_BYTES: usize = 256;

/// How a client calls a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TopicKey {
    Name(Str),
    Id(Uuid),
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) topic: TopicKey,
    pub(super) index: i32,
}

/// What a client asks of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) offset: i64,
    pub(super) bytes_max: i32,
    /// -1 where the client does not know it.
    pub(super) leader_epoch: i32,
    /// The epoch of the last record that the client has; -1 where it does not check.
    pub(super) last_epoch: i32,
}

/// How much a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) partitions: usize,
    pub(crate) bytes: usize,
}

/// The place of a partition in the order in which a session is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

/// A partition that is followed.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) place: Place,
    pub(super) ask: Ask,
    /// The name that the topic's id was found to have.
    pub(super) known_as: Option<Str>,
    told: Told,
}

/// What the client knows of a partition; -1 where nothing.
#[derive(Clone, Copy, Debug)]
struct Told {
    high_watermark: i64,
    log_start_offset: i64,
}

/// One fetch session.
#[derive(Debug)]
pub(super) struct Session {
    by_id: bool,
    /// What the next request must bear.
    epoch: i32,
    followed: BTreeMap<Turn, Followed>,
    turns: HashMap<Place, Turn>,
    next_turn: u64,
    /// Bytes of the names of all followed partitions, counted for each.
    name_bytes: usize,
}

impl TopicKey {
    /// The topic of a request, or of an answer to it.
    pub(super) fn new(by_id: bool, name: &Str, id: Uuid) -> Self {
        if by_id { Self::Id(id) } else { Self::Name(name.clone()) }
    }

    /// The same without a hold on the bytes of the request.
    pub(super) fn detached(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(name.detached()),
            Self::Id(id) => Self::Id(*id),
        }
    }

    fn name_bytes(&self) -> usize {
        match self {
            Self::Name(name) => name.len(),
            Self::Id(_) => 0,
        }
    }
}

impl Ask {
    pub(super) fn of(wanted: &Wanted) -> Self {
        Self {
            offset: wanted.fetch_offset,
            bytes_max: wanted.partition_max_bytes,
            leader_epoch: wanted.current_leader_epoch,
            last_epoch: wanted.last_fetched_epoch,
        }
    }
}

impl Session {
    /// A session that follows these partitions, about which the client is being told so much. Its
    /// next request bears epoch 1.
    pub(super) fn open<'a>(
        by_id: bool,
        asked: impl IntoIterator<Item = (Followed, &'a PartitionAnswer)>,
    ) -> Self {
        let mut session = Self {
            by_id,
            epoch: 1,
            followed: BTreeMap::new(),
            turns: HashMap::new(),
            next_turn: 0,
            name_bytes: 0,
        };
        for (Followed { place, ask, known_as, mut told }, answer) in asked {
            told.hear(answer);
            let turn = session.follow(place, ask);
            session.followed.entry(turn).and_modify(|followed| {
                followed.known_as = known_as;
                followed.told = told;
            });
        }
        session
    }

    /// What the next request must bear.
    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(super) fn size(&self) -> Size {
        let partitions = self.followed.len();
        Size { partitions, bytes: partitions * PARTITION_BYTES + self.name_bytes }
    }

    /// Takes the changes that a request brings.
    ///
    /// # Errors
    /// The request does not come next, or calls topics in the other way; nothing has changed.
    pub(super) fn advance(
        &mut self,
        epoch: i32,
        by_id: bool,
        asked: &[Topic],
        forgotten: &[ForgottenTopic],
    ) -> Result<(), ErrorCode> {
        if epoch != self.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if by_id != self.by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        for topic in asked {
            let key = TopicKey::new(by_id, &topic.topic, topic.topic_id).detached();
            for partition in &topic.partitions {
                let place = Place { topic: key.clone(), index: partition.partition };
                self.follow(place, Ask::of(partition));
            }
        }
        for topic in forgotten {
            let key = TopicKey::new(by_id, &topic.topic, topic.topic_id);
            for &index in &topic.partitions {
                self.forget(&Place { topic: key.clone(), index });
            }
        }
        self.epoch = epoch.checked_add(1).unwrap_or(1);
        Ok(())
    }

    /// Follows a partition, or asks something else of one that is followed.
    fn follow(&mut self, place: Place, ask: Ask) -> Turn {
        if let Some(&turn) = self.turns.get(&place) {
            self.followed.entry(turn).and_modify(|followed| followed.ask = ask);
            return turn;
        }
        self.name_bytes += place.topic.name_bytes();
        self.push(Followed::new(place, ask))
    }

    fn forget(&mut self, place: &Place) {
        if let Some(turn) = self.turns.remove(place) {
            self.followed.remove(&turn);
            self.name_bytes -= place.topic.name_bytes();
        }
    }

    fn push(&mut self, followed: Followed) -> Turn {
        let turn = Turn(self.next_turn);
        self.next_turn += 1;
        self.turns.insert(followed.place.clone(), turn);
        self.followed.insert(turn, followed);
        turn
    }

    /// Every followed partition, in the order in which they are to be read.
    pub(super) fn followed(&mut self) -> impl Iterator<Item = (Turn, &mut Followed)> {
        self.followed.iter_mut().map(|(turn, followed)| (*turn, followed))
    }

    /// Notes what there is to tell of a partition. Whether the answer must name it.
    pub(super) fn tell(&mut self, turn: Turn, answer: &PartitionAnswer) -> bool {
        let Some(followed) = self.followed.get_mut(&turn) else { return false };
        let is_news = followed.told.hear(answer);
        if !is_empty(answer)
            && let Some(followed) = self.followed.remove(&turn)
        {
            self.push(followed);
        }
        is_news
    }
}

impl Followed {
    /// A partition about which the client knows nothing.
    pub(super) fn new(place: Place, ask: Ask) -> Self {
        let told = Told { high_watermark: -1, log_start_offset: -1 };
        Self { place, ask, known_as: None, told }
    }
}

impl Told {
    /// Notes what the client is told. Whether any of it is news.
    fn hear(&mut self, answer: &PartitionAnswer) -> bool {
        let must_be_heard =
            !answer.error_code.is_none() || answer.diverging_epoch != EpochEnd::default();
        let is_news = must_be_heard
            || !is_empty(answer)
            || answer.high_watermark != self.high_watermark
            || answer.log_start_offset != self.log_start_offset;
        // Once the error is gone, the client is told so.
        self.high_watermark = if must_be_heard { -1 } else { answer.high_watermark };
        self.log_start_offset = answer.log_start_offset;
        is_news
    }
}

fn is_empty(answer: &PartitionAnswer) -> bool {
    answer.records.as_ref().is_none_or(Records::is_empty)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const PARTITIONS: usize = 5;

    fn wanted(indexes: impl IntoIterator<Item = i32>, fetch_offset: i64) -> Vec<Topic> {
        let partition = |partition| Wanted { partition, fetch_offset, ..Wanted::default() };
        let partitions = indexes.into_iter().map(partition).collect();
        vec![Topic { topic: "t".into(), partitions, ..Topic::default() }]
    }

    fn forgotten(indexes: impl IntoIterator<Item = i32>) -> Vec<ForgottenTopic> {
        let partitions = indexes.into_iter().collect();
        vec![ForgottenTopic { topic: "t".into(), partitions, ..ForgottenTopic::default() }]
    }

    fn answer(
        high_watermark: i64,
        log_start_offset: i64,
        records: &'static str,
    ) -> PartitionAnswer {
        let records = Some(Records::from(Bytes::from_static(records.as_bytes())));
        PartitionAnswer { high_watermark, log_start_offset, records, ..PartitionAnswer::default() }
    }

    /// A session over partitions 0 to 2, of which the client knows that they are empty.
    fn session() -> Session {
        let told = answer(0, 0, "");
        let followed = |index| {
            let place = Place { topic: TopicKey::Name("t".into()), index };
            (Followed::new(place, Ask::of(&Wanted::default())), &told)
        };
        Session::open(false, (0..3).map(followed))
    }

    fn order(session: &mut Session) -> Vec<i32> {
        session.followed().map(|(_, followed)| followed.place.index).collect()
    }

    fn turn(session: &Session, index: i32) -> Turn {
        session.turns[&Place { topic: TopicKey::Name("t".into()), index }]
    }

    #[test]
    fn requests_come_in_the_order_of_their_epochs() {
        let mut session = session();
        for epoch in [0, 2, -5] {
            let refused = session.advance(epoch, false, &[], &[]);
            assert_eq!(refused, Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        }
        let refused = session.advance(1, true, &[], &[]);
        assert_eq!(refused, Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
        assert_eq!(session.advance(1, false, &[], &[]), Ok(()));
        session.epoch = i32::MAX;
        assert_eq!(session.advance(i32::MAX, false, &[], &[]), Ok(()));
        assert_eq!(session.epoch(), 1);
    }

    #[test]
    fn a_request_adds_changes_and_forgets() {
        let mut session = session();
        session.advance(1, false, &wanted([3, 1], 7), &forgotten([0, 9])).unwrap();
        assert_eq!(order(&mut session), [1, 2, 3]);
        let offsets: Vec<_> = session.followed().map(|(_, it)| it.ask.offset).collect();
        assert_eq!(offsets, [7, 0, 7]);
        assert_eq!(session.size(), Size { partitions: 3, bytes: 3 * (PARTITION_BYTES + 1) });
        session.advance(2, false, &[], &forgotten(0..9)).unwrap();
        assert_eq!(session.size(), Size::default());
    }

    #[test]
    fn one_that_gives_records_goes_to_the_end() {
        let mut session = session();
        let first = turn(&session, 0);
        assert!(session.tell(first, &answer(1, 0, "batch")));
        assert_eq!(order(&mut session), [1, 2, 0]);
        let second = turn(&session, 1);
        assert!(!session.tell(second, &answer(0, 0, "")));
        assert_eq!(order(&mut session), [1, 2, 0]);
    }

    #[test]
    fn an_error_is_told_each_time_and_so_is_its_end() {
        let mut session = session();
        let turn = turn(&session, 0);
        let error =
            PartitionAnswer { error_code: ErrorCode::KAFKA_STORAGE_ERROR, ..answer(0, 0, "") };
        assert!(session.tell(turn, &error));
        assert!(session.tell(turn, &error));
        assert!(session.tell(turn, &answer(0, 0, "")));
        assert!(!session.tell(turn, &answer(0, 0, "")));
        let parted = EpochEnd { epoch: 1, end_offset: 0 };
        assert!(
            session.tell(turn, &PartitionAnswer { diverging_epoch: parted, ..answer(0, 0, "") })
        );
        assert!(session.tell(turn, &answer(0, 0, "")));
    }

    /// High watermark, start and error of a partition.
    type Truth = (i64, i64, i16);

    #[derive(Clone, Debug)]
    enum Step {
        Follow(i32),
        Forget(i32),
        Change(usize, Truth),
        Fetch,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..PARTITIONS as i32).prop_map(Step::Follow),
            (0..PARTITIONS as i32).prop_map(Step::Forget),
            (0..PARTITIONS, (0..3i64, 0..2i64, 0..2i16))
                .prop_map(|(at, now)| Step::Change(at, now)),
            Just(Step::Fetch),
        ]
    }

    /// Tells the client of each followed partition what there is to tell.
    fn tell_all(session: &mut Session, truth: &[Truth], known: &mut BTreeMap<i32, Option<Truth>>) {
        let turns: Vec<_> =
            session.followed().map(|(turn, followed)| (turn, followed.place.index)).collect();
        assert_eq!(turns.len(), known.len());
        for (turn, index) in turns {
            let now = truth[usize::try_from(index).unwrap()];
            let (high_watermark, start, error) = now;
            let error_code = ErrorCode(error);
            let told = PartitionAnswer { error_code, ..answer(high_watermark, start, "") };
            if session.tell(turn, &told) {
                known.insert(index, Some(now));
            }
            assert_eq!(known[&index], Some(now));
        }
    }

    proptest! {
        /// What is left out of an answer is as the client knows it.
        #[test]
        fn the_client_knows_what_it_follows(steps in prop::collection::vec(step(), 1..60)) {
            let mut session = Session::open(false, []);
            let mut truth = [(0, 0, 0); PARTITIONS];
            let mut known = BTreeMap::new();
            for step in steps.into_iter().chain([Step::Fetch]) {
                match step {
                    Step::Follow(index) => {
                        session.advance(session.epoch(), false, &wanted([index], 0), &[]).unwrap();
                        known.entry(index).or_insert(None);
                    }
                    Step::Forget(index) => {
                        session.advance(session.epoch(), false, &[], &forgotten([index])).unwrap();
                        known.remove(&index);
                    }
                    Step::Change(index, now) => truth[index] = now,
                    Step::Fetch => tell_all(&mut session, &truth, &mut known),
                }
            }
        }
    }
}
