//! The way of requests into the socket. As long as the socket takes them, whoever asks writes them;
//! what it does not take at once, and all that comes behind that, is left to a task
//! ([`write`](super::write)). So nobody is woken for a request that could be written at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use klamm_protocol::wire::Encoded;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

use super::chunks::Chunks;

/// Pieces of a request that one system call may carry.
const PIECES: usize = 64;

/// Where requests are put. See the [module](self).
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Request>,
    straight: Arc<Straight>,
}

/// Room for one request.
#[derive(Debug)]
pub(super) struct Room<'a> {
    permit: mpsc::Permit<'a, Request>,
    straight: &'a Straight,
}

/// What is left to the task.
#[derive(Debug)]
pub(super) struct Left {
    queue: mpsc::Receiver<Request>,
    straight: Arc<Straight>,
}

/// What is left of a request, and who is to be told when it is written, if anybody is.
#[derive(Debug)]
struct Request {
    chunks: Chunks,
    written: Option<oneshot::Sender<()>>,
}

/// What the task writes together.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) chunks: Chunks,
    count: usize,
    written: Vec<oneshot::Sender<()>>,
}

/// The socket for those who ask. Held while they write, which waits for nothing.
#[derive(Debug, Default)]
struct Straight(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// None where all is left to the task, and once nothing is written any more.
    socket: Option<Arc<OwnedWriteHalf>>,
    /// Requests that the task has not written yet.
    left: usize,
    /// The task has ended.
    is_over: bool,
}

/// A plain socket as the task writes to it. Nobody does any more once it is dropped.
#[derive(Debug)]
pub(super) struct Plain {
    socket: Arc<OwnedWriteHalf>,
    straight: Arc<Straight>,
}

impl Outbox {
    /// Leaves no more than so many requests to the task: further callers wait.
    pub(super) fn new(left_max: usize) -> (Self, Left) {
        let (sender, queue) = mpsc::channel(left_max);
        let straight = Arc::<Straight>::default();
        (Self { queue: sender, straight: Arc::clone(&straight) }, Left { queue, straight })
    }

    /// Has those who ask write to this socket, too.
    pub(super) fn share(&self, socket: OwnedWriteHalf) -> Plain {
        let (socket, straight) = (Arc::new(socket), Arc::clone(&self.straight));
        straight.lock().socket = Some(Arc::clone(&socket));
        Plain { socket, straight }
    }

    /// Waits until there is room for a request; none once nothing is written any more.
    pub(super) async fn room(&self) -> Option<Room<'_>> {
        let permit = self.queue.reserve().await.ok()?;
        Some(Room { permit, straight: &self.straight })
    }

    /// Room for a request, if there is any.
    pub(super) fn try_room(&self) -> Option<Room<'_>> {
        let permit = self.queue.try_reserve().ok()?;
        Some(Room { permit, straight: &self.straight })
    }
}

impl Room<'_> {
    /// Sends a request behind all that were sent before, and tells when the socket has all of it.
    pub(super) fn send(self, request: Encoded, written: Option<oneshot::Sender<()>>) {
        let mut chunks = Chunks::of(request);
        let mut state = self.straight.lock();
        if state.is_over {
            // Left to nobody, it would lie there, and whoever waits for it wait.
            return;
        }
        if state.left == 0
            && let Some(socket) = &state.socket
        {
            // An error is met again, and told, by the task.
            while let Ok(count @ 1..) = write(socket, &chunks) {
                chunks.advance(count);
            }
        }
        if chunks.has_remaining() {
            state.left += 1;
            self.permit.send(Request { chunks, written });
        } else {
            drop(state);
            tell(written);
        }
    }
}

/// Those who have gone need not be told.
fn tell(written: impl IntoIterator<Item = oneshot::Sender<()>>) {
    for written in written {
        let _ = written.send(());
    }
}

/// Writes what the socket takes at once.
fn write(socket: &OwnedWriteHalf, chunks: &Chunks) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); PIECES];
    match chunks.chunks_vectored(&mut pieces) {
        0 => Ok(0),
        filled => socket.try_write_vectored(&pieces[..filled]),
    }
}

impl Left {
    /// Waits for up to so many requests, and takes them together; none when there will be no more.
    pub(super) async fn take(&mut self, at_most: usize) -> Option<Taken> {
        let mut requests = Vec::with_capacity(at_most);
        let count = self.queue.recv_many(&mut requests, at_most).await;
        let written = requests.iter_mut().filter_map(|request| request.written.take()).collect();
        let chunks = Chunks::joined(requests.into_iter().map(|request| request.chunks));
        (count > 0).then_some(Taken { chunks, count, written })
    }

    /// Tells that they are written.
    pub(super) fn written(&self, taken: Taken) {
        self.straight.lock().left -= taken.count;
        tell(taken.written);
    }
}

impl Straight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.straight.lock().is_over = true;
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.straight.lock().socket = None;
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = (*self.socket).as_ref();
        loop {
            ready!(socket.poll_write_ready(cx))?;
            match socket.try_write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The socket shuts down by being dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
