//! The queue of one browser's socket: bounded, and a slow reader costs nobody else anything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

/// How many frames may wait.
pub const FRAMES_MAX: usize = 256;

/// How many bytes may wait.
pub const BYTES_MAX: usize = 1024 * 1024;

/// A close code: the reader was too slow and has to begin anew.
pub const TOO_SLOW: u16 = 4408;

/// A close code: the session ended.
pub const LOGGED_OUT: u16 = 4401;

/// A close code: the service goes away, another may be asked.
pub const GOING_AWAY: u16 = 1012;

/// What waits to be sent. Its text is shared by all sockets that get it.
#[derive(Clone, Debug)]
pub struct Frame<M> {
    /// What is sent.
    pub text: Utf8Bytes,
    /// What the sender wants to know when it was sent.
    pub mark: Option<M>,
    /// It may be left out when the queue is full.
    pub fleeting: bool,
}

impl<M> Frame<M> {
    /// A frame that is not left out.
    #[must_use]
    pub fn lasting(text: impl Into<Utf8Bytes>) -> Self {
        Self { text: text.into(), mark: None, fleeting: false }
    }

    /// A frame that is left out when the queue is full.
    #[must_use]
    pub fn fleeting(text: impl Into<Utf8Bytes>) -> Self {
        Self { text: text.into(), mark: None, fleeting: true }
    }
}

/// The queue. Anyone may put frames into it; one task takes them.
#[derive(Debug)]
pub struct Mailbox<M> {
    /// Held for a push or a pop only.
    queue: Mutex<Queue<M>>,
    /// Wakes the one who takes.
    changed: Notify,
    /// Wakes the one who sends, when there is no use in sending any more.
    ended: Notify,
}

#[derive(Debug)]
struct Queue<M> {
    frames: VecDeque<Frame<M>>,
    bytes: usize,
    left_out: u64,
    close: Option<u16>,
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        let queue = Queue { frames: VecDeque::new(), bytes: 0, left_out: 0, close: None };
        Self { queue: Mutex::new(queue), changed: Notify::new(), ended: Notify::new() }
    }
}

impl<M> Mailbox<M> {
    /// Puts a frame in. When there is no room, fleeting frames are left out, the waiting ones
    /// first; if that is not enough, the queue is closed with [`TOO_SLOW`].
    pub fn push(&self, frame: Frame<M>) {
        self.push_all([frame]);
    }

