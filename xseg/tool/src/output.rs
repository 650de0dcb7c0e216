//! What the program prints: for people, or one JSON object a line.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;

/// Standard output.
#[derive(Debug)]
pub struct Output {
    json: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self {
            json,
            stdout: BufWriter::new(io::stdout()),
        }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    pub fn is_terminal(&self) -> bool {
        self.stdout.get_ref().is_terminal()
    }

    /// A line of text, or an object: what `record` is in each of the two.
    pub fn emit<R: Serialize + Display>(&mut self, record: &R) -> io::Result<()> {
        if self.json {
            self.object(record)
        } else {
            writeln!(self.stdout, "{record}")
        }
    }

    pub fn object<R: Serialize>(&mut self, record: &R) -> io::Result<()> {
        serde_json::to_writer(&mut self.stdout, record)?;
        self.stdout.write_all(b"\n")
    }

    pub fn text(&mut self, text: impl Display) -> io::Result<()> {
        write!(self.stdout, "{text}")
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Something that its reader should know and that fails nothing.
pub fn warn(text: impl Display) {
    let _ = writeln!(io::stderr(), "xseg: warning: {text}"); // if stderr is closed there is nobody to warn
}

/// Rows of columns: text to the left, numbers to the right.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    numeric: Vec<bool>,
}

impl Table {
    /// Headers; those that begin with `>` stand over numbers.
    pub fn new(headers: &[&str]) -> Self {
        let plain = |header: &&str| header.trim_start_matches('>').to_owned();
        Self {
            rows: vec![headers.iter().map(plain).collect()],
            numeric: headers
                .iter()
                .map(|header| header.starts_with('>'))
                .collect(),
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.numeric.len(), "a cell for each header");
        self.rows.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.numeric.len()).map(widest).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), numeric) in row.iter().zip(&widths).zip(&self.numeric) {
                line += &if *numeric {
                    format!("{cell:>width$}  ")
                } else {
                    format!("{cell:<width$}  ")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Text from the segment, for a terminal: whoever wrote it may not move our cursor.
pub fn printable(text: &str) -> String {
    let harmless = |letter: char| {
        if letter.is_control() || letter == '\u{fffd}' {
            '?'
        } else {
            letter
        }
    };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", ">COUNT"]);
        table.row(vec!["a".into(), "1000000".into()]);
        table.row(vec!["a-long-name".into(), "1".into()]);
        let expected = "\
NAME           COUNT
a            1000000
a-long-name        1
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn escapes_from_the_segment_do_not_reach_the_terminal() {
        assert_eq!(printable("ok\x1b[2J\n"), "ok?[2J?");
    }
}
