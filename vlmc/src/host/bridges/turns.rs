//! One call at a time for each volume.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use archipelago_runtime::local::Notify;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: RefCell<BTreeSet<String>>,
    changed: Notify,
}

/// Of one volume, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the turn"]
pub(super) struct Turn {
    turns: Rc<Turns>,
    volume: String,
}

impl Turns {
    /// Waits for the end of the volume's present turn. Whoever gives up waiting leaves nothing behind.
    pub async fn take(self: &Rc<Self>, volume: &str) -> Turn {
        while !self.taken.borrow_mut().insert(volume.to_owned()) {
            self.changed.notified().await;
        }
        Turn {
            turns: self.clone(),
            volume: volume.to_owned(),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.taken.borrow_mut().remove(&self.volume);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    /// DESK-3
    #[test]
    fn a_volume_that_is_busy_keeps_others_from_nothing() {
        let turns = Rc::new(Turns::default());
        let hung = poll(pin!(turns.take("hung"))).expect("free");
        {
            let mut next = pin!(turns.take("hung"));
            assert!(poll(next.as_mut()).is_none(), "it is not overtaken");
            let other = poll(pin!(turns.take("other"))).expect("free");
            drop(other);
            assert!(poll(next.as_mut()).is_none(), "it is another's end");
        }
        drop(hung);
        let next = poll(pin!(turns.take("hung")));
        drop(next.expect("who gave up waiting has left nothing"));
    }

    #[test]
    fn whoever_waits_is_next() {
        let turns = Rc::new(Turns::default());
        let first = poll(pin!(turns.take("disk"))).expect("free");
        let mut second = pin!(turns.take("disk"));
        assert!(poll(second.as_mut()).is_none());
        drop(first);
        drop(poll(second.as_mut()).expect("its turn"));
    }
}
