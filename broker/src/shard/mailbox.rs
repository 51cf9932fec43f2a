//! What the task of a shard waits for.

use std::future::Future;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;
use klamm_utils::clock::Clock;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

use super::writes::Writes;

/// What can be told that nothing is done about it.
pub(crate) trait Refuse: Send + 'static {
    /// Answers that nothing can be told, and why.
    fn refuse(self, code: ErrorCode);
}

/// A command on its way to a shard.
pub(crate) struct Sent<C> {
    pub(crate) command: C,
    /// When it was sent, by [`Clock::elapsed`]. It came in time for what is due later, however late
    /// it is read.
    pub(crate) at: Duration,
}

impl<C> Sent<C> {
    /// It is sent now.
    pub(crate) fn now(command: C, clock: &dyn Clock) -> Self {
        Self { command, at: clock.elapsed() }
    }
}

/// The commands of a shard, in their order, for as long as the broker runs.
pub(crate) struct Mailbox<C> {
    commands: mpsc::Receiver<Sent<C>>,
    tasks: TaskGroup,
}

/// What may happen to a shard.
pub(crate) enum Event<C> {
    Command(Sent<C>),
    /// The oldest append is durable, or is not.
    Settled(Result<(), ErrorCode>),
    /// The time has come, and all commands sent before have been taken.
    Time,
    /// The broker stops, or nobody will ask again.
    End,
}

impl<C: Refuse> Mailbox<C> {
    /// The mailbox of a shard that ends with these tasks.
    pub(super) fn new(commands: mpsc::Receiver<Sent<C>>, tasks: &TaskGroup) -> Self {
        Self { commands, tasks: tasks.clone() }
    }

    /// Waits for what happens next, but no longer than `pause`. Commands wait while too much is on
    /// its way to the disk, and so does the time.
    pub(crate) async fn next_event(&mut self, writes: &mut Writes, pause: Duration) -> Event<C> {
        let has_room = writes.has_room();
        tokio::select! {
            biased;
            () = self.tasks.stopping() => Event::End,
            settled = writes.settled() => Event::Settled(settled),
            sent = self.commands.recv(), if has_room => sent.map_or(Event::End, Event::Command),
            () = tokio::time::sleep(pause), if has_room => Event::Time,
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
                sent = self.commands.recv() => sent?.command.refuse(code),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_utils::clock::ManualClock;

    use super::*;
    use crate::partition::Commit;

    impl Refuse for u8 {
        fn refuse(self, _: ErrorCode) {}
    }

    /// What happens next at once; nothing if there is only waiting.
    async fn next(mailbox: &mut Mailbox<u8>, writes: &mut Writes) -> Option<Event<u8>> {
        let event = mailbox.next_event(writes, Duration::ZERO);
        tokio::time::timeout(Duration::from_secs(1), event).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn while_too_much_is_on_its_way_to_the_disk_nothing_is_due() {
        let (sender, commands) = mpsc::channel(1);
        let mut mailbox = Mailbox::new(commands, &TaskGroup::new("test"));
        let clock = ManualClock::at(0);
        clock.advance(Duration::from_secs(5));
        let at = clock.elapsed();
        sender.send(Sent::now(7, &clock)).await.unwrap();
        clock.advance(Duration::from_secs(5));

        let mut writes = Writes::default();
        let (durable, is_durable) = tokio::sync::oneshot::channel::<()>();
        let first = async move { is_durable.await.map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR) };
        writes.push(Commit::Awaited(Box::pin(first)));
        while writes.has_room() {
            writes.push(Commit::Awaited(Box::pin(std::future::pending())));
        }
        assert!(next(&mut mailbox, &mut writes).await.is_none());
        durable.send(()).unwrap();
        assert!(matches!(next(&mut mailbox, &mut writes).await, Some(Event::Settled(Ok(())))));
        let sent = next(&mut mailbox, &mut writes).await;
        assert!(matches!(sent, Some(Event::Command(sent)) if sent.command == 7 && sent.at == at));
        assert!(matches!(next(&mut mailbox, &mut writes).await, Some(Event::Time)));
    }
}
