//! Writes whose time was over: librados gives them up, and they may have been sent.
//!
//! An OSD that hung has them in its socket still, and does them when it goes on. It does what one connection sends to one object in the
//! order in which it was sent, and nothing that an older primary got or that came over a connection that is gone. So what is sent to the
//! same object afterwards, and waits for writes, tells by its answer that nothing before it is still to come.
//!
//! # Invariants
//! * **LATE-1** A write whose time was over counts as one that may still happen until an operation on its object that was sent after
//!   that, and is ordered behind writes, was answered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use archipelago_runtime::local::Notify;

/// Objects to which writes may still happen of which somebody was told that their time was over.
#[derive(Debug, Default)]
pub(crate) struct Late {
    /// With how many there were: one that comes while the object is asked is not known by its answer.
    objects: RefCell<HashMap<CString, u64>>,
    told: Notify,
}

impl Late {
    pub(super) fn add(&self, object: CString) {
        *self.objects.borrow_mut().entry(object).or_default() += 1;
        self.told.notify_one();
    }

    pub fn is_empty(&self) -> bool {
        self.objects.borrow().is_empty()
    }

    /// One of them, and how many writes to it were late so far.
    pub fn first(&self) -> Option<(CString, u64)> {
        let objects = self.objects.borrow();
        let first = objects.iter().next();
        first.map(|(object, count)| (object.clone(), *count))
    }

    /// An operation was answered that was sent when so many writes to the object had been late.
    pub fn settle(&self, object: &CStr, count: u64) {
        let mut objects = self.objects.borrow_mut();
        if objects.get(object) == Some(&count) {
            objects.remove(object);
        }
    }

    /// Until there is one more.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LATE-1
    #[test]
    fn an_answer_tells_nothing_of_what_was_late_after_the_question() {
        let late = Late::default();
        assert!(late.is_empty() && late.first().is_none());
        late.add(c"o.a".to_owned());
        late.add(c"o.a".to_owned());
        let (object, count) = late.first().unwrap();
        late.add(object.clone());
        late.settle(&object, count);
        assert!(!late.is_empty(), "one more came meanwhile");
        let (object, count) = late.first().unwrap();
        late.settle(&object, count);
        assert!(late.is_empty());
        late.settle(&object, count);
    }
}
