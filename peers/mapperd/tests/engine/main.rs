//! The engine on simulated stores, against a model in which a volume is an array and a snapshot a copy.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

mod adopting;
mod broken_locks;
mod client;
mod drafts;
mod failing;
mod faults;
mod fold_races;
mod folds;
mod gc;
mod gc_losses;
mod had;
mod hashes;
mod interleaved;
mod leases;
mod locks;
mod making;
mod model;
mod promises;
mod random_histories;
mod script;
mod seeds;
mod space;
mod stories;
mod taken;
mod two_composers;
mod world;
