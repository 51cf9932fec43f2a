//! Standard input, read by a thread of its own: a read that waits must not hold up the rest.

use std::io::{self, Read as _};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

/// The most that is read at once.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be taken; the thread then stops reading.
const CHUNKS_AHEAD: usize = 4;

/// The chunks of standard input. The thread ends at the end of the input, or with the process.
#[derive(Debug)]
pub(super) struct Input {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
}

impl Input {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        thread::Builder::new().name("stdin".into()).spawn(move || {
            while let Some(chunk) = read().transpose() {
                let failed = chunk.is_err();
                if sender.blocking_send(chunk).is_err() || failed {
                    break;
                }
            }
        })?;
        Ok(Self { chunks })
    }

    /// The next bytes, at least one; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.chunks.recv().await.transpose()
    }
}

fn read() -> io::Result<Option<Bytes>> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match io::stdin().lock().read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(0) => return Ok(None),
            Ok(count) => {
                chunk.truncate(count);
                return Ok(Some(chunk.into()));
            }
        }
    }
}
