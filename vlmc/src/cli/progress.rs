//! How far a long command is: one line on stderr, only if that is a terminal.

use std::io::{IsTerminal, Write};

/// Rewrites its line; wipes it when dropped.
pub struct Progress {
    what: String,
    stream: Option<Box<dyn Write>>,
    shown: Option<u64>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Progress({:?}, {:?})", self.what, self.shown)
    }
}

impl Progress {
    /// Shown if stderr is a terminal.
    pub fn on_stderr(what: &str) -> Self {
        let stderr = std::io::stderr();
        let stream = stderr
            .is_terminal()
            .then(|| Box::new(stderr) as Box<dyn Write>);
        Self::on(what, stream)
    }

    /// Shown on a stream, or nowhere.
    pub fn on(what: &str, stream: Option<Box<dyn Write>>) -> Self {
        Self {
            what: what.to_owned(),
            stream,
            shown: None,
        }
    }

    /// `total` 0 counts as done. Writes only when the percentage changes.
    pub fn report(&mut self, done: u64, total: u64) {
        let percent = (u128::from(done.min(total)) * 100)
            .checked_div(u128::from(total))
            .map_or(100, |percent| percent as u64);
        if self.shown == Some(percent) {
            return;
        }
        self.show(percent, &format!("{percent} %"));
    }

    /// Where nobody knows how many there will be.
    pub fn count(&mut self, done: u64, of_what: &str) {
        if self.shown != Some(done) {
            self.show(done, &format!("{done} {of_what}"));
        }
    }

    fn show(&mut self, number: u64, text: &str) {
        self.shown = Some(number);
        if let Some(stream) = &mut self.stream {
            // Progress that cannot be shown is no reason to fail.
            let _ = write!(stream, "\r{}: {text}", self.what).and_then(|()| stream.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let (Some(stream), Some(_)) = (&mut self.stream, self.shown) {
            let _ = write!(stream, "\r\x1b[K").and_then(|()| stream.flush());
        }
    }
}
