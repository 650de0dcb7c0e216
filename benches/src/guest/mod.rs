//! Disks that a guest has, side by side under the same loads: fio within the guest is the client of each in turn.
//!
//! A repetition goes through all cells, and fio in each cell through all disks, in an order that rotates. The guest's processors are
//! emulated, an order of magnitude slower than those below, and not evenly: how long something takes there means nothing, and
//! what is told are ratios.

mod contender;
mod disk;
mod load;
mod options;
pub mod profile;
mod report;
mod run;
mod shell;

pub use contender::{Contender, Side};
pub use disk::Disk;
pub use options::Options;
#[cfg(test)]
pub use options::options_of;
pub use report::print;
pub use run::measure;
pub use shell::{Shell, in_guest};
