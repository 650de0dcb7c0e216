use std::fmt;

use serde_json::{Value, json};

/// What happened, for people and for programs.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pub seed: u64,
    pub seconds: f64,
    pub cases: u64,
    /// Of which the memory was taken away in the middle.
    pub shortened: u64,
    /// Requests that were completed in them.
    pub completed: u64,
    /// Pieces of them for which the guest's memory was lent.
    pub lent: u64,
    /// Requests of guests that made sense, all of them answered.
    pub answered: u64,
    /// The case that failed, and how.
    pub failure: Option<(u64, String)>,
}

impl Books {
    pub fn to_json(&self) -> Value {
        json!({
            "test": "fuzz-vhost",
            "seed": self.seed,
            "seconds": self.seconds,
            "cases": self.cases,
            "shortened": self.shortened,
            "completed": self.completed,
            "lent": self.lent,
            "answered": self.answered,
            "failure": self.failure,
        })
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed                  {}", self.seed)?;
        writeln!(f, "seconds               {:.1}", self.seconds)?;
        writeln!(f, "cases                 {}", self.cases)?;
        writeln!(f, "memory taken away     {}", self.shortened)?;
        writeln!(f, "requests completed    {}", self.completed)?;
        writeln!(f, "lent                  {}", self.lent)?;
        writeln!(f, "answered beside them  {}", self.answered)?;
        if let Some((case, why)) = &self.failure {
            writeln!(f, "case {case} failed: {why}")?;
        }
        Ok(())
    }
}
