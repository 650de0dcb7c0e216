//! The one way of spinning, shared by all contenders so that none wins by a better one.
//!
//! A peer that runs answers within a few hundred polls. One that does not answer by then is
//! probably waiting for this processor, and polling on would only keep it from running.

use std::hint;
use std::thread;

use anyhow::Result;

const POLLS_BEFORE_YIELDING: u32 = 256;

/// Counts the polls of one wait.
#[derive(Debug, Default)]
pub struct Spinner {
    polls: u32,
}

impl Spinner {
    /// Passes the time between two polls.
    pub fn pause(&mut self) {
        if self.polls < POLLS_BEFORE_YIELDING {
            self.polls += 1;
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Polls until there is something.
pub fn until<T>(mut poll: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut spinner = Spinner::default();
    loop {
        if let Some(found) = poll()? {
            return Ok(found);
        }
        spinner.pause();
    }
}
