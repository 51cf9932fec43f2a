//! Commands that do something to several items: asking first, and telling what was done.

use std::io::IsTerminal as _;

use klamm_client::Error as ClientError;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::failure::{ErrorStyle, Failure};
use crate::output::{OutputArgs, Row, Stdout, ask, say, table};

/// What was done with one item.
#[derive(Debug)]
struct Done {
    /// What kind of item it is: the name of its field, and the heading of its column.
    what: &'static str,
    item: String,
    /// What was done, or `failed`.
    status: &'static str,
    error: Option<ErrorRow>,
}

/// An error beside the item that it is about. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorRow {
    code: Option<&'static str>,
    message: String,
}

impl ErrorRow {
    pub(crate) fn new(error: &ClientError) -> Self {
        let code = error.code().map(|code| code.name());
        Self { code, message: error.to_string() }
    }
}

/// A cell that says what was done, and why not if it was not.
pub(crate) fn status_cell(status: &str, error: Option<&ErrorRow>) -> String {
    match error.and_then(|error| error.code) {
        Some(code) => format!("{status}: {code}"),
        None => status.to_owned(),
    }
}

impl Serialize for Done {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.what, &self.item)?;
        map.serialize_entry("status", self.status)?;
        if let Some(error) = &self.error {
            map.serialize_entry("error", error)?;
        }
        map.end()
    }
}

impl Row for Done {
    const HEADINGS: &'static [&'static str] = &["ITEM", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![self.item.clone(), status_cell(self.status, self.error.as_ref())]
    }
}

/// Prints what was done with each item, and fails if something failed. `what` is what the items
/// are.
pub(crate) fn settle(
    what: &'static str,
    outcomes: Vec<(String, Result<&'static str, ClientError>)>,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let outcome = |(item, outcome)| match outcome {
        Ok(status) => (item, status, None),
        Err(error) => (item, "failed", Some(error)),
    };
    settle_parts(what, outcomes.into_iter().map(outcome).collect(), output)
}

/// The same for items of which a part may be done before something fails: what was done with each,
/// and what failed.
pub(crate) fn settle_parts(
    what: &'static str,
    outcomes: Vec<(String, &'static str, Option<ClientError>)>,
    output: OutputArgs,
) -> anyhow::Result<()> {
    let row = |(item, status, error): &(String, &'static str, Option<ClientError>)| Done {
        what,
        item: item.clone(),
        status,
        error: error.as_ref().map(ErrorRow::new),
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    output.print_as(&rows, |stdout: &mut Stdout, rows| {
        let headings = [&*what.to_uppercase(), "STATUS"];
        let terminal = std::io::stdout().is_terminal();
        stdout.text(&table(&headings, rows.iter().map(Row::cells), terminal));
    })?;
    let of = outcomes.len();
    let failed = outcomes.into_iter().filter_map(|(item, _, error)| Some((item, error?)));
    Ok(Failure::unless_all(failed.collect(), of)?)
}

/// Asks whether it is meant, where there is somebody to ask.
///
/// # Errors
/// It is not, or somebody is there and would not see the question.
pub(crate) async fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    if !std::io::stderr().is_terminal() {
        let unseen = "cannot ask whether it is meant: standard error is no terminal; say --yes";
        return Err(Failure::Usage(unseen.into()).into());
    }
    ask(format_args!("{question} [y/N]"));
    // On another thread, so that signals are heard meanwhile.
    let answer = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    match answer.transpose()?.as_deref().map(str::trim) {
        Some("y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::Interrupted.into()),
    }
}

/// Tells people what they should know besides. Machines are not told, as they get one object.
pub(crate) fn note(style: ErrorStyle, text: &str) {
    if style == ErrorStyle::Text {
        say(format_args!("note: {text}"));
    }
}
