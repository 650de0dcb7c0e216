//! What is watched while the reactor is awake.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use archipelago_runtime::Watch;
use archipelago_runtime::local::Notify;

use crate::support::each_way;

/// Memory that somebody writes to.
#[derive(Default)]
struct Watched {
    looks: Cell<u32>,
    listens: Cell<u32>,
    /// What is there when it is asked to listen, time after time.
    there: RefCell<VecDeque<bool>>,
    seen: Notify,
}

impl Watched {
    fn tell(&self, is_there: bool) -> bool {
        if is_there {
            self.seen.notify_one();
        }
        is_there
    }
}

impl Watch for Watched {
    fn look(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        false
    }

    fn listen(&self) -> bool {
        self.listens.set(self.listens.get() + 1);
        let is_there = self.there.borrow_mut().pop_front();
        self.tell(is_there.unwrap_or(false))
    }
}

fn weak(one: &Rc<Watched>) -> Weak<dyn Watch> {
    let own: Weak<Watched> = Rc::downgrade(one);
    own
}

#[test]
fn a_reactor_sleeps_after_it_has_asked_to_be_told_and_asks_once() {
    // WATCH-2, WAIT-3
    each_way(|handle| async move {
        let one = Rc::new(Watched::default());
        handle.watch(weak(&one));
        handle.sleep(Duration::from_millis(2)).await;
        assert_eq!(one.listens.get(), 1);
        let looks = one.looks.get();
        assert!(looks > 0);
        handle.sleep(Duration::from_millis(2)).await;
        assert_eq!((one.listens.get(), one.looks.get()), (1, looks));
    });
}

#[test]
fn what_is_there_when_the_reactor_would_sleep_keeps_it_awake() {
    // WATCH-2
    each_way(|handle| async move {
        let one = Rc::new(Watched::default());
        one.there.replace([true, true, false].into());
        handle.watch(weak(&one));
        // Nothing else would wake anybody.
        one.seen.notified().await;
        one.seen.notified().await;
        handle.sleep(Duration::from_millis(1)).await;
        assert_eq!(one.listens.get(), 3);
    });
}

#[test]
fn a_reactor_that_never_sleeps_looks_all_the_same() {
    // WATCH-1
    each_way(|handle| async move {
        let one = Rc::new(Watched::default());
        handle.watch(weak(&one));
        while one.looks.get() < 10 {
            handle.yield_now().await;
        }
        assert_eq!(one.listens.get(), 0);
        drop(one);
        handle.sleep(Duration::from_millis(1)).await;
    });
}
