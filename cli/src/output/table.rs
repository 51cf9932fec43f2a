//! Columns for people.

use comfy_table::{ContentArrangement, LineStyle, Table, presets};

/// A table with a line under its headings on a terminal, and with nothing but columns elsewhere.
pub(crate) fn table(
    headings: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    terminal: bool,
) -> String {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    let style = if terminal { presets::NOTHING.header_separator(line) } else { presets::NOTHING };
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().copied());
    for cells in rows {
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A cell for what may not be there.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A count with its noun.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![vec!["orders".into(), "3".into()], vec!["bestellungen-ü".into(), "12".into()]]
    }

    #[test]
    fn columns_line_up() {
        let plain = table(&["NAME", "PARTITIONS"], rows(), false);
        assert_eq!(plain, "NAME            PARTITIONS\norders          3\nbestellungen-ü  12\n");
    }

    #[test]
    fn a_terminal_sees_a_line_under_the_headings() {
        let drawn = table(&["NAME", "PARTITIONS"], rows(), true);
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), 4, "{drawn}");
        assert!(lines[1].starts_with("──"), "{drawn}");
    }
}
