//! Two threads write one plain word: ThreadSanitizer must report this program.

use std::cell::UnsafeCell;
use std::thread;

struct Plain(UnsafeCell<u64>);

// SAFETY: it is not; that is the point of this program.
unsafe impl Sync for Plain {}

static WORD: Plain = Plain(UnsafeCell::new(0));

fn write() {
    for value in 0..1000 {
        // SAFETY: as above.
        unsafe { WORD.0.get().write(value) };
    }
}

fn main() {
    let other = thread::spawn(write);
    write();
    other.join().expect("the other thread only writes");
}
