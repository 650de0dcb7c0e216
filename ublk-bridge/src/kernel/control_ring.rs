//! Commands to the control device, one after the other: a ring of its own, with the long entries that they need.
//!
//! # Invariants
//! * **CONTROL-1** A command's buffer stays where it is until the kernel is done with it, also when nobody wants to wait any longer.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;

use crate::abi::{CONTROL_COMMAND_BYTES, ControlCommand, ControlNumber};

/// Of a long entry, what a driver gets.
const COMMAND_BYTES: usize = 80;

const COMMAND_TOKEN: u64 = 1;
const CANCEL_TOKEN: u64 = 2;

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The driver said so.
    Errno(Errno),
    /// It was not done in time, and was taken back.
    Deadline,
}

/// A way to the control device.
pub struct ControlRing {
    ring: IoUring<squeue::Entry128, cqueue::Entry>,
    file: File,
}

impl std::fmt::Debug for ControlRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlRing").finish_non_exhaustive()
    }
}

impl ControlRing {
    pub fn new(file: File) -> std::io::Result<Self> {
        let ring = IoUring::<squeue::Entry128>::builder().build(4)?;
        Ok(Self { ring, file })
    }

    /// Has the driver do it, and waits for so long. What the driver writes is in the buffer afterwards.
    ///
    /// # Panics
    /// If the buffer is larger than any that the driver takes.
    pub fn perform(
        &mut self,
        number: ControlNumber,
        command: ControlCommand,
        buffer: &mut [u8],
        within: Duration,
    ) -> Result<u32, Refusal> {
        let len = u16::try_from(buffer.len()).expect("the driver's records are short");
        let at = if len == 0 {
            0
        } else {
            buffer.as_mut_ptr() as u64
        };
        let mut bytes = [0; COMMAND_BYTES];
        bytes[..CONTROL_COMMAND_BYTES].copy_from_slice(&command.to_bytes(at, len));
        let entry = opcode::UringCmd80::new(Fd(self.file.as_raw_fd()), number.number())
            .cmd(bytes)
            .build()
            .user_data(COMMAND_TOKEN);
        self.push(&entry);
        let deadline = Instant::now() + within;
        let mut is_cancelled = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // CONTROL-1: behind the deadline we still wait for the kernel's word.
            let left = (!is_cancelled).then_some(left);
            self.wait(left);
            if let Some(result) = self.result() {
                return match u32::try_from(result) {
                    Ok(result) => Ok(result),
                    Err(_) if is_cancelled => Err(Refusal::Deadline),
                    Err(_) => Err(Refusal::Errno(Errno::from_raw_os_error(-result))),
                };
            }
            if !is_cancelled && Instant::now() >= deadline {
                is_cancelled = true;
                let cancel = opcode::AsyncCancel::new(COMMAND_TOKEN).build();
                self.push(&cancel.user_data(CANCEL_TOKEN).into());
            }
        }
    }

    fn push(&mut self, entry: &squeue::Entry128) {
        // SAFETY: the only address in an entry is that of the caller's buffer, which is borrowed until the command's completion has
        // come (CONTROL-1): `perform` does not return before, and nothing in it can panic meanwhile.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the ring has room for a command and its cancellation");
    }

    /// Until a completion is there, or so long. Signals and errors end it early: the caller looks again.
    fn wait(&mut self, timeout: Option<Duration>) {
        let waited = match timeout {
            None => self.ring.submit_and_wait(1),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timespec);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        if let Err(error) = waited {
            let errno = error.raw_os_error().map(Errno::from_raw_os_error);
            if !matches!(errno, Some(Errno::INTR | Errno::TIME)) {
                std::thread::sleep(Duration::from_millis(10)); // short of memory: not in a circle
            }
        }
    }

    /// The command's, if it is there.
    fn result(&mut self) -> Option<i32> {
        let mut results = self.ring.completion();
        results
            .find(|one| one.user_data() == COMMAND_TOKEN)
            .map(|one| one.result())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_knows_no_commands_refuses_them() {
        // CONTROL-1: it returns, and the buffer is ours again.
        let file = File::open("/dev/null").unwrap();
        let mut ring = ControlRing::new(file).unwrap();
        let mut buffer = [7; 64];
        for _ in 0..10 {
            let refused = ring.perform(
                ControlNumber::Features,
                ControlCommand::default(),
                &mut buffer,
                Duration::from_secs(60),
            );
            // /dev/null takes commands, and does nothing with them; other kernels know none of it.
            assert!(
                matches!(refused, Ok(0) | Err(Refusal::Errno(_))),
                "{refused:?}"
            );
        }
        assert_eq!(buffer, [7; 64]);
    }
}
