//! The composer of volumes: it makes one volume out of many objects.
//!
//! A request for a range of a volume is split into requests for ranges of objects, which go to the blocker as views of
//! the request's own data (W1). What lies where a composer knows from the mapper, and remembers for as long as the
//! mapper does not recall it (W2). A write to a place that must not change any more asks for a new one.
//!
//! * [`pure`] has the decisions, without I/O: splitting, the cache, epochs and recalls, ranges that are claimed.
//! * [`serve`] puts a composer behind a port.

#![forbid(unsafe_code)]

mod composer;
mod error;
mod options;
pub mod pure;

pub use composer::{RunningComposer, serve};
pub use error::ComposeError;
pub use options::Options;
