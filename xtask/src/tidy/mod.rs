//! A test of the source as text: what neither the compiler nor clippy looks at.
//!
//! Each rule is a function from sources to violations, and each violation says the way out. `cargo xtask tidy`
//! prints them; a unit test of this module fails on them too.

mod changelog;
mod headers;
mod houses;
mod invariants;
mod length;
mod run;
mod source;
#[cfg(test)]
mod tests;
mod words;

pub use run::run;
