//! A guest that runs.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cache::Cache;
use crate::error::GuestError;
use crate::machine::{Machine, Places};
use crate::outcome::{Outcome, complaints};
use crate::transcript::Transcript;

/// Now and then a guest with two processors dies early, or stands still: the emulator runs an instruction that the kernel has just replaced.
const BOOTS_MAX: u32 = 3;
/// A boot takes seconds, and many of them where the machine below is busy.
const BOOT_WITHIN: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long a guest may take to switch itself off.
const POWER_OFF: Duration = Duration::from_secs(10);

/// What is shown of a guest in trouble.
const TAIL_LINES: usize = 30;

/// Dropped, it is ended as by a power loss.
#[derive(Debug)]
pub struct Running {
    qemu: Child,
    listener: Option<JoinHandle<()>>,
    transcript: Transcript,
    places: Places,
    started: Instant,
    within: Duration,
    _directory: TempDir,
}

/// What the guest's first process has told of the script.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Booting,
    Refused(String),
    Begun,
    Ended(i32),
}

impl Running {
    pub(crate) fn start(
        machine: &Machine,
        cache: &Cache,
        initramfs: &[u8],
        within: Duration,
    ) -> Result<Self, GuestError> {
        let mut boots = 0;
        loop {
            boots += 1;
            let mut running = Self::boot(machine, cache, initramfs, within)?;
            let boot_within = within.min(BOOT_WITHIN);
            match running.until(boot_within, |progress| *progress != Progress::Booting) {
                Ok(Progress::Refused(what)) => return Err(GuestError::Begin { what }),
                Err(GuestError::Down { tail }) if boots < BOOTS_MAX => {
                    eprintln!("the guest died while it booted, once more: {tail}");
                }
                Err(GuestError::Deadline { tail, .. }) if boots < BOOTS_MAX => {
                    eprintln!("the guest stands still in its boot, once more: {tail}");
                }
                Err(error) => return Err(error),
                Ok(_) => return Ok(running),
            }
        }
    }

    pub(crate) fn boot(
        machine: &Machine,
        cache: &Cache,
        initramfs: &[u8],
        within: Duration,
    ) -> Result<Self, GuestError> {
        let directory = tempfile::tempdir().map_err(GuestError::file("a temporary directory"))?;
        let places = Places::new(cache.kernel(), directory.path());
        for (path, contents) in [
            (&places.initramfs, initramfs),
            (&places.console, b""),
            (&places.status, b""),
        ] {
            fs::write(path, contents).map_err(GuestError::file(path))?;
        }
        // It does not outlive a test that is killed.
        let mut qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args(machine.arguments(&places))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| GuestError::Start {
                program: "setpriv".to_owned(),
                source,
            })?;
        let transcript = Transcript::default();
        let (stdout, theirs) = (qemu.stdout.take(), transcript.clone());
        let is_quiet = machine.is_quiet;
        let listener = stdout.map(|stdout| thread::spawn(move || theirs.take(stdout, is_quiet)));
        Ok(Self {
            qemu,
            listener,
            transcript,
            places,
            started: Instant::now(),
            within,
            _directory: directory,
        })
    }

    /// What was said so far.
    pub fn output(&self) -> String {
        self.transcript.text()
    }

    /// Waits until the script has said that.
    ///
    /// # Errors
    /// If it did not before its end, or the guest's deadline.
    pub fn wait_for(&self, wanted: &str) -> Result<(), GuestError> {
        let deadline = self.started + self.within;
        if self.transcript.wait_for(wanted, deadline) {
            return Ok(());
        }
        Err(GuestError::NotSaid {
            wanted: wanted.to_owned(),
            tail: self.tail(),
        })
    }

    /// Says something to the script, which has it at its standard input.
    ///
    /// # Errors
    /// If nobody is there any more.
    pub fn say(&mut self, words: &str) -> Result<(), GuestError> {
        let stdin = self.qemu.stdin.as_mut().expect("piped when it was started");
        let said = stdin.write_all(words.as_bytes());
        said.map_err(GuestError::file("the guest's input"))
    }

    /// Waits for the end of the script.
    ///
    /// # Errors
    /// If the guest goes down without one, or its deadline passes.
    pub fn wait(mut self) -> Result<Outcome, GuestError> {
        let progress = self.until(self.within, |progress| {
            matches!(progress, Progress::Ended(_))
        })?;
        let Progress::Ended(status) = progress else {
            unreachable!("waited for just above");
        };
        let power_off = Instant::now() + POWER_OFF;
        while self.is_up() && Instant::now() < power_off {
            thread::sleep(POLL_INTERVAL);
        }
        self.cut_power();
        Ok(Outcome {
            status,
            output: self.output(),
            console: self.console(),
        })
    }

    /// Ends it as a power loss does: what it had in memory is gone.
    pub fn cut_power(&mut self) {
        let _ = self.qemu.kill(); // it may be down already
        let _ = self.qemu.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }

    /// What the kernel said at its console so far.
    pub fn console(&self) -> String {
        let bytes = fs::read(&self.places.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    fn is_up(&mut self) -> bool {
        matches!(self.qemu.try_wait(), Ok(None))
    }

    fn until(
        &mut self,
        within: Duration,
        enough: impl Fn(&Progress) -> bool,
    ) -> Result<Progress, GuestError> {
        loop {
            let was_up = self.is_up();
            // Looked at behind that: what it told last is seen.
            let text = fs::read_to_string(&self.places.status).unwrap_or_default();
            let progress = Progress::of(&text);
            if enough(&progress) || matches!(progress, Progress::Refused(_)) {
                return Ok(progress);
            }
            if !was_up {
                return Err(GuestError::Down { tail: self.tail() });
            }
            if self.started.elapsed() > within {
                self.cut_power();
                let tail = format!("{progress:?}; {}", self.tail());
                return Err(GuestError::Deadline { within, tail });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn tail(&self) -> String {
        let (output, console) = (self.output(), self.console());
        let complaints = complaints(&console).join("\n");
        let (said, kernel) = (tail(&output), tail(&console));
        format!("it said:\n{said}\nits kernel:\n{kernel}\nof which:\n{complaints}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut_power();
    }
}

impl Progress {
    /// The last whole line counts.
    fn of(text: &str) -> Self {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let last = whole.lines().last().unwrap_or("");
        match last.split_once(' ') {
            Some(("status", status)) => status.parse().map_or(Self::Begun, Self::Ended),
            Some(("refused", what)) => Self::Refused(what.to_owned()),
            _ if last == "begun" => Self::Begun,
            _ => Self::Booting,
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_what_the_last_whole_line_tells() {
        assert_eq!(Progress::of(""), Progress::Booting);
        assert_eq!(Progress::of("begun"), Progress::Booting);
        assert_eq!(Progress::of("begun\nstatus 1"), Progress::Begun);
        assert_eq!(Progress::of("begun\nstatus 17\n"), Progress::Ended(17));
        let refused = Progress::Refused("module x does not load".to_owned());
        assert_eq!(Progress::of("refused module x does not load\n"), refused);
    }
}
