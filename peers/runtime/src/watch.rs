//! Memory that others write to without telling, as long as the reactor is awake.
//!
//! Who writes to a ring that is shared with a guest tells of it by a system call, or by leaving the virtual machine; while the reactor is
//! awake anyway, it is cheaper for both to look.
//!
//! # Invariants
//! * **WATCH-1** Each wait of the reactor looks at all that is watched, however much else there is to do.
//! * **WATCH-2** The reactor sleeps only after all that was watched has been asked to have its writers tell, and nothing was there. What was
//!   asked so is watched no longer.

use std::cell::RefCell;
use std::rc::Weak;

use xseg::Beside;

/// What can be watched. Neither call does more than to look and to wake: it is made while the reactor waits.
pub trait Watch {
    /// Is there something to do? Who is to do it is woken.
    fn look(&self) -> bool;

    /// The reactor is about to sleep: whoever writes has to tell from now on. `true`: something is there already, and who is to do
    /// it is woken; then it is watched on.
    fn listen(&self) -> bool;
}

/// All that a reactor watches. What is dropped is forgotten.
#[derive(Default)]
pub(crate) struct Watched {
    all: RefCell<Vec<Weak<dyn Watch>>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.all.borrow().len();
        formatter.debug_tuple("Watched").field(&count).finish()
    }
}

impl Watched {
    pub fn add(&self, one: Weak<dyn Watch>) {
        self.all.borrow_mut().push(one);
    }
}

impl Beside for &Watched {
    fn look(&mut self) -> bool {
        let mut any = false;
        self.all.borrow_mut().retain(|one| {
            let one = one.upgrade();
            any |= one.as_ref().is_some_and(|one| one.look());
            one.is_some()
        });
        any
    }

    fn listen(&mut self) -> bool {
        let mut any = false;
        self.all.borrow_mut().retain(|one| {
            let is_there = one.upgrade().is_some_and(|one| one.listen());
            any |= is_there;
            is_there
        });
        any
    }
}
