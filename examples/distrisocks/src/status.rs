//! How far a message has come. It only goes forward.

use serde::{Deserialize, Serialize};

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It is in the database.
    None,
    /// The broker has it, for the pod that its receiver is at.
    Sent,
    /// Its receiver has it.
    Delivered,
}

impl Status {
    /// As it stands in the database, where the larger number wins.
    #[must_use]
    pub fn rank(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Sent => 1,
            Self::Delivered => 2,
        }
    }

    /// The status of a rank; the last, if it is one that only a newer version knows: a message
    /// never goes back.
    #[must_use]
    pub fn of_rank(rank: i16) -> Self {
        match rank {
            ..=0 => Self::None,
            1 => Self::Sent,
            2.. => Self::Delivered,
        }
    }

    /// What it is after this news.
    #[must_use]
    pub fn after(self, news: Self) -> Self {
        self.max(news)
    }

    /// The event that tells of it; none of the first.
    #[must_use]
    pub fn event(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Sent => Some("SET_STATUS_TO_SENT"),
            Self::Delivered => Some("SET_STATUS_TO_DELIVERED"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some_status() -> impl Strategy<Value = Status> {
        (0..3_i16).prop_map(Status::of_rank)
    }

    proptest! {
        /// Whatever comes, however often and in whichever order.
        #[test]
        fn a_status_only_goes_forward(news in proptest::collection::vec(some_status(), 0..20)) {
            let mut status = Status::None;
            for one in &news {
                let before = status;
                status = status.after(*one);
                prop_assert!(status >= before && status >= *one);
                prop_assert_eq!(Status::of_rank(status.rank()), status);
            }
            prop_assert_eq!(Some(status), news.into_iter().chain([Status::None]).max());
        }
    }

    /// It was: what a newer version had written was `NONE` to an older one, and was sent again.
    #[test]
    fn a_rank_of_a_newer_version_is_no_step_back() {
        assert_eq!(Status::of_rank(3), Status::Delivered);
    }

    #[test]
    fn names_are_those_of_the_original() {
        let all = [Status::None, Status::Sent, Status::Delivered];
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"["NONE","SENT","DELIVERED"]"#);
        let events = ["SET_STATUS_TO_SENT", "SET_STATUS_TO_DELIVERED"];
        assert_eq!(all.map(Status::event), [None, Some(events[0]), Some(events[1])]);
    }
}
