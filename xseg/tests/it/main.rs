//! The behaviour of the segment as its users see it: one module a subject, one sentence a test.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]
#![allow(
    clippy::disallowed_types,
    reason = "what tests share with their threads is not in the segment"
)]

mod answering;
mod bells;
mod binding;
mod creating;
mod deadlines;
mod deaths;
mod destroying;
mod drafting;
mod flows;
mod gate;
mod headers;
mod hostile;
mod incarnations;
mod joining;
#[cfg(feature = "kill-points")]
mod kill_points;
mod kills;
mod leaving;
mod model;
mod notices;
mod orphaned_parts;
mod parts;
mod permissions;
mod pressure;
mod private;
mod raw;
mod routes;
mod settling;
mod support;
mod waiting;
