//! Tables as kubectl prints them: columns by blanks, colour outside of the widths.

use super::{cells, style::Style};

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
        cells::width(&self.text)
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
        self.below(&mut Vec::new(), style)
    }

    /// The lines as they stand below others: `widths` are the columns so far, and grow where they must.
    pub fn below(&self, widths: &mut Vec<usize>, style: Style) -> Vec<String> {
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        self.rows
            .iter()
            .map(|row| line(row, widths, style))
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
        Some((columns, _)) if !fits => style.cut(line, columns),
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
        assert_eq!(table().lines(narrow), ["ID ...", "ok   x"]);
    }

    #[test]
    fn rows_that_come_later_stand_below_the_earlier_ones() {
        let mut widths = Vec::new();
        table().below(&mut widths, Style::default());
        let mut later = Table::default();
        later.row(vec!["a".to_owned().into(), "b".to_owned().into()]);
        assert_eq!(later.below(&mut widths, Style::default()), ["a    b"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::default();
        table.row(vec!["日本".to_owned().into(), "x".to_owned().into()]);
        table.row(vec!["abcd".to_owned().into(), "x".to_owned().into()]);
        assert_eq!(table.lines(Style::default()), ["日本   x", "abcd   x"]);
    }
}
