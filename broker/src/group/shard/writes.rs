//! Records on their way to the disk, and the answers that wait for them.

use std::collections::VecDeque;

use klamm_protocol::error_code::ErrorCode;

use super::command::Answer;
use crate::partition::Commit;

/// Lets an answer go, or an error in its place.
pub(super) type Release = Box<dyn FnOnce(Result<(), ErrorCode>) + Send>;

/// An answer that goes once everything it shows is durable.
pub(super) fn held<T: Send + 'static>(answer: Answer<T>, content: Result<T, ErrorCode>) -> Release {
    // Whoever asked may have gone.
    Box::new(move |kept| drop(answer.send(kept.and(content))))
}

/// What was appended and may not be durable yet, in the order of the log.
#[derive(Default)]
pub(super) struct Writes {
    queue: VecDeque<Write>,
}

struct Write {
    commit: Commit,
    answers: Vec<Release>,
}

impl Writes {
    /// A batch has been appended.
    pub(super) fn push(&mut self, commit: Commit) {
        self.queue.push_back(Write { commit, answers: Vec::new() });
    }

    /// Holds answers until everything that was appended is durable; lets them go at once if it is.
    pub(super) fn hold(&mut self, answers: Vec<Release>) {
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
    pub(super) async fn settled(&mut self) -> Result<(), ErrorCode> {
        let Some(first) = self.queue.front_mut() else { return std::future::pending().await };
        (&mut first.commit).await?;
        if let Some(write) = self.queue.pop_front() {
            write.answers.into_iter().for_each(|release| release(Ok(())));
        }
        Ok(())
    }

    /// Waits for what is on its way and lets the answers go.
    pub(super) async fn drain(mut self) {
        while !self.queue.is_empty() {
            if let Err(code) = self.settled().await {
                return self.fail(code).await;
            }
        }
    }

    /// Answers everybody with an error; returns when no append is under way any more.
    pub(super) async fn fail(self, code: ErrorCode) {
        for write in self.queue {
            write.answers.into_iter().for_each(|release| release(Err(code)));
            // Whether it is there is seen when the log is read again. A commit that has resolved
            // says so once more.
            let _ = write.commit.await;
        }
    }
}
