//! The behaviour of the segment as its users see it: one module a subject, one sentence a test.

mod answering;
mod bells;
mod binding;
mod creating;
mod deadlines;
mod deaths;
mod destroying;
mod drafting;
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
