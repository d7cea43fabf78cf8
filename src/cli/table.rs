//! Tables as kubectl prints them: columns by blanks, colour outside of the widths.

use super::style::Style;

/// Between two columns.
const GAP: &str = "   ";

/// Aligned text. The first row is the head.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A text, and how it looks.
#[derive(Debug)]
pub struct Cell {
    text: String,
    painted: String,
}

impl Cell {
    /// `painted` is `text` in colour.
    pub fn painted(text: String, painted: String) -> Self {
        Cell { text, painted }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell {
            painted: text.clone(),
            text,
        }
    }
}

impl Table {
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each cut to the terminal's width where there is one.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows
            .iter()
            .map(|row| line(row, &widths, style))
            .collect()
    }
}

fn line(row: &[Cell], widths: &[usize], style: Style) -> String {
    let full: usize = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
    let fits = style.size.is_none_or(|(columns, _)| full <= columns);
    let mut line = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str(GAP);
        }
        // A line that must be cut has no colour: nothing may be cut out of the middle of a code.
        line.push_str(if fits { &cell.painted } else { &cell.text });
        line.extend(std::iter::repeat_n(' ', width - cell.width()));
    }
    let line = line.trim_end();
    match style.size {
        Some((columns, _)) if !fits => line.chars().take(columns).collect(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        table.row(vec!["ID".to_owned().into(), "STATUS".to_owned().into()]);
        let painted = Cell::painted("ok".into(), "\x1b[32mok\x1b[0m".into());
        table.row(vec![painted, "x".to_owned().into()]);
        table
    }

    #[test]
    fn colour_takes_no_room() {
        let lines = table().lines(Style::default());
        assert_eq!(lines, ["ID   STATUS", "\x1b[32mok\x1b[0m   x"]);
    }

    #[test]
    fn a_narrow_terminal_gets_cut_lines_without_colour() {
        let narrow = Style {
            size: Some((6, 10)),
            ..Style::default()
        };
        assert_eq!(table().lines(narrow), ["ID   S", "ok   x"]);
    }
}
