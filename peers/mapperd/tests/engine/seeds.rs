//! Which seeds a test runs: some that are the same every time, and a fresh one.

/// The first `fixed` seeds and one that nobody has tried. `SIM_SEED=n` runs that one alone, `SIM_SEEDS=n` the first `n`.
pub fn seeds(fixed: u64) -> Vec<u64> {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a seed is a number"))
    };
    if let Some(seed) = number("SIM_SEED") {
        return vec![seed];
    }
    if let Some(count) = number("SIM_SEEDS") {
        return (0..count).collect();
    }
    (0..fixed).chain([fresh_seed()]).collect()
}

/// A number that is another each time.
pub fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_nanos() as u64
}
