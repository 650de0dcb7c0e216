//! The engine on simulated stores, against a model in which a volume is an array and a snapshot a copy.

mod client;
mod faults;
mod random_histories;
mod stories;
mod world;
