//! From batches to output.

use klamm_consumer::ConsumerBatch;

use super::Printer;
use crate::format::Shown;
use crate::output::Stdout;

/// Prints records until there were as many as were asked for.
pub(super) struct Records {
    printer: Printer,
    /// Records that may still be printed.
    left: u64,
    /// Records that were printed.
    number: u64,
    stdout: Stdout,
}

impl Records {
    pub(super) fn new(printer: Printer, count: Option<u64>) -> Self {
        Self { printer, left: count.unwrap_or(u64::MAX), number: 0, stdout: Stdout::new() }
    }

    /// Whether there were as many as were asked for.
    pub(super) fn is_enough(&self) -> bool {
        self.left == 0
    }

    /// Prints the records of a batch that lie before an offset, as long as it is not enough.
    /// Gives the offset of the first that was left out, if one was.
    ///
    /// # Errors
    /// The output cannot be written.
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
            self.printer.print(&shown, &mut self.stdout)?;
        }
        Ok(None)
    }

    /// Lets everybody see what was printed.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.stdout.finish()
    }
}
