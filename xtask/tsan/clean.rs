//! A word handed over by release and acquire, by a channel and by a join: ThreadSanitizer must accept this
//! program.

use std::cell::UnsafeCell;
use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

struct Plain(UnsafeCell<u64>);

// SAFETY: all access is ordered by what `main` does between the accesses.
unsafe impl Sync for Plain {}

static WORD: Plain = Plain(UnsafeCell::new(0));
static READY: AtomicBool = AtomicBool::new(false);

fn write(value: u64) {
    // SAFETY: nobody else reads or writes now, see `main`.
    unsafe { WORD.0.get().write(value) };
}

fn read() -> u64 {
    // SAFETY: as above.
    unsafe { WORD.0.get().read() }
}

fn main() {
    let by_flag = thread::spawn(|| {
        write(1);
        READY.store(true, Ordering::Release);
    });
    while !READY.load(Ordering::Acquire) {
        hint::spin_loop();
    }
    assert_eq!(read(), 1);
    by_flag.join().expect("the thread only writes");

    let (sender, receiver) = mpsc::channel();
    let by_channel = thread::spawn(move || {
        write(2);
        sender.send(vec![2_u64]).expect("main receives");
    });
    assert_eq!(receiver.recv(), Ok(vec![2]));
    assert_eq!(read(), 2);
    by_channel.join().expect("the thread only writes");

    let shared = Arc::new(vec![3_u64]);
    let other = Arc::clone(&shared);
    let by_join = thread::spawn(move || write(other[0]));
    drop(shared);
    by_join.join().expect("the thread only writes");
    assert_eq!(read(), 3);
}
