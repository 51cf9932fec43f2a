//! The order of one sender's messages, until the producer takes them.

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// Messages of one sender that wait until the producer takes them, in their order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Ends when the last of them was taken.
    last: Option<oneshot::Receiver<()>>,
}

/// The turn of one of them; the next is first when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _next: oneshot::Sender<()>,
}

impl Queue {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&mut self) -> bool {
        let waits = |last: &mut oneshot::Receiver<()>| last.try_recv() == Err(TryRecvError::Empty);
        !self.last.as_mut().is_some_and(waits)
    }

    /// A turn behind all others.
    pub(crate) fn line_up(&mut self) -> Turn {
        let (next, last) = oneshot::channel();
        Turn { before: self.last.replace(last), _next: next }
    }
}

impl Turn {
    /// Waits until it is the first.
    pub(crate) async fn first(mut self) -> Self {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: it ends.
            let _ = before.await;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_goes_on_in_the_order_in_which_they_lined_up() {
        let mut queue = Queue::default();
        assert!(queue.is_empty());
        let order = std::sync::Mutex::new(Vec::new());
        let turns: Vec<_> = (0..3).map(|_| queue.line_up()).collect();
        assert!(!queue.is_empty());
        let wait = async |(number, turn): (usize, Turn)| {
            let _turn = turn.first().await;
            tokio::task::yield_now().await;
            order.lock().unwrap().push(number);
        };
        // Whoever is asked first.
        let waiting = turns.into_iter().enumerate().rev().map(wait);
        futures_util::future::join_all(waiting).await;
        assert_eq!(order.into_inner().unwrap(), [0, 1, 2]);
        assert!(queue.is_empty());
    }
}
