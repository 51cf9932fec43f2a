//! What commands print: tables for people, JSON for machines.

mod json;
mod outlet;
mod progress;
mod stderr;
mod stdout;
mod table;

use std::io::IsTerminal as _;

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use json::{Base64, Bytes, Time};
pub(crate) use outlet::Outlet;
pub(crate) use progress::Progress;
pub(crate) use stderr::{ask, say};
pub(crate) use stdout::Stdout;
pub(crate) use table::{counted, or_dash, table};

use crate::failure::ErrorStyle;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Columns for people
    Table,
    /// More columns, where there are more
    Wide,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// The first column alone
    Name,
}

/// How the answer is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// How the answer is printed
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Shape::Table)]
    #[arg(value_name = "SHAPE")]
    pub(crate) shape: Shape,
}

/// A line of a table, and an object in JSON. The names of its fields are a promise to scripts.
pub(crate) trait Row: Serialize {
    /// The columns of the table.
    const HEADINGS: &'static [&'static str];

    /// The columns that a wide table adds.
    const MORE_HEADINGS: &'static [&'static str] = &[];

    /// One text for each column.
    fn cells(&self) -> Vec<String>;

    /// One text for each column that a wide table adds.
    fn more_cells(&self) -> Vec<String> {
        Vec::new()
    }
}

impl OutputArgs {
    /// How failures are told beside this output.
    pub(crate) fn errors(self) -> ErrorStyle {
        match self.shape {
            Shape::Table | Shape::Wide | Shape::Name => ErrorStyle::Text,
            Shape::Json | Shape::Jsonl => ErrorStyle::Json,
        }
    }

    /// Prints rows as they were asked for.
    pub(crate) fn print<R: Row>(self, rows: &[R]) -> anyhow::Result<()> {
        self.print_as(rows, |stdout, rows| stdout.text(&self.columns(rows)))
    }

    /// The table of these rows, wide if it was asked for.
    pub(crate) fn columns<'a, R: Row + 'a>(self, rows: impl IntoIterator<Item = &'a R>) -> String {
        let terminal = std::io::stdout().is_terminal();
        if self.shape != Shape::Wide {
            return table(R::HEADINGS, rows.into_iter().map(Row::cells), terminal);
        }
        let headings = [R::HEADINGS, R::MORE_HEADINGS].concat();
        let cells = rows.into_iter().map(|row| [row.cells(), row.more_cells()].concat());
        table(&headings, cells, terminal)
    }

    /// Prints rows, for people as `for_people` does it.
    pub(crate) fn print_as<R: Row>(
        self,
        rows: &[R],
        for_people: impl FnOnce(&mut Stdout, &[R]),
    ) -> anyhow::Result<()> {
        let mut stdout = Stdout::new();
        match self.shape {
            Shape::Table | Shape::Wide => for_people(&mut stdout, rows),
            Shape::Json => stdout.json_line(&rows)?,
            Shape::Jsonl => rows.iter().try_for_each(|row| stdout.json_line(row))?,
            Shape::Name => {
                let names = rows.iter().filter_map(|row| row.cells().into_iter().next());
                names.for_each(|name| stdout.text(&(name + "\n")));
            }
        }
        stdout.finish()?;
        Ok(())
    }
}