    /// Puts frames in that belong together: the one who takes is woken once.
    pub fn push_all(&self, frames: impl IntoIterator<Item = Frame<M>>) {
        let mut queue = self.queue();
        if queue.close.is_some() {
            return;
        }
        for frame in frames {
            if !queue.put(frame) {
                drop(queue);
                self.close(TOO_SLOW);
                return;
            }
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the queue; the first who does so says why. What waits is not sent any more.
    pub fn close(&self, code: u16) {
        let mut queue = self.queue();
        if queue.close.is_none() {
            queue.close = Some(code);
            queue.frames.clear();
            queue.bytes = 0;
        }
        drop(queue);
        self.changed.notify_one();
        self.ended.notify_one();
    }

    /// Waits for frames, and moves up to `max` of them behind those in `frames`; the close code when
    /// the queue was closed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has taken nothing.
    pub async fn take(&self, frames: &mut Vec<Frame<M>>, max: usize) -> Result<(), u16> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queue = self.queue();
                if let Some(code) = queue.close {
                    return Err(code);
                }
                if !queue.frames.is_empty() {
                    let count = max.min(queue.frames.len());
                    let taken = frames.len();
                    frames.extend(queue.frames.drain(..count));
                    queue.bytes -= size_of(&frames[taken..]);
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// When the queue was closed: waiting for the reader to take more is of no use.
    pub async fn closed(&self) {
        loop {
            let ended = self.ended.notified();
            if self.queue().close.is_some() {
                return;
            }
            ended.await;
        }
    }

    /// How many fleeting frames were left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.queue().left_out
    }

    /// Nothing in here panics or waits.
    fn queue(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Queue<M> {
    /// Whether the frame could be put in, or left out.
    fn put(&mut self, frame: Frame<M>) -> bool {
        if !self.has_room_for(&frame) {
            self.leave_out_fleeting();
            if !self.has_room_for(&frame) {
                self.left_out += u64::from(frame.fleeting);
                return frame.fleeting;
            }
        }
        self.bytes += frame.text.len();
        self.frames.push_back(frame);
        true
    }

    fn has_room_for(&self, frame: &Frame<M>) -> bool {
        self.frames.len() < FRAMES_MAX && self.bytes + frame.text.len() <= BYTES_MAX
    }

    fn leave_out_fleeting(&mut self) {
        let before = self.frames.len();
        self.frames.retain(|frame| !frame.fleeting);
        self.left_out += (before - self.frames.len()) as u64;
        self.bytes = self.frames.iter().map(|frame| frame.text.len()).sum();
    }
}

fn size_of<M>(frames: &[Frame<M>]) -> usize {
    frames.iter().map(|frame| frame.text.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that waits.
    async fn all<M>(mailbox: &Mailbox<M>) -> Result<Vec<Frame<M>>, u16> {
        let mut frames = Vec::new();
        mailbox.take(&mut frames, usize::MAX).await?;
        Ok(frames)
    }

    #[tokio::test]
    async fn frames_come_in_order_and_fleeting_ones_make_room() {
        let mailbox = Mailbox::<i64>::default();
        for number in 0..FRAMES_MAX {
            let text = number.to_string();
            match number % 2 {
                0 => mailbox.push(Frame { mark: Some(7), ..Frame::lasting(text) }),
                _ => mailbox.push(Frame::fleeting(text)),
            }
        }
        mailbox.push(Frame::lasting("last"));
        assert_eq!(mailbox.left_out(), FRAMES_MAX as u64 / 2);
        let frames = all(&mailbox).await.unwrap();
        let (last, frames) = frames.split_last().unwrap();
        for (frame, number) in frames.iter().zip((0..FRAMES_MAX).step_by(2)) {
            assert_eq!((frame.text.as_str(), frame.mark), (&*number.to_string(), Some(7)));
        }
        assert_eq!((frames.len(), last.text.as_str()), (FRAMES_MAX / 2, "last"));
    }

    #[tokio::test]
    async fn all_that_waits_is_taken_at_once_up_to_a_bound() {
        let mailbox = Mailbox::<()>::default();
        mailbox.push_all(["a", "b", "c"].map(Frame::lasting));
        let mut frames = Vec::new();
        mailbox.take(&mut frames, 2).await.unwrap();
        mailbox.take(&mut frames, 2).await.unwrap();
        let texts: Vec<_> = frames.iter().map(|frame| frame.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert_eq!(mailbox.queue().bytes, 0);
    }

    #[tokio::test]
    async fn a_slow_reader_is_closed_with_its_code() {
        let mailbox = Mailbox::<()>::default();
        mailbox.push_all((0..FRAMES_MAX).map(|_| Frame::lasting("x")));
        mailbox.push(Frame::fleeting("left out"));
        assert_eq!(mailbox.left_out(), 1);
        mailbox.push(Frame::lasting("one too many"));
        mailbox.close(LOGGED_OUT);
        mailbox.closed().await;
        assert_eq!(all(&mailbox).await.unwrap_err(), TOO_SLOW);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let mailbox = Mailbox::<()>::default();
        let large = "x".repeat(BYTES_MAX / 2);
        mailbox.push(Frame::lasting(large.clone()));
        mailbox.push(Frame::lasting(large.clone()));
        assert_eq!(all(&mailbox).await.unwrap().len(), 2);
        mailbox.push(Frame::lasting(large.clone()));
        mailbox.push(Frame::lasting(large));
        mailbox.push(Frame::lasting("x"));
        assert_eq!(all(&mailbox).await.unwrap_err(), TOO_SLOW);
    }
}
