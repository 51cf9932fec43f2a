//! Figures that are committed: a TOML file of one number a line.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

/// What is measured, and how much it was.
pub type Figures<T> = BTreeMap<String, T>;

/// A file of figures, beside this crate's `Cargo.toml`.
#[derive(Debug)]
pub struct Committed {
    path: PathBuf,
    /// What stands above the figures, for whoever opens the file.
    heading: &'static str,
}

impl Committed {
    /// The file of this name.
    #[must_use]
    pub fn new(name: &str, heading: &'static str) -> Self {
        Self { path: Path::new(env!("CARGO_MANIFEST_DIR")).join(name), heading }
    }

    /// Reads the figures; none if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<Figures<T>> {
        if !self.path.exists() {
            return Ok(Figures::new());
        }
        let text = std::fs::read_to_string(&self.path);
        let text = text.with_context(|| self.path.display().to_string())?;
        toml::from_str(&text).with_context(|| self.path.display().to_string())
    }

    /// Replaces the figures.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write<T: Display>(&self, figures: &Figures<T>) -> anyhow::Result<()> {
        let text = print(self.heading, figures);
        std::fs::write(&self.path, text).with_context(|| self.path.display().to_string())
    }
}

fn print<T: Display>(heading: &str, figures: &Figures<T>) -> String {
    let mut text = String::new();
    for line in heading.lines() {
        let _ = writeln!(text, "# {line}");
    }
    for (name, figure) in figures {
        let _ = writeln!(text, "{name:?} = {figure}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let figures: Figures<u64> = [("log append/1 x 100".into(), 7), ("b".into(), 8)].into();
        let text = print("What it is.\nAnd why.", &figures);
        assert_eq!(text, "# What it is.\n# And why.\n\"b\" = 8\n\"log append/1 x 100\" = 7\n");
        assert_eq!(toml::from_str::<Figures<u64>>(&text).unwrap(), figures);
    }
}
