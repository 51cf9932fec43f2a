//! Dropping futures at each of their awaits, for tests of cancel safety.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// What came of a future that was polled only so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<T> {
    /// It was done before.
    Done(T),
    /// It was dropped while it waited.
    Dropped,
}

impl<T> Cut<T> {
    /// The same, of what `change` makes of what it gave.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Cut<U> {
        match self {
            Self::Done(output) => Cut::Done(change(output)),
            Self::Dropped => Cut::Dropped,
        }
    }

    /// What it gave, if it was done.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(output) => Some(output),
            Self::Dropped => None,
        }
    }
}

/// Polls a future whenever it wakes, but not more than `polls` times, and drops it then. With none
/// it is dropped before it has begun.
pub async fn poll_at_most<F: Future>(polls: usize, future: F) -> Cut<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(Cut::Dropped);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Cut::Done(output)),
            Poll::Pending if left == 0 => Poll::Ready(Cut::Dropped),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Calls `attempt` with 0, 1, 2 and so on polls, until it says that what it polled was done
/// `enough` times; tells how many attempts were cut off. So a future is dropped at every await
/// that it has, however many these are; more than `most` attempts are a fault of the test. The
/// first attempt is always cut off, so that a future that waits is cut off at least twice.
///
/// # Panics
/// The future was not done within `most` polls.
#[expect(clippy::panic, reason = "it is for tests")]
pub async fn at_every_await<T>(
    most: usize,
    enough: usize,
    mut attempt: impl AsyncFnMut(usize) -> Cut<T>,
) -> usize {
    let (mut cut, mut done) = (0, 0);
    for polls in 0..most {
        match attempt(polls).await {
            Cut::Done(_) => done += 1,
            Cut::Dropped => cut += 1,
        }
        if done == enough {
            return cut;
        }
    }
    panic!("cut off {cut} times and done {done} times, of {enough}, within {most} polls");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits three times.
    async fn steps(count: &mut usize) -> &'static str {
        for _ in 0..3 {
            let mut waited = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            *count += 1;
        }
        "done"
    }

    #[tokio::test]
    async fn a_future_is_dropped_at_each_of_its_awaits() {
        let mut reached = Vec::new();
        let cut = at_every_await(10, 2, async |polls| {
            let mut count = 0;
            let outcome = poll_at_most(polls, steps(&mut count)).await;
            reached.push(count);
            outcome
        })
        .await;
        assert_eq!((cut, reached), (4, vec![0, 0, 1, 2, 3, 3]));
    }

    #[tokio::test]
    async fn what_is_done_in_time_gives_what_it_gave() {
        let mut count = 0;
        assert_eq!(poll_at_most(4, steps(&mut count)).await.done(), Some("done"));
        assert_eq!(poll_at_most(3, steps(&mut count)).await.done(), None);
    }
}
