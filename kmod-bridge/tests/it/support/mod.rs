//! A server in a thread, a client that says what it is told, and the programs that people use.

pub mod certificates;
mod composer;
mod image;
mod programs;
mod raw;
mod server;
mod slow;

pub use composer::{Asked, FAILS_AT, FAILS_LENGTH, FULL_AT, SHORT_AT, compose};
pub use image::{image, text};
pub use programs::{begin_shell, refused, run, run_in, shell};
pub use raw::{RawClient, connect, greet};
pub use server::{Served, disks, serve, serve_at, serve_in, serve_with};
pub use slow::{SlowExports, Tap};
