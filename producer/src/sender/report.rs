//! Work beside the sender, and what it tells the sender.

use std::future::Future;
use std::sync::Arc;

use klamm_client::{Connection, Result, Topic};
use klamm_protocol::records::BatchProducer;
use klamm_protocol::wire::Str;
use klamm_utils::task::TaskGroup;
use tokio::sync::mpsc;

/// What a task tells the sender.
pub(super) enum Report {
    Connected(i32, Result<Connection>),
    Located(Str, Result<Arc<Topic>>),
    Identified(Result<BatchProducer>),
}

/// Does `work` beside the sender and reports what came of it. It is dropped when the tasks are
/// stopped.
pub(super) fn report(
    tasks: &TaskGroup,
    reporter: &mpsc::Sender<Report>,
    name: &'static str,
    work: impl Future<Output = Report> + Send + 'static,
) {
    let (reporter, stopping) = (reporter.clone(), tasks.stopping());
    tasks.spawn(name, async move {
        tokio::select! {
            () = stopping => {}
            // Nobody hears it when the sender has ended.
            report = work => drop(reporter.send(report).await),
        }
    });
}
