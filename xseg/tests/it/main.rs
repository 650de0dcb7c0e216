//! The behaviour of the segment, as its users see it: one module a subject, one sentence a test.

mod scratch;
mod support;
