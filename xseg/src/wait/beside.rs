//! What a waiter looks at beside its ports and its ring.

/// Something that others write to without telling, as long as the waiter is awake: memory that is shared with a guest, for instance.
pub trait Beside {
    /// Is there something to do? Asked in each wait, and again and again before a sleep, so it takes no time.
    fn look(&mut self) -> bool;

    /// A sleep is to begin: from now on whoever writes has to tell, in a way that wakes the waiter. `true`: something is there
    /// already, and the waiter stays awake.
    fn listen(&mut self) -> bool;
}

/// Nothing is beside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Beside for Nothing {
    fn look(&mut self) -> bool {
        false
    }

    fn listen(&mut self) -> bool {
        false
    }
}
