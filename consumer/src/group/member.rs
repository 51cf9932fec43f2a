//! The task of a member: carries out what its [machine](super::machine) says.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_client::config::{GroupProtocol, keys};
use klamm_client::{ClientConfig, Error, Kafka, Result, Subject};
use klamm_protocol::wire::Str;
use klamm_utils::clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Group;
use super::coordinator::Coordinator;
use super::machine::classic::ClassicMachine;
use super::machine::consumer::ConsumerMachine;
use super::machine::{Departure, Done, Effect, Heard, Machine, Rules, Step};
use super::subscription::{Found, Subscription};
use crate::assignment::Place;
use crate::cursor::Start;
use crate::events::ConsumerEvent;
use crate::offsets;
use crate::shared::Shared;

/// How long a member that leaves waits for the coordinator to hear of it.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// The most of a rebalance timeout that is kept from the application: a few heartbeats.
const MARGIN_MAX: Duration = Duration::from_secs(15);

type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a look at the topics has shown.
struct Look {
    found: Found,
    /// Topics that are subscribed to and will never be readable, and why.
    unreadable: Vec<(Str, Error)>,
}

/// What happened while the task waited.
enum Event {
    Done(Done),
    Beaten(Result<Heard>),
    Looked(Result<Look>),
    Resubscribed,
    /// It is time to look again, or the application has asked for something.
    Woken,
    Ending,
}

struct Member {
    shared: Arc<Shared>,
    group: Arc<Group>,
    coordinator: Arc<Coordinator>,
    subscription: watch::Receiver<Subscription>,
    machine: Box<dyn Machine>,
    rebalance_timeout: Duration,
    /// With the machine's round in which it began.
    step: Option<(u64, Doing<Done>)>,
    beat: Option<Doing<Result<Heard>>>,
    look: Option<Doing<Result<Look>>>,
    /// Topics of which the application was told that they cannot be read.
    unreadable: BTreeSet<Str>,
}

/// Is a member of the group until told to stop and `committer`, if there is one, has committed
/// for the last time: a rebalance goes on meanwhile, for only who takes part in it can commit.
/// Then leaves.
pub(crate) async fn run(
    shared: Arc<Shared>,
    group: Arc<Group>,
    config: ClientConfig,
    stopping: impl Future<Output = ()>,
    committer: Option<JoinHandle<()>>,
) {
    let Some(subscription) = group.subscription() else { return };
    let mut member = Member::new(shared, group, &config, subscription);
    let mut ending = std::pin::pin!(async {
        stopping.await;
        if let Some(committer) = committer {
            // Its panic is told in the log.
            let _ = committer.await;
        }
    });
    loop {
        member.proceed().await;
        match member.wait(ending.as_mut()).await {
            Event::Ending => break,
            event => member.hear(event),
        }
    }
    (member.step, member.beat, member.look) = (None, None, None);
    // What streams still hold is others' now.
    member.take_all();
    if let Some(departure) = member.machine.departure() {
        leave(&member.coordinator, &departure).await;
    }
}

impl Member {
    fn new(
        shared: Arc<Shared>,
        group: Arc<Group>,
        config: &ClientConfig,
        mut subscription: watch::Receiver<Subscription>,
    ) -> Self {
        let rules = Rules {
            group: group.id.clone(),
            instance: group.instance.clone(),
            assignors: config.get(&keys::PARTITION_ASSIGNMENT_STRATEGY),
            remote_assignor: config.get(&keys::GROUP_REMOTE_ASSIGNOR).map(Str::from),
            rack: config.get(&keys::CLIENT_RACK).map(Str::from),
            session_timeout: config.get(&keys::SESSION_TIMEOUT),
            rebalance_timeout: config.get(&keys::MAX_POLL_INTERVAL),
            heartbeat_interval: config.get(&keys::HEARTBEAT_INTERVAL),
            topics_max_age: config.get(&keys::METADATA_MAX_AGE),
            missing_max_age: config
                .get(&keys::RETRY_BACKOFF_MAX)
                .min(config.get(&keys::METADATA_MAX_AGE)),
            backoff: shared.kafka.retry_backoff(),
        };
        let coordinator = Coordinator::new(
            shared.kafka.clone(),
            group.id.clone(),
            group.instance.clone(),
            rules.rebalance_timeout,
        );
        let rebalance_timeout = rules.rebalance_timeout;
        let now = clock::now();
        let machine: Box<dyn Machine> = match group.protocol {
            GroupProtocol::Classic => Box::new(ClassicMachine::new(rules, now)),
            GroupProtocol::Consumer => {
                let subscription = subscription.borrow_and_update().clone();
                Box::new(ConsumerMachine::new(rules, subscription, now))
            }
        };
        Self {
            rebalance_timeout,
            machine,
            coordinator: Arc::new(coordinator),
            shared,
            group,
            subscription,
            step: None,
            beat: None,
            look: None,
            unreadable: BTreeSet::new(),
        }
    }

