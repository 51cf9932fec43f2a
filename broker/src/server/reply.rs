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

    /// The same with another answer, if there is one.
    pub(crate) fn map(self, change: impl FnOnce(T) -> T + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        match self {
            Self::Now(answer) => Self::Now(change(answer)),
            Self::Later(answer) => Self::later(async move { change(answer.await) }),
            silent => silent,
        }
    }
}
