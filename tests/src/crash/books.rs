//! What happened, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::aim::all_points;
use crate::channel::Violation;

/// The books of a run.
#[derive(Debug, Default)]
pub struct Books {
    pub seed: u64,
    pub seconds: f64,
    pub random_kills: u64,
    pub point_kills: BTreeMap<String, u64>,
    /// Kills of two workers at once, among the random ones.
    pub pairs: u64,
    /// Kills of workers that were stopped at that moment, among the random ones.
    pub stopped_kills: u64,
    pub stops: u64,
    /// Orderly leaves.
    pub leaves: u64,
    pub by_role: BTreeMap<&'static str, u64>,
    pub checkpoints: u64,
    pub messages: u64,
    /// The slowest answer while nobody was being killed.
    pub calm_slowest_us: u64,
    pub leaked_requests: u64,
    pub leaked_buffers: u64,
    pub violations: BTreeMap<Violation, u64>,
    /// From the start of a successor to its first answer, in microseconds, by how its predecessor slept.
    pub serve_us: BTreeMap<&'static str, Vec<u64>>,
    /// The first violations in words.
    pub texts: Vec<String>,
}

const TEXTS_MAX: usize = 40;

impl Books {
    pub fn kills(&self) -> u64 {
        self.random_kills + self.point_kills.values().sum::<u64>()
    }

    pub fn count_role(&mut self, role: &'static str) {
        *self.by_role.entry(role).or_default() += 1;
    }

    pub fn violation(&mut self, kind: Violation, text: &str) {
        self.violation_of(kind, 1, text);
    }

    pub fn violation_of(&mut self, kind: Violation, count: u64, text: &str) {
        *self.violations.entry(kind).or_default() += count;
        if self.texts.len() < TEXTS_MAX {
            eprintln!(
                "violation after {} kills: {}: {text}",
                self.kills(),
                kind.name()
            );
            self.texts.push(format!("{}: {text}", kind.name()));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    fn count_of(&self, kind: Violation) -> u64 {
        self.violations.get(&kind).copied().unwrap_or(0)
    }

    /// The kill points that nobody died at.
    pub fn unreached(&self) -> Vec<&'static str> {
        let points = all_points().iter().copied();
        points
            .filter(|point| !self.point_kills.contains_key(*point))
            .collect()
    }

    pub fn to_json(&self) -> Value {
        let violations: BTreeMap<_, _> = Violation::ALL
            .iter()
            .map(|(kind, name)| (*name, self.count_of(*kind)))
            .collect();
        let serve: BTreeMap<_, _> = self
            .serve_us
            .iter()
            .map(|(after, times)| {
                let [p50, p99, max] = quantiles(times);
                let row = json!({"p50": p50, "p99": p99, "max": max, "count": times.len()});
                (format!("after-{after}"), row)
            })
            .collect();
        json!({
            "test": "crash-xseg",
            "seed": self.seed,
            "seconds": self.seconds,
            "kills": self.kills(),
            "random_kills": self.random_kills,
            "pairs": self.pairs,
            "stopped_kills": self.stopped_kills,
            "stops": self.stops,
            "leaves": self.leaves,
            "by_role": self.by_role,
            "kill_points": self.point_kills,
            "kill_points_unreached": self.unreached(),
            "checkpoints": self.checkpoints,
            "messages": self.messages,
            "violations": violations,
            "leaked_requests": self.leaked_requests,
            "leaked_buffers": self.leaked_buffers,
            "calm_slowest_us": self.calm_slowest_us,
            "serve_us": serve,
            "texts": self.texts,
        })
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point_kills: u64 = self.point_kills.values().sum();
        writeln!(f, "seed                       {}", self.seed)?;
        writeln!(f, "seconds                    {:.1}", self.seconds)?;
        writeln!(f, "kills                      {}", self.kills())?;
        writeln!(f, "  at random instants       {}", self.random_kills)?;
        writeln!(f, "    two at once            {}", self.pairs)?;
        writeln!(f, "    while stopped          {}", self.stopped_kills)?;
        writeln!(f, "  at kill points           {point_kills}")?;
        for point in all_points() {
            let count = self.point_kills.get(*point).copied().unwrap_or(0);
            writeln!(f, "    {point:<22} {count}")?;
        }
        writeln!(f, "  by role")?;
        for (role, count) in &self.by_role {
            writeln!(f, "    {role:<22} {count}")?;
        }
        writeln!(f, "stops and continues        {}", self.stops)?;
        writeln!(f, "orderly leaves             {}", self.leaves)?;
        writeln!(f, "checkpoints                {}", self.checkpoints)?;
        writeln!(f, "messages                   {}", self.messages)?;
        for (kind, name) in Violation::ALL {
            writeln!(f, "{name:<26} {}", self.count_of(kind))?;
        }
        writeln!(f, "leaked requests            {}", self.leaked_requests)?;
        writeln!(f, "leaked buffers             {}", self.leaked_buffers)?;
        writeln!(f, "slowest answer in calm     {} us", self.calm_slowest_us)?;
        writeln!(
            f,
            "start of a successor to its first answer, by how its predecessor slept"
        )?;
        for (after, times) in &self.serve_us {
            let [p50, p99, max] = quantiles(times);
            let count = times.len();
            writeln!(
                f,
                "  {after:<24} p50 {p50} us, p99 {p99} us, max {max} us ({count})"
            )?;
        }
        Ok(())
    }
}

/// Median, 99 % and largest.
fn quantiles(times: &[u64]) -> [u64; 3] {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    [500, 990, 1000].map(|per_mille| sorted.get(last * per_mille / 1000).copied().unwrap_or(0))
}