    /// Begins whatever is to be done now, and gives up what is no longer to be done.
    async fn proceed(&mut self) {
        let now = clock::now();
        if self.has_come_back() {
            self.machine.back(now);
        }
        if self.machine.is_active() && self.late_at().is_some_and(|at| at <= now) {
            self.machine.late();
        }
        self.carry_out();
        let round = self.machine.round();
        if self.step.take_if(|(begun, _)| *begun != round).is_some() {
            // A heartbeat may be holding the connection, and nobody would wake it now.
            self.beat = None;
            self.coordinator.hang_up().await;
        }
        if self.step.is_none()
            && let Some(step) = self.machine.step(now)
        {
            self.step = Some((self.machine.round(), self.begin(step)));
        }
        if self.beat.is_none()
            && let Some(beat) = self.machine.beat(now)
        {
            let coordinator = Arc::clone(&self.coordinator);
            self.beat = Some(Box::pin(async move { coordinator.heartbeat(&beat).await }));
        }
        if self.look.is_none()
            && let Some(others) = self.machine.look(now)
        {
            let kafka = self.shared.kafka.clone();
            // Not as seen: of a change the machine is to hear.
            let subscription = self.subscription.borrow().clone();
            self.look = Some(Box::pin(async move { look(&kafka, &subscription, &others).await }));
        }
        self.carry_out();
    }

    /// When the application will have been away for too long.
    fn late_at(&self) -> Option<Instant> {
        self.shared.assignment().late_at(self.rebalance_timeout)
    }

    /// Whether the machine can go on after the application was late.
    fn has_come_back(&self) -> bool {
        self.machine.is_away() && self.shared.assignment().has_come_back()
    }

    /// Makes the consumer what the machine says.
    fn carry_out(&mut self) {
        // Who commits sees either all of it or nothing.
        let mut assignment = self.shared.assignment();
        if self.group.set_identity(self.machine.identity()) {
            self.shared.metrics.rebalanced();
        }
        let mut has_changed = false;
        while let Some(effect) = self.machine.effect() {
            has_changed = true;
            match effect {
                Effect::Assigned(places) => {
                    tracing::info!(group = %self.group.id, ?places, "assigned");
                    let start =
                        |(topic, partition): &Place| (topic.clone(), *partition, Start::Committed);
                    assignment.add(places.iter().map(start), clock::now());
                    for place in &places {
                        if let Some(cursor) = assignment.cursor_mut(place) {
                            cursor.topic_id = self.machine.topic_id(&place.0);
                        }
                    }
                    assignment.events.tell(ConsumerEvent::Assigned(places));
                }
                Effect::Lost(places) => {
                    tracing::warn!(group = %self.group.id, ?places, "lost");
                    assignment.remove(&places);
                    self.shared.note_move();
                    assignment.events.tell(ConsumerEvent::Lost(places));
                }
                Effect::TooLate => {
                    let (subject, after) =
                        (Subject::Name(self.group.id.clone()), self.rebalance_timeout);
                    assignment.fail_late(Error::PollInterval { subject, after });
                    assignment.events.tell(ConsumerEvent::PollIntervalExceeded);
                }
                Effect::Refused(error) => {
                    tracing::warn!(group = %self.group.id, %error, "refused for now");
                    assignment.fail(error);
                }
                Effect::Fatal(error) => {
                    tracing::error!(group = %self.group.id, %error, "cannot go on");
                    assignment.end(error.clone());
                    assignment.events.tell(ConsumerEvent::Fatal(error));
                }
            }
        }
        self.shared.deliver(assignment);
        if has_changed {
            // Whoever waits for the application to let go of what is lost waits no longer.
            self.shared.was_polled();
            self.shared.ring();
        }
    }

