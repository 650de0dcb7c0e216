//! What a guest has said so far, for those who wait for a word of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Grows while the guest runs. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Transcript {
    /// Takes all there is to hear, and shows it as it comes unless it is to be quiet.
    pub fn take(&self, mut source: impl Read, is_quiet: bool) {
        let mut chunk = [0; 4096];
        loop {
            let count = source.read(&mut chunk).unwrap_or(0);
            if !is_quiet {
                eprint!("{}", String::from_utf8_lossy(&chunk[..count]));
            }
            let mut heard = self.lock();
            heard.bytes.extend(&chunk[..count]);
            heard.is_over = count == 0;
            self.shared.more.notify_all();
            if count == 0 {
                return;
            }
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits until that was said. `false`: it was not, by then or at all.
    pub fn wait_for(&self, wanted: &str, deadline: Instant) -> bool {
        let mut heard = self.lock();
        loop {
            if String::from_utf8_lossy(&heard.bytes).contains(wanted) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if heard.is_over || left.is_zero() {
                return false;
            }
            let waited = self.shared.more.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        let heard = self.shared.heard.lock();
        heard.unwrap_or_else(PoisonError::into_inner) // bytes are bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_word_is_waited_for_until_there_will_be_none() {
        let transcript = Transcript::default();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let listener = transcript.clone();
        let thread = std::thread::spawn(move || listener.take(reader, true));
        std::io::Write::write_all(&mut writer, b"on your mark, go").unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(transcript.wait_for("go", deadline));
        assert!(!transcript.wait_for("stop", Instant::now()));
        drop(writer);
        assert!(!transcript.wait_for("stop", deadline));
        thread.join().unwrap();
        assert_eq!(transcript.text(), "on your mark, go");
    }
}
