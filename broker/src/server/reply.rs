use std::future::Future;
use std::pin::Pin;

/// What a handler gives once the order of its effects is fixed.
pub(crate) enum Reply<T> {
    /// The answer.
    Now(T),
    /// The answer will come: what happens has been decided, it only has to come true.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
    /// No answer is sent (Produce with `acks=0`).
    Silent,
    /// No answer can be sent, and the client must notice.
    HangUp(&'static str),
}

impl<T> Reply<T> {
    /// An answer that will come.
    pub(crate) fn later(answer: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}
