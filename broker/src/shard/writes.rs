//! Records on their way to the disk, and the answers that wait for them.

use std::collections::VecDeque;

use klamm_protocol::error_code::ErrorCode;

use super::Answer;
use crate::partition::Commit;

/// What is told to those who wait for something that is perhaps not stored: to try again.
pub(crate) const LOST: ErrorCode = ErrorCode::COORDINATOR_NOT_AVAILABLE;

/// How many appends may be under way before no more commands are taken.
const UNDER_WAY_MAX: usize = 1024;

/// Lets an answer go, or an error in its place.
pub(crate) type Release = Box<dyn FnOnce(Result<(), ErrorCode>) + Send>;

/// An answer that goes once everything it shows is durable.
pub(crate) fn held<T: Send + 'static>(answer: Answer<T>, content: Result<T, ErrorCode>) -> Release {
    // Whoever asked may have gone.
    Box::new(move |kept| drop(answer.send(kept.and(content))))
}

/// What was appended and may not be durable yet, in the order of the log.
#[derive(Default)]
pub(crate) struct Writes {
    queue: VecDeque<Write>,
}

struct Write {
    commit: Commit,
    answers: Vec<Release>,
}

impl Writes {
    /// Whether more may be appended before what is under way is durable.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < UNDER_WAY_MAX
    }

    /// A batch has been appended.
    pub(crate) fn push(&mut self, commit: Commit) {
        self.queue.push_back(Write { commit, answers: Vec::new() });
    }

    /// Holds answers until everything that was appended is durable; lets them go at once if it is.
    pub(crate) fn hold(&mut self, answers: Vec<Release>) {
        match self.queue.back_mut() {
            Some(last) => last.answers.extend(answers),
            None => answers.into_iter().for_each(|release| release(Ok(()))),
        }
    }

    /// Waits until the oldest append is durable and lets its answers go; for ever if there is
    /// none. After an error nothing that came behind it may be told to anybody.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn settled(&mut self) -> Result<(), ErrorCode> {
        let Some(first) = self.queue.front_mut() else { return std::future::pending().await };
        let kept = (&mut first.commit).await.map_err(|_| LOST);
        if let Some(write) = self.queue.pop_front() {
            write.answers.into_iter().for_each(|release| release(kept));
        }
        kept
    }

    /// Waits for what is on its way and lets the answers go.
    pub(crate) async fn drain(mut self) {
        while !self.queue.is_empty() {
            if self.settled().await.is_err() {
                return self.fail().await;
            }
        }
    }

    /// Answers everybody with an error; returns when no append is under way any more.
    pub(crate) async fn fail(self) {
        for write in self.queue {
            write.answers.into_iter().for_each(|release| release(Err(LOST)));
            // Whether it is there is seen when the log is read again.
            let _ = write.commit.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn commit(outcome: impl Future<Output = Result<(), ErrorCode>> + Send + 'static) -> Commit {
        Commit::Awaited(Box::pin(outcome))
    }

    #[tokio::test]
    async fn answers_wait_for_what_was_appended_before_them() {
        let mut writes = Writes::default();
        let (first, mut told_first) = oneshot::channel();
        writes.hold(vec![held(first, Ok(1))]);
        assert_eq!(told_first.try_recv(), Ok(Ok(1)), "nothing is under way");

        let (durable, is_durable) = oneshot::channel::<()>();
        writes.push(commit(
            async move { is_durable.await.map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR) },
        ));
        let (second, mut told_second) = oneshot::channel();
        writes.hold(vec![held(second, Ok(2))]);
        assert_eq!(told_second.try_recv(), Err(TryRecvError::Empty));
        durable.send(()).unwrap();
        assert_eq!(writes.settled().await, Ok(()));
        assert_eq!(told_second.try_recv(), Ok(Ok(2)));
    }

    #[tokio::test]
    async fn nothing_behind_a_failure_is_told() {
        let mut writes = Writes::default();
        let outcomes = [Err(ErrorCode::KAFKA_STORAGE_ERROR), Ok(())];
        let told = outcomes.map(|outcome| {
            writes.push(commit(std::future::ready(outcome)));
            let (answer, told) = oneshot::channel();
            writes.hold(vec![held(answer, Ok("kept"))]);
            told
        });
        writes.drain().await;
        for mut told in told {
            assert_eq!(told.try_recv(), Ok(Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
        }
    }
}
