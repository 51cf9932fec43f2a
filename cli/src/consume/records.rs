//! From batches to output.

use std::time::Duration;

use klamm_consumer::ConsumerBatch;

use super::Printer;
use crate::failure::Failure;
use crate::format::Shown;
use crate::output::Outlet;

/// How long an interrupted command waits for its reader.
const FAREWELL: Duration = Duration::from_secs(5);

/// Prints records until there were as many as were asked for.
pub(super) struct Records {
    printer: Printer,
    /// Records that may still be printed.
    left: u64,
    /// Records that were printed.
    number: u64,
    outlet: Outlet,
}

impl Records {
    pub(super) fn new(printer: Printer, count: Option<u64>) -> Self {
        Self { printer, left: count.unwrap_or(u64::MAX), number: 0, outlet: Outlet::new() }
    }

    /// Whether there were as many as were asked for.
    pub(super) fn is_enough(&self) -> bool {
        self.left == 0
    }

    /// Prints the records of a batch that lie before an offset, as long as it is not enough.
    /// Gives the offset of the first that was left out, if one was.
    ///
    /// # Errors
    /// A record cannot be printed so.
    pub(super) fn print(
        &mut self,
        batch: &ConsumerBatch,
        until: i64,
    ) -> anyhow::Result<Option<i64>> {
        for record in batch {
            if self.left == 0 || record.offset >= until {
                return Ok(Some(record.offset));
            }
            self.number += 1;
            self.left -= 1;
            let shown = Shown {
                topic: batch.topic(),
                partition: batch.partition(),
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
                number: self.number,
            };
            self.printer.print(&shown, self.outlet.stdout())?;
        }
        Ok(None)
    }

    /// Has the output written if it is much.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) async fn relieve(&mut self) -> anyhow::Result<()> {
        self.outlet.relieve().await
    }

    /// Lets everybody see what was printed.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        self.outlet.flush().await
    }

    /// Lets everybody see what was printed before it ended so, and tells whether the reader has
    /// taken it: an interrupted command waits only so long for that.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) async fn settle(&mut self, ended: &anyhow::Result<()>) -> anyhow::Result<bool> {
        let failure = ended.as_ref().err().and_then(|error| error.downcast_ref());
        let patience = match failure {
            Some(Failure::Interrupted) => FAREWELL,
            _ => Duration::MAX,
        };
        match tokio::time::timeout(patience, self.flush()).await {
            Ok(flushed) => flushed.map(|()| true),
            Err(_) => Ok(false),
        }
    }
}
