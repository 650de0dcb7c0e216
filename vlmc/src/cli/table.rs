//! Tables of aligned columns: letters and spaces only, good for eyes and for `awk`.

/// A head and rows of as many cells.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers stand at the right.
    right: Vec<bool>,
}

impl Table {
    /// A name that begins with `>` is that of a column of numbers.
    pub fn new(head: &[&str]) -> Self {
        let names = head
            .iter()
            .map(|name| name.trim_start_matches('>').to_owned());
        Self {
            rows: vec![names.collect()],
            right: head.iter().map(|name| name.starts_with('>')).collect(),
        }
    }

    /// An empty cell is shown as `-`, so that columns can be counted.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let shown = cells.map(|cell| if cell.is_empty() { "-".into() } else { cell });
        self.rows.push(shown.collect());
    }

    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.right.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                let parts = if *right { [&gap, cell] } else { [cell, &gap] };
                parts.into_iter().for_each(|part| line.push_str(part));
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
