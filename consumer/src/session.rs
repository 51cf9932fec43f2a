//! The client's side of a fetch session (KIP-227): of all that is wanted, what a request has to
//! name. Pure: no task, no socket.
//!
//! - The first request names everything and asks for a session. A broker may give none: then each
//!   request names everything.
//! - Later ones name what is new, what is wanted from elsewhere, and what is wanted no more.
//! - Whatever goes wrong, the next request names everything again, and closes the old session.

use std::collections::BTreeMap;

use klamm_protocol::api::fetch::{ForgottenTopic, Partition, Request, Response, Topic};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Uuid;

use crate::assignment::Place;

/// The id that means no session.
const NO_SESSION: i32 = 0;
/// Asks for a session to be opened.
const EPOCH_OPEN: i32 = 0;

/// What is wanted of a partition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Want {
    /// Zero where topics go by name.
    pub(crate) topic_id: Uuid,
    pub(crate) partition: Partition,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: i32,
    /// What the next request bears.
    epoch: i32,
    /// What the broker knows to be wanted, while there is a session.
    known: BTreeMap<Place, Want>,
    /// The high watermarks that the broker has told in this session.
    told: BTreeMap<Place, i64>,
}

impl Session {
    /// The part of the next request that says what is wanted. Unless its answer is
    /// [`heard`](Self::heard), nobody knows whether it arrived, and the one after it opens the
    /// session anew.
    pub(crate) fn request(&mut self, wanted: BTreeMap<Place, Want>) -> Request {
        let has_ids = |wants: &BTreeMap<Place, Want>| {
            wants.values().next().is_some_and(|want| !want.topic_id.is_zero())
        };
        if has_ids(&self.known) != has_ids(&wanted) {
            // A session goes by name or by id for as long as it lives.
            self.epoch = EPOCH_OPEN;
        }
        if self.epoch == EPOCH_OPEN {
            self.known.clear();
            self.told.clear();
        }
        let mut request = Request {
            session_id: self.id,
            session_epoch: self.epoch,
            topics: Vec::new(),
            forgotten_topics: Vec::new(),
            ..Request::default()
        };
        for (place, known) in &self.known {
            if wanted.get(place).is_none_or(|want| want.topic_id != known.topic_id) {
                forget(&mut request.forgotten_topics, place, known.topic_id);
                self.told.remove(place);
            }
        }
        for (place, want) in &wanted {
            if self.known.get(place) != Some(want) {
                name(&mut request.topics, place, want);
            }
        }
        self.known = wanted;
        self.epoch = EPOCH_OPEN;
        request
    }

    /// Takes note of the answer to the request that bore this epoch. Whether the session has ended
    /// and is to be opened anew: then the answer says nothing, and the same may be asked again at
    /// once.
    pub(crate) fn heard(&mut self, epoch: i32, answer: &Response) -> bool {
        if !answer.error_code.is_none() {
            if answer.error_code == ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                self.id = NO_SESSION;
            }
            return epoch != EPOCH_OPEN && is_about_session(answer.error_code);
        }
        self.id = answer.session_id;
        self.epoch = match self.id {
            NO_SESSION => EPOCH_OPEN,
            _ => epoch.checked_add(1).unwrap_or(1),
        };
        false
    }

    /// Takes note of what an answer says of a partition.
    pub(crate) fn tell(&mut self, place: &Place, high_watermark: i64) {
        self.told.insert(place.clone(), high_watermark);
    }

    /// What holds for a partition of which an answer says nothing.
    pub(crate) fn high_watermark(&self, place: &Place) -> Option<i64> {
        self.told.get(place).copied()
    }
}

fn is_about_session(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
            | ErrorCode::INVALID_FETCH_SESSION_EPOCH
            | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
            | ErrorCode::INCONSISTENT_TOPIC_ID
    )
}

/// Adds a partition to its topic, which is the last one if it is there: places come in order.
fn name(topics: &mut Vec<Topic>, place: &Place, want: &Want) {
    let partition = want.partition.clone();
    match topics.last_mut().filter(|topic| topic.topic == place.0) {
        Some(topic) => topic.partitions.push(partition),
        None => topics.push(Topic {
            topic: place.0.clone(),
            topic_id: want.topic_id,
            partitions: vec![partition],
        }),
    }
}

