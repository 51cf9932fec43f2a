//! What is out, and waits for its answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use klamm_client::{Answer, Pending, Result};
use klamm_protocol::api::produce::{self, Produce};

use crate::request::Sent;

/// The requests that are out, in order. The sender waits for their answers itself: a task for each
/// would cost it a hop more.
#[derive(Default)]
pub(super) struct Answers(Vec<Awaited>);

struct Awaited {
    node: i32,
    sent: Vec<Sent>,
    answer: Pin<Box<dyn Future<Output = Result<Answer<produce::Response>>> + Send>>,
}

/// What a broker said of what was sent to it.
pub(super) struct Answered {
    pub(super) sent: Vec<Sent>,
    pub(super) answer: Result<Answer<produce::Response>>,
}

impl Answers {
    /// Has this one awaited, too.
    pub(super) fn await_too(&mut self, node: i32, sent: Vec<Sent>, pending: Pending<Produce>) {
        self.0.push(Awaited { node, sent, answer: Box::pin(pending.answer()) });
    }

    /// How many requests to a broker are out.
    pub(super) fn count(&self, node: i32) -> usize {
        self.0.iter().filter(|awaited| awaited.node == node).count()
    }

    /// Those that have come, of which there is at least one.
    ///
    /// # Cancel safety
    /// May be dropped at any time, and asked again.
    pub(super) async fn next(&mut self) -> Vec<Answered> {
        poll_fn(|cx| {
            let mut come = Vec::new();
            let mut index = 0;
            while let Some(awaited) = self.0.get_mut(index) {
                match awaited.answer.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(answer) => {
                        let Awaited { sent, .. } = self.0.remove(index);
                        come.push(Answered { sent, answer });
                    }
                }
            }
            if come.is_empty() { Poll::Pending } else { Poll::Ready(come) }
        })
        .await
    }
}
