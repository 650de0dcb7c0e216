//! What keeps a guest from running a script to its end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    #[error(
        "there is no kernel for guests in {}: `cargo xtask guest` fetches it (from Debian 12, with apt)", shown(.looked_in)
    )]
    NoKernel { looked_in: Vec<PathBuf> },
    #[error("no program {name}: install it, or build it before the test")]
    NoProgram { name: String },
    #[error("the kernel {release} has no module {name}")]
    NoModule { name: String, release: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("`{command}` failed: {said}")]
    Command { command: String, said: String },
    #[error("QEMU's monitor, at `{command}`: {said}")]
    Monitor { command: String, said: String },
    #[error("{}: {what}", path.display())]
    NotAKernel { path: PathBuf, what: &'static str },
    #[error("the guest could not begin: {what}")]
    Begin { what: String },
    #[error("the guest went down without a status; {tail}")]
    Down { tail: String },
    #[error("the guest was not done within {within:?}; {tail}")]
    Deadline { within: Duration, tail: String },
    #[error("the guest did not say {wanted:?}; {tail}")]
    NotSaid { wanted: String, tail: String },
}

impl GuestError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

fn shown(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    shown.join(" or ")
}
