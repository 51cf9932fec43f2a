//! Requests that meet faults.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::ConnectionError;
use super::dispatch::Dispatched;
use super::pipeline::{Answer, LaterAnswer};
use super::{Call, Reply};
use crate::faults::{ApiKey, Armed, Effect, ErrorCode, Refuse, Target};
use crate::node::Node;

/// A code that is to stand in an answer, and the fault that says so.
type Spoiler = (Arc<Armed>, ErrorCode);

/// What the faults decided about one request.
struct Verdict<R> {
    refused: Option<R>,
    spoilers: Vec<Spoiler>,
    hangs_up: bool,
    lot: Lot,
}

/// How an answer that is lost ends its connection.
const LOST: ConnectionError = ConnectionError::HangUp("a fault loses the answer");

/// What is to happen to an answer.
#[derive(Default)]
pub(super) struct Lot {
    delay: Duration,
    is_lost: bool,
}

/// Has a request handled as far as the faults let it be.
pub(super) async fn handle<A, F>(
    call: Call,
    mut request: A::Request,
    handler: impl FnOnce(Call, A::Request) -> F,
) -> (Reply<A::Response>, Lot)
where
    A: Refuse,
    A::Response: Send + 'static,
    F: Future<Output = Reply<A::Response>>,
{
    let node = Arc::clone(&call.node);
    let Verdict { refused, spoilers, hangs_up, lot } = judge::<A>(&call, &mut request);
    if hangs_up {
        return (Reply::HangUp("a fault hangs up"), lot);
    }
    let is_unheard = refused.is_some() && A::is_silent(&request);
    let reply = match refused {
        None => handler(call, request).await,
        Some(refused) if !A::is_left(&request) => Reply::Now(refused),
        Some(refused) => handler(call, request).await.map(move |mut answer| {
            A::join(&mut answer, refused);
            answer
        }),
    };
    let reply = if spoilers.is_empty() {
        reply
    } else {
        reply.map(move |mut answer| {
            spoil::<A>(&node, &mut answer, &spoilers);
            answer
        })
    };
    // As for a real error: nothing else can tell the client.
    (if is_unheard { Reply::HangUp("a fault refused what has no answer") } else { reply }, lot)
}

fn judge<A: Refuse>(call: &Call, request: &mut A::Request) -> Verdict<A::Response> {
    let lot = Lot::default();
    let mut verdict = Verdict { refused: None, spoilers: Vec::new(), hangs_up: false, lot };
    let key = ApiKey::from_code(A::KEY);
    for armed in key.map(|key| call.node.faults.of(key)).unwrap_or_default() {
        let target = Target::of(armed.fault(), &call.node.topics);
        let effect = armed.fault().effect;
        if let Effect::Error(code) = effect
            && A::spoils(call.version, target, code)
        {
            verdict.spoilers.push((armed, code));
            continue;
        }
        if !(target.is_whole() || A::names(request, target)) || !armed.strikes() {
            continue;
        }
        match effect {
            Effect::Error(code) => {
                verdict.refuse::<A>(A::refuse(request, call.version, target, code));
                if !A::is_left(request) {
                    break;
                }
            }
            Effect::Delay(delay) => verdict.lot.delay += delay,
            Effect::LoseAnswer => verdict.lot.is_lost = true,
            Effect::HangUp => {
                verdict.hangs_up = true;
                break;
            }
        }
    }
    verdict
}

impl<R> Verdict<R> {
    fn refuse<A: Refuse<Response = R>>(&mut self, refused: Option<R>) {
        match (&mut self.refused, refused) {
            (Some(before), Some(refused)) => A::join(before, refused),
            (before, refused) => *before = refused,
        }
    }
}

fn spoil<A: Refuse>(node: &Node, answer: &mut A::Response, spoilers: &[Spoiler]) {
    for (armed, code) in spoilers {
        let target = Target::of(armed.fault(), &node.topics);
        if A::finds(answer, target) && armed.strikes() {
            A::spoil(answer, target, *code);
        }
    }
}

impl Lot {
    /// Does to an answer what is to happen to it.
    pub(super) fn befall(self, node: &Node, dispatched: Dispatched) -> Dispatched {
        if self.delay.is_zero() && !self.is_lost {
            return dispatched;
        }
        let answer: LaterAnswer = match dispatched {
            Dispatched::Ready(answer) => Box::pin(ready(Ok(answer))),
            Dispatched::Later(answer) => answer,
            // There is no answer, but its client is to think that what carries it broke.
            Dispatched::Silent if self.is_lost => Box::pin(ready(Err(LOST))),
            Dispatched::Silent => return Dispatched::Silent,
        };
        // From now on, so that the delays of requests that follow each other do not add up.
        let due = Instant::now() + self.delay;
        Dispatched::Later(Box::pin(self.endure(node.tasks.stopping(), due, answer)))
    }

    async fn endure(
        self,
        stopping: impl Future<Output = ()>,
        due: Instant,
        answer: LaterAnswer,
    ) -> Answer {
        let answer = answer.await?;
        // A broker that stops does not wait.
        let _ = tokio::time::timeout_at(due, stopping).await;
        if self.is_lost {
            return Err(LOST);
        }
        Ok(answer)
    }
}
