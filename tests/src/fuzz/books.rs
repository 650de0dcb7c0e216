//! What happened, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

/// The books of a run.
#[derive(Debug, Default)]
pub struct Books {
    pub seed: u64,
    pub seconds: f64,
    pub rounds: u64,
    pub flips: u64,
    pub workers: u64,
    pub kills: u64,
    /// Requests that were answered all the same.
    pub answered: u64,
    /// Errors, wrong contents and damaged words that workers noticed.
    pub oddities: u64,
    /// Workers that ended by themselves (FUZZ-1).
    pub ended: u64,
    /// Workers whose loop stopped turning (FUZZ-2).
    pub hung: u64,
    pub texts: Vec<String>,
}

impl Books {
    pub fn is_clean(&self) -> bool {
        self.ended == 0 && self.hung == 0
    }

    pub fn to_json(&self) -> Value {
        json!({
            "test": "fuzz-segment",
            "seed": self.seed,
            "seconds": self.seconds,
            "rounds": self.rounds,
            "flips": self.flips,
            "workers": self.workers,
            "kills": self.kills,
            "answered": self.answered,
            "oddities": self.oddities,
            "ended": self.ended,
            "hung": self.hung,
            "texts": self.texts,
        })
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed                  {}", self.seed)?;
        writeln!(f, "seconds               {:.1}", self.seconds)?;
        writeln!(f, "rounds                {}", self.rounds)?;
        writeln!(f, "damaged words         {}", self.flips)?;
        writeln!(f, "workers               {}", self.workers)?;
        writeln!(f, "kills                 {}", self.kills)?;
        writeln!(f, "answered              {}", self.answered)?;
        writeln!(f, "oddities noticed      {}", self.oddities)?;
        writeln!(f, "ended by themselves   {}", self.ended)?;
        writeln!(f, "hung                  {}", self.hung)
    }
}
