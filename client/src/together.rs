//! Waiting for many at once.

use std::future::poll_fn;
use std::task::Poll;

/// What these give, in their order. They run side by side, so that one that takes long holds up no
/// other.
pub(crate) async fn together<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    poll_fn(|context| {
        let mut done = true;
        for (one, given) in &mut running {
            if given.is_none() {
                match one.as_mut().poll(context) {
                    Poll::Ready(value) => *given = Some(value),
                    Poll::Pending => done = false,
                }
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().map(|(_, given)| given.expect("all are done")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::Barrier;

    #[tokio::test]
    async fn all_run_at_once_and_keep_their_order() {
        let barrier = Barrier::new(3);
        let meet = async |number| {
            barrier.wait().await;
            number
        };
        let met = tokio::time::timeout(Duration::from_secs(10), together([7, 8, 9].map(meet)));
        assert_eq!(met.await.unwrap(), [7, 8, 9]);
        assert!(together([].map(meet)).await.is_empty());
    }
}
