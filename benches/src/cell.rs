//! What is measured: a load, and whether the page cache of the server's machine is used.

use std::fmt;

use anyhow::{Result, bail};
use serde::{Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// As fio calls it.
    pub pattern: &'static str,
    /// As fio understands it.
    pub block: &'static str,
    pub depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caching {
    Buffered,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub load: Load,
    pub caching: Caching,
}

pub const LOADS: [Load; 6] = [
    load("randread", "4k", 1),
    load("randread", "4k", 32),
    load("randwrite", "4k", 1),
    load("randwrite", "4k", 32),
    load("read", "1m", 8),
    load("write", "1m", 8),
];

const fn load(pattern: &'static str, block: &'static str, depth: u32) -> Load {
    Load {
        pattern,
        block,
        depth,
    }
}

impl Caching {
    pub const ALL: [Self; 2] = [Self::Buffered, Self::Direct];
}

impl Load {
    pub fn is_write(self) -> bool {
        self.pattern.ends_with("write")
    }
}

impl Cell {
    /// Those of one way of caching whose name has one of these texts in it; all of them if there is no text.
    pub fn chosen(texts: &[String], caching: Caching) -> Vec<Self> {
        let cells = LOADS.into_iter().map(|load| Self { load, caching });
        let is_chosen = |cell: &Self| {
            let name = cell.to_string();
            texts.is_empty() || texts.iter().any(|text| name.contains(text))
        };
        cells.filter(is_chosen).collect()
    }

    /// Fails if there is none to measure.
    pub fn must_be_chosen(texts: &[String]) -> Result<()> {
        let is_nothing = |caching| Self::chosen(texts, caching).is_empty();
        if Caching::ALL.into_iter().all(is_nothing) {
            bail!(
                "no cell has {texts:?} in its name; there are e.g. randread-4k-q1-buffered, randwrite-4k-q32-direct, write-1m-q8-direct"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load {
            pattern,
            block,
            depth,
        } = self.load;
        let caching = match self.caching {
            Caching::Buffered => "buffered",
            Caching::Direct => "direct",
        };
        let name = format!("{pattern}-{block}-q{depth}-{caching}");
        formatter.pad(&name)
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_cell_has_a_name_of_its_own_by_which_it_can_be_chosen() {
        let cells = Caching::ALL
            .into_iter()
            .flat_map(|caching| Cell::chosen(&[], caching));
        let names: BTreeSet<String> = cells.map(|cell| cell.to_string()).collect();
        assert_eq!(names.len(), 12);
        for name in names {
            let texts = [name.clone()];
            let chosen = Caching::ALL.map(|caching| Cell::chosen(&texts, caching).len());
            assert_eq!(chosen[0] + chosen[1], 1, "{name}");
        }
    }

    #[test]
    fn a_text_that_is_in_no_name_is_an_error() {
        let error = Cell::must_be_chosen(&["q64".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("q64"), "{error}");
        Cell::must_be_chosen(&["q64".to_owned(), "q32".to_owned()]).unwrap();
    }
}
