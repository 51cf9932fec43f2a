//! Standard error: words for people, who may have gone.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Tells a line. That nobody reads it ends nothing.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Tells what the user is to go on behind, on the same line.
pub(crate) fn ask(question: impl Display) {
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
}
