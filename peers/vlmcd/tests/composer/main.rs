//! A composer between clients that check every byte, a naive mapper and a store in memory.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

mod blocker;
mod client;
mod deaths;
mod edges;
mod failing;
mod foreign;
mod leases;
mod mapper;
mod naive;
mod races;
mod random;
mod recalls;
mod restarts;
mod world;
