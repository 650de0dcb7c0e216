//! What tests of all formats share, and tests of all formats together.

pub(super) mod any;
mod golden;
mod page;
