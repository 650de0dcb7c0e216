//! Named places where the crash harness may end the process, as a SIGKILL at that very instruction would.
//!
//! Without the feature `kill-points` they are nothing at all.

/// Dies here if the harness chose this place: `kill_point!("lane.before-push")`.
macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(feature = "kill-points")]
        $crate::kill::reached($name);
    };
}
pub(crate) use kill_point;

/// Every name that `kill_point!` carries.
pub const KILL_POINTS: &[&str] = &[
    "claim.after-slot",
    "claim.after-buffer",
    "send.before-mark",
    "send.after-mark",
    "send.after-push",
    "send.before-wake",
    "take.after-walk",
    "take.before-taken",
    "take.after-claim",
    "answer.before-mark",
    "answer.after-push",
    "free.before-slot",
    "bind.after-lock",
    "bind.after-life",
    "bind.after-slots",
    "bind.after-held",
    "settle.after-lock",
    "settle.after-life",
    "settle.after-slots",
    "settle.before-unlock",
    "leave.before-life",
    "leave.before-last-look",
];

#[cfg(feature = "kill-points")]
pub use armed::{arm, reached};

#[cfg(feature = "kill-points")]
mod armed {
    use std::sync::OnceLock;

    use crate::sync::{AtomicU32, Ordering};

    static CHOSEN: OnceLock<String> = OnceLock::new();
    static PASSES_LEFT: AtomicU32 = AtomicU32::new(0);

    /// Chooses the place at which this process ends, when it gets there for the `pass`th time (from 1). Once a
    /// process.
    pub fn arm(name: &str, pass: u32) {
        PASSES_LEFT.store(pass, Ordering::Relaxed);
        let _ = CHOSEN.set(name.to_owned());
    }

    #[inline]
    pub fn reached(name: &'static str) {
        if let Some(chosen) = CHOSEN.get()
            && chosen == name
            && PASSES_LEFT.fetch_sub(1, Ordering::Relaxed) == 1
        {
            die();
        }
    }

    /// SIGKILL: no handler, no destructor, no flush.
    fn die() -> ! {
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