/// As [`name`], where a topic may have gone by several ids.
fn forget(topics: &mut Vec<ForgottenTopic>, place: &Place, topic_id: Uuid) {
    let is_same =
        |topic: &&mut ForgottenTopic| topic.topic == place.0 && topic.topic_id == topic_id;
    match topics.last_mut().filter(is_same) {
        Some(topic) => topic.partitions.push(place.1),
        None => topics.push(ForgottenTopic {
            topic: place.0.clone(),
            topic_id,
            partitions: vec![place.1],
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn want(id: u8, index: i32, fetch_offset: i64) -> Want {
        let partition = Partition { partition: index, fetch_offset, ..Partition::default() };
        Want { topic_id: Uuid([id; 16]), partition }
    }

    /// Partitions 0.. of a topic, each from its offset.
    fn wants(id: u8, offsets: &[i64]) -> BTreeMap<Place, Want> {
        let wants = (0..).zip(offsets);
        wants.map(|(index, offset)| (("t".into(), index), want(id, index, *offset))).collect()
    }

    fn answer(session_id: i32, error_code: ErrorCode) -> Response {
        Response { session_id, error_code, ..Response::default() }
    }

    /// A session that is open, in which partitions 0 to 2 are wanted from 0.
    fn open() -> Session {
        let mut session = Session::default();
        let request = session.request(wants(1, &[0, 0, 0]));
        assert_eq!((request.session_id, request.session_epoch), (0, 0));
        assert_eq!(named(&request), (vec![0, 1, 2], vec![]));
        assert!(!session.heard(0, &answer(7, ErrorCode::NONE)));
        session
    }

    fn named(request: &Request) -> (Vec<i32>, Vec<i32>) {
        let topics = request.topics.iter().flat_map(|topic| &topic.partitions);
        let forgotten = request.forgotten_topics.iter().flat_map(|topic| &topic.partitions);
        (topics.map(|partition| partition.partition).collect(), forgotten.copied().collect())
    }

    /// Checks id and epoch of the next request, and which partitions it names and forgets; then
    /// has it answered by a session of this id, or by none.
    fn check(
        session: &mut Session,
        wanted: BTreeMap<Place, Want>,
        (id, epoch): (i32, i32),
        named_and_forgotten: (&[i32], &[i32]),
    ) {
        let request = session.request(wanted);
        assert_eq!((request.session_id, request.session_epoch), (id, epoch));
        let (topics, forgotten) = named(&request);
        assert_eq!((topics.as_slice(), forgotten.as_slice()), named_and_forgotten);
        assert!(!session.heard(epoch, &answer(id, ErrorCode::NONE)));
    }

    #[test]
    fn only_changes_are_named() {
        let mut session = open();
        check(&mut session, wants(1, &[0, 0, 0]), (7, 1), (&[], &[]));
        check(&mut session, wants(1, &[0, 5]), (7, 2), (&[1], &[2]));
        check(&mut session, wants(1, &[0, 5, 0]), (7, 3), (&[2], &[]));
    }

    #[test]
    fn a_topic_that_was_made_anew_is_another_one() {
        let mut session = open();
        check(&mut session, wants(2, &[0, 0]), (7, 1), (&[0, 1], &[0, 1, 2]));
    }

    #[test]
    fn a_session_goes_by_name_or_by_id() {
        let mut session = open();
        check(&mut session, wants(0, &[0]), (7, 0), (&[0], &[]));
        check(&mut session, wants(0, &[0]), (7, 1), (&[], &[]));
    }

    #[test]
    fn after_a_failure_everything_is_named_again() {
        let everything = [0, 0, 0];
        let mut session = open();
        session.request(wants(1, &everything));
        check(&mut session, wants(1, &everything), (7, 0), (&[0, 1, 2], &[]));

        let mut session = open();
        session.request(wants(1, &everything));
        assert!(session.heard(1, &answer(0, ErrorCode::INVALID_FETCH_SESSION_EPOCH)));
        check(&mut session, wants(1, &everything), (7, 0), (&[0, 1, 2], &[]));

        let mut session = open();
        session.request(wants(1, &everything));
        assert!(session.heard(1, &answer(0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND)));
        check(&mut session, wants(1, &everything), (0, 0), (&[0, 1, 2], &[]));
        // A broker that says so of a request that opens a session is not asked again at once.
        assert!(!session.heard(0, &answer(0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND)));
    }

    #[test]
    fn without_a_session_each_request_names_everything() {
        let mut session = Session::default();
        for _ in 0..3 {
            check(&mut session, wants(1, &[0, 3]), (0, 0), (&[0, 1], &[]));
        }
    }

    #[test]
    fn what_was_told_holds_while_the_session_does() {
        let place: Place = ("t".into(), 1);
        let mut session = open();
        session.tell(&place, 5);
        check(&mut session, wants(1, &[0, 0, 0]), (7, 1), (&[], &[]));
        assert_eq!(session.high_watermark(&place), Some(5));
        check(&mut session, wants(1, &[0]), (7, 2), (&[], &[1, 2]));
        assert_eq!(session.high_watermark(&place), None);
        session.tell(&place, 6);
        session.request(wants(1, &[0, 0]));
        session.request(wants(1, &[0, 0]));
        assert_eq!(session.high_watermark(&place), None);
    }

    #[test]
    fn epochs_begin_again_at_one() {
        let mut session = open();
        session.epoch = i32::MAX;
        check(&mut session, wants(1, &[0, 0, 0]), (7, i32::MAX), (&[], &[]));
        check(&mut session, wants(1, &[0, 0, 0]), (7, 1), (&[], &[]));
    }

    /// What a broker knows to be wanted after a request.
    fn follow(followed: &mut BTreeMap<(Uuid, i32), i64>, request: &Request) {
        if request.session_epoch == EPOCH_OPEN {
            followed.clear();
        }
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = (topic.topic_id, partition.partition);
                followed.insert(key, partition.fetch_offset);
            }
        }
        for topic in &request.forgotten_topics {
            for index in &topic.partitions {
                followed.remove(&(topic.topic_id, *index));
            }
        }
    }

    proptest! {
        #[test]
        fn the_broker_knows_what_is_wanted(
            steps in prop::collection::vec(
                (0..3u8, prop::collection::vec(0..3i64, 0..4), 0..4u8),
                1..30,
            ),
        ) {
            let (mut session, mut followed) = (Session::default(), BTreeMap::new());
            for (id, offsets, fate) in steps {
                let wanted = wants(id, &offsets);
                let expected: BTreeMap<_, _> = wanted
                    .values()
                    .map(|want| ((want.topic_id, want.partition.partition), want.partition.fetch_offset))
                    .collect();
                let request = session.request(wanted);
                follow(&mut followed, &request);
                prop_assert_eq!(&followed, &expected);
                let error = match fate {
                    // The answer is lost.
                    0 => continue,
                    1 => ErrorCode::INVALID_FETCH_SESSION_EPOCH,
                    _ => ErrorCode::NONE,
                };
                session.heard(request.session_epoch, &answer(9, error));
            }
        }
    }
}
