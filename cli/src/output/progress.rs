//! How far a command has come, for people who wait for it.

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that is drawn only on a terminal, and that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Nothing is done yet, of so many of these.
    pub(crate) fn of(total: Option<u64>, what: &'static str) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:40} {pos} of {len} {msg}, {per_sec}, {eta} left",
            None => "{pos} {msg}, {per_sec}",
        };
        let style = ProgressStyle::with_template(template);
        Self(bar.with_style(style.expect("the template is sound")).with_message(what))
    }

    /// So many are done.
    pub(crate) fn reach(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_are_sound() {
        Progress::of(Some(10), "records").reach(5);
        Progress::of(None, "records").reach(5);
    }
}
