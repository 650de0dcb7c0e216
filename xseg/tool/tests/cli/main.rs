//! The `xseg` command as its users call it: the real program, in a directory of its own, judged by what it prints and
//! by its exit code.

mod harness;
mod hoard;
mod life;
mod orphans;
mod recovery;
mod traffic;
mod watching;
