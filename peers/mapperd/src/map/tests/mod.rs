//! What tests of all formats share, and tests of all formats together.

pub(super) mod any;
