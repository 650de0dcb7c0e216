//! What strangers could say to an NBD server: every case is bytes, which choose what an odd client says; the server's
//! machines must stay within what they promise (F70 to F74).
//!
//! The same entries are run by `cargo xtask fuzz nbd`, which chooses the bytes by a seed, and by the targets in `fuzz/`,
//! for which libFuzzer chooses them by what code they reach.

mod choices;
mod handshake;
mod pieces;
mod run;
mod transmission;

pub use handshake::handshake;
pub use run::{Options, Tally, run};
pub use transmission::transmission;
