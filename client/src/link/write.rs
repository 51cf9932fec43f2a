//! What is left to be sent on a link.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Buf as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::outbox::Left;
use super::shared::Reason;

/// Requests that one system call may carry.
const WRITE_TOGETHER: usize = 16;

/// Writes what is left to it, several requests at once where they have gathered, and tells why it
/// can no longer. A peer that takes nothing of it for as long as `patience` is given up.
pub(super) async fn write(
    mut left: Left,
    mut output: impl AsyncWrite + Unpin,
    patience: Duration,
) -> Result<(), Reason> {
    while let Some(mut taken) = left.take(WRITE_TOGETHER).await {
        while taken.chunks.has_remaining() {
            if within(patience, output.write_buf(&mut taken.chunks)).await? == 0 {
                return Err(Reason::of_io(&io::ErrorKind::WriteZero.into()));
            }
        }
        // What is encrypted may wait for room in the socket.
        within(patience, output.flush()).await?;
        left.written(taken);
    }
    within(patience, output.shutdown()).await
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, Reason> {
    match tokio::time::timeout(patience, step).await {
        Ok(done) => done.map_err(|error| Reason::of_io(&error)),
        Err(_) => Err(format!("it took nothing of what was sent within {patience:?}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbox::Outbox;
    use super::*;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let (outbox, left) = Outbox::new(1);
        let mut request = klamm_protocol::wire::Writer::new(0, false);
        request.put(&[0; 8]);
        outbox.room().await.unwrap().send(request.finish().unwrap(), None);
        let reason = write(left, ours, Duration::from_millis(1)).await.unwrap_err();
        assert!(reason.to_string().contains("took nothing"), "{reason}");
    }
}
