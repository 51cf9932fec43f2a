//! What the task of a shard waits for.

use std::future::Future;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::writes::Writes;

/// What can be told that nothing is done about it.
pub(crate) trait Refuse: Send + 'static {
    /// Answers that nothing can be told, and why.
    fn refuse(self, code: ErrorCode);
}

/// The commands of a shard, in their order, for as long as the broker runs.
pub(crate) struct Mailbox<C> {
    commands: mpsc::Receiver<C>,
    tasks: TaskGroup,
}

/// What may happen to a shard.
pub(crate) enum Event<C> {
    Command(C),
    /// The oldest append is durable, or is not.
    Settled(Result<(), ErrorCode>),
    /// The time has come.
    Time,
    /// The broker stops, or nobody will ask again.
    End,
}

impl<C: Refuse> Mailbox<C> {
    /// The mailbox of a shard that ends with these tasks.
    pub(super) fn new(commands: mpsc::Receiver<C>, tasks: &TaskGroup) -> Self {
        Self { commands, tasks: tasks.clone() }
    }

    /// Waits for what happens next, but no longer than `pause`. Commands wait while too much is on
    /// its way to the disk.
    pub(crate) async fn next_event(&mut self, writes: &mut Writes, pause: Duration) -> Event<C> {
        let has_room = writes.has_room();
        tokio::select! {
            biased;
            () = self.tasks.stopping() => Event::End,
            settled = writes.settled() => Event::Settled(settled),
            command = self.commands.recv(), if has_room => {
                command.map_or(Event::End, Event::Command)
            }
            () = tokio::time::sleep(pause) => Event::Time,
        }
    }

    /// Refuses all commands while something else happens; `None` when the broker stops, or nobody
    /// will ask again.
    pub(crate) async fn refuse_until<T>(
        &mut self,
        work: impl Future<Output = T>,
        code: ErrorCode,
    ) -> Option<T> {
        let stopping = self.tasks.stopping();
        tokio::pin!(work, stopping);
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return None,
                done = &mut work => return Some(done),
                command = self.commands.recv() => command?.refuse(code),
            }
        }
    }
}