    /// Takes all partitions from the application.
    fn take_all(&self) {
        let mut assignment = self.shared.assignment();
        assignment.remove_all();
        self.shared.note_move();
        self.shared.deliver(assignment);
        self.shared.was_polled();
    }

    fn begin(&self, step: Step) -> Doing<Done> {
        let coordinator = Arc::clone(&self.coordinator);
        match step {
            Step::GiveUp(places) => {
                let (shared, group) = (Arc::clone(&self.shared), Arc::clone(&self.group));
                let allowance = Allowance::of(self.rebalance_timeout);
                Box::pin(async move {
                    give_up(&shared, &group, &places, allowance).await;
                    Done::GaveUp(places)
                })
            }
            Step::Join(request) => {
                Box::pin(async move { Done::Joined(coordinator.join(&request).await) })
            }
            Step::Sync(request) => {
                Box::pin(async move { Done::Synced(coordinator.sync(&request).await) })
            }
            Step::Leave(departure) => Box::pin(async move {
                leave(&coordinator, &departure).await;
                Done::Left
            }),
        }
    }

    async fn wait(&mut self, ending: Pin<&mut impl Future<Output = ()>>) -> Event {
        let polled = self.shared.polled.notified();
        let now = clock::now();
        if self.has_come_back() {
            return Event::Woken;
        }
        let due = [
            self.step.is_none().then(|| self.machine.step_at()),
            self.beat.is_none().then(|| self.machine.beat_at()),
            self.look.is_none().then(|| self.machine.look_at()),
            self.machine.is_active().then(|| self.late_at()),
        ];
        // An application that is asking now is not late before so much time.
        let latest = now + self.rebalance_timeout;
        let wake_at = due.into_iter().flatten().flatten().fold(latest, Instant::min);
        tokio::select! {
            () = ending => Event::Ending,
            done = going(self.step.as_mut().map(|(_, step)| step)) => Event::Done(done),
            outcome = going(self.beat.as_mut()) => Event::Beaten(outcome),
            looked = going(self.look.as_mut()) => Event::Looked(looked),
            Ok(()) = self.subscription.changed() => Event::Resubscribed,
            () = polled, if self.machine.is_away() => Event::Woken,
            () = tokio::time::sleep_until(wake_at.into()) => Event::Woken,
        }
    }

    fn hear(&mut self, event: Event) {
        let now = clock::now();
        match event {
            Event::Done(done) => {
                self.step = None;
                self.done(done, now);
            }
            Event::Beaten(outcome) => {
                self.beat = None;
                if let Err(error) = &outcome {
                    tracing::debug!(group = %self.group.id, %error, "heartbeat");
                }
                self.machine.beaten(outcome, now);
            }
            Event::Looked(looked) => {
                self.look = None;
                match looked {
                    Ok(Look { found, unreadable }) => {
                        self.machine.looked(found, now);
                        self.tell_unreadable(unreadable);
                    }
                    Err(error) => {
                        tracing::warn!(group = %self.group.id, %error, "topics not known");
                    }
                }
            }
            Event::Resubscribed => {
                self.look = None;
                self.unreadable.clear();
                let subscription = self.subscription.borrow_and_update().clone();
                self.machine.resubscribed(&subscription, now);
            }
            Event::Woken | Event::Ending => {}
        }
    }

    /// Tells the application, once for each topic and subscription.
    fn tell_unreadable(&mut self, topics: Vec<(Str, Error)>) {
        for (topic, error) in topics {
            if self.unreadable.insert(topic) {
                let mut assignment = self.shared.assignment();
                assignment.fail(error);
                self.shared.deliver(assignment);
            }
        }
    }

