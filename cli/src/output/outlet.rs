//! Standard output for a task that has more to hear than its reader.

use std::mem;

use tokio::task::{JoinHandle, spawn_blocking};

use super::Stdout;

/// Standard output that another thread writes: a reader that does not read holds up whoever waits
/// for it, and nobody else.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// What is written next.
    stdout: Stdout,
    /// What is being written.
    writing: Option<JoinHandle<(Stdout, anyhow::Result<()>)>>,
}

impl Outlet {
    pub(crate) fn new() -> Self {
        Self { stdout: Stdout::new(), writing: None }
    }

    /// Where to put what is to be printed.
    pub(crate) fn stdout(&mut self) -> &mut Stdout {
        &mut self.stdout
    }

    /// Has what is there written if it is much, once everything before it is.
    ///
    /// # Errors
    /// Something before it could not be written.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has lost nothing: the next call goes on.
    pub(crate) async fn relieve(&mut self) -> anyhow::Result<()> {
        if self.stdout.is_much() { self.hand_over().await } else { Ok(()) }
    }

    /// Writes all there is.
    ///
    /// # Errors
    /// Something could not be written, now or at an earlier call.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has lost nothing: the next call goes on.
    pub(crate) async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.stdout.buffer().is_empty() {
            self.hand_over().await?;
        }
        self.settle().await?;
        // Nothing is left to write, but perhaps an earlier failure to tell.
        self.stdout.finish()
    }

    async fn hand_over(&mut self) -> anyhow::Result<()> {
        self.settle().await?;
        let mut stdout = mem::replace(&mut self.stdout, Stdout::new());
        self.writing = Some(spawn_blocking(move || {
            let written = stdout.finish();
            (stdout, written)
        }));
        Ok(())
    }

    /// Waits until everything that was handed over is written.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let done = writing.await;
        self.writing = None;
        let (stdout, written) = done?;
        if written.is_err() {
            // It knows that it has failed, so that nothing is written behind the gap.
            self.stdout = stdout;
        }
        written
    }
}
