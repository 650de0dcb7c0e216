//! What all benchmarks with a guest are told.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub struct Options {
    /// How long each load is measured, each time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// How often each contender is measured in each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub repetitions: u64,
    /// Size of each contender's disk, which is written in full first
    #[arg(long, default_value_t = 128, value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..=1 << 14))]
    pub size_mib: u64,
    /// Only cells whose name has this in it, e.g. `randread-4k-q1-direct`, `q32`; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub cell: Vec<String>,
    /// Where the disks lie, or that of the guest
    #[arg(long, default_value = "/tmp", value_name = "DIRECTORY")]
    pub directory: PathBuf,
    /// Tells where the time of ours goes, too, by perf, in one more run of each cell
    #[arg(long)]
    pub profile: bool,
    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The shortest measurement of one load.
#[cfg(test)]
pub fn options_of(cell: &str) -> Options {
    Options {
        seconds: 1,
        repetitions: 1,
        size_mib: 16,
        cell: vec![cell.to_owned()],
        directory: std::env::temp_dir(),
        profile: false,
        json: false,
    }
}