    fn done(&mut self, done: Done, now: Instant) {
        match &done {
            Done::Joined(Err(error)) => {
                tracing::debug!(group = %self.group.id, %error, "not joined");
            }
            Done::Synced(Err(error)) => {
                tracing::debug!(group = %self.group.id, %error, "no assignment");
            }
            _ => {}
        }
        self.machine.done(done, now);
    }
}

/// What is being done, if anything is; otherwise it never ends.
async fn going<T>(doing: Option<&mut Doing<T>>) -> T {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

/// How the time is shared that the group waits for a member that gives partitions up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    /// What the application has to finish.
    finishing: Duration,
    /// What a commit has after that.
    committing: Duration,
}

impl Allowance {
    /// The coordinator's clock has begun before the member hears of it, and it is to hear of the
    /// end before its clock runs out: the rest is for the way there and back.
    fn of(rebalance_timeout: Duration) -> Self {
        let margin = (rebalance_timeout / 4).min(MARGIN_MAX);
        Self { finishing: rebalance_timeout - margin, committing: margin / 3 }
    }
}

/// Lets the application finish with partitions, commits what it has worked on if that is wanted,
/// and takes them away, however long the two would take.
async fn give_up(shared: &Shared, group: &Group, places: &[Place], allowance: Allowance) {
    let let_go = {
        let mut assignment = shared.assignment();
        assignment.hold(places);
        let let_go = assignment.events.revoking(places.to_vec());
        shared.deliver(assignment);
        // If one of them was full, others were not asked for.
        shared.ring();
        let_go
    };
    let finish = async {
        // The other end is dropped, not sent to.
        let _ = let_go.await;
        shared.let_go(places).await;
    };
    if tokio::time::timeout(allowance.finishing, finish).await.is_err() {
        tracing::warn!(group = %group.id, ?places, "taken from an application that is at work");
    }
    if group.auto_commit.is_some() {
        let commit = offsets::commit_worked(shared, |position| {
            places
                .iter()
                .any(|(topic, index)| position.topic == *topic && position.partition == *index)
        });
        if tokio::time::timeout(allowance.committing, commit).await.is_err() {
            tracing::warn!(group = %group.id, ?places, "given up without a commit");
        }
    }
    tracing::info!(group = %group.id, ?places, "given up");
    let mut assignment = shared.assignment();
    assignment.remove(places);
    shared.note_move();
    shared.deliver(assignment);
    shared.was_polled();
}

/// Tells the coordinator, if it can be told soon.
async fn leave(coordinator: &Coordinator, departure: &Departure) {
    let left = tokio::time::timeout(LEAVE_WITHIN, coordinator.leave(departure)).await;
    if !matches!(left, Ok(Ok(()))) {
        tracing::warn!(?left, "the group will miss this member until its session is over");
    }
}

/// Looks what the cluster has of a subscription and of `others`.
async fn look(kafka: &Kafka, subscription: &Subscription, others: &BTreeSet<Str>) -> Result<Look> {
    let names: Vec<_> = subscription.names().union(others).cloned().collect();
    let asked = (!subscription.has_patterns()).then_some(names.as_slice());
    let (mut metadata, _) = kafka.refresh(asked).await?;
    let mut unreadable = Vec::new();
    for name in subscription.names() {
        if metadata.topic(name).is_none() {
            // Asked for by name it is created, if client and cluster allow that.
            match kafka.topic_heard_after(name, clock::now()).await {
                Ok(_) => metadata = kafka.metadata(),
                Err(error) if error.code().is_some() && !error.is_retriable() => {
                    unreadable.push((name.clone(), error));
                }
                Err(error) => tracing::debug!(topic = %name, %error, "not there"),
            }
        }
    }
    Ok(Look { found: subscription.find(&metadata, others), unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_over_before_the_coordinators_time_is() {
        let check = |timeout_ms, finishing_ms, committing_ms| {
            let allowance = Allowance::of(Duration::from_millis(timeout_ms));
            let expected = Allowance {
                finishing: Duration::from_millis(finishing_ms),
                committing: Duration::from_millis(committing_ms),
            };
            assert_eq!(allowance, expected, "of {timeout_ms} ms");
        };
        check(300_000, 285_000, 5_000);
        check(60_000, 45_000, 5_000);
        check(1_200, 900, 100);
        check(0, 0, 0);
    }
}
