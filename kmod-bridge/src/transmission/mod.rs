//! From the choice of an export to the end: requests are read and judged here. No I/O: bytes in, steps out.

mod admission;
mod command;
mod contexts;
mod reader;

pub use admission::{Admission, Refusal};
pub use command::{Command, Request};
pub use contexts::ContextSet;
pub use reader::{RequestReader, Step, TransmissionError};
