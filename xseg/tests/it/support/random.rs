//! Random numbers from a seed that is printed: `XSEG_SEED=n` runs a test with the same numbers again.

use std::time::{SystemTime, UNIX_EPOCH};

/// splitmix64
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let given = std::env::var("XSEG_SEED").ok();
        let seed = given.map_or_else(
            || {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as u64
            },
            |text| text.parse().expect("XSEG_SEED is a number"),
        );
        println!("XSEG_SEED={seed}");
        Self(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound`, without it.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }
}
