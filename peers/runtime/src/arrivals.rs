//! What arrives at a station, and where it goes.

use std::rc::Rc;

use xseg::{Corruption, Event, Incoming, OpCode};

use crate::call::CallState;
use crate::log_levels;
use crate::slab::Key;
use crate::station::Station;

/// So many events of a port are taken before the tasks run.
const EVENTS_MAX: usize = 256;

impl Station {
    /// Takes what has arrived. Tells whether there was anything.
    pub(crate) fn take_events(&self) -> bool {
        if !self.port.has_news() {
            return false;
        }
        for _ in 0..EVENTS_MAX {
            let Some(event) = self.port.poll() else {
                break;
            };
            self.dispatch(event);
        }
        // An answer that was given up leaves no event, but it brings its record, and perhaps a part, back.
        self.answered.notify_all();
        for waiter in self.part_waiters.take() {
            waiter.wake();
        }
        true
    }

    fn dispatch(&self, event: Event) {
        match event {
            Event::Request(request) => {
                self.learn_from(&request);
                let attendant = self.attendant.borrow().clone();
                match attendant {
                    Some(attendant) => attendant.request(request),
                    None => request.unsupported(), // the port takes none then: this cannot be
                }
            }
            Event::Notice(notice) if notice.request().op == OpCode::LOG_LEVEL => {
                let core = self.core.upgrade();
                let levels = core.and_then(|core| core.log_levels.borrow().clone());
                log_levels::answer(levels.as_deref(), self.id(), notice);
            }
            Event::Notice(notice) => {
                self.learn_from(&notice);
                let attendant = self.attendant.borrow().clone();
                match attendant {
                    Some(attendant) => attendant.notice(notice),
                    None => self.early_notices.borrow_mut().push(notice),
                }
            }
            Event::Reply(reply) => {
                let key = Key::from_bits(reply.cookie());
                let place = self.calls.borrow_mut().get_mut(key).map(|state| {
                    std::mem::replace(state, CallState::Answered(reply)) // CALL-1
                });
                if let Some(CallState::Waiting(Some(waker))) = place {
                    waker.wake();
                }
            }
            Event::Returning(answer) => answer.pass_on(),
            Event::Corrupt(corruption) => self.log_once(corruption),
        }
    }

    fn learn_from(&self, incoming: &Incoming) {
        if let Some(data) = incoming.data() {
            self.learn_base(data);
        }
    }

    fn log_once(&self, corruption: Corruption) {
        if self.logged.borrow_mut().insert(corruption.field) {
            tracing::warn!(
                port = self.id().get(),
                "{corruption}; further ones of this kind are not logged"
            );
        }
    }

    /// When the next call's time is over.
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        self.port.next_deadline_ns()
    }

    /// Gives up the calls whose time is over. Tells whether there were any.
    pub(crate) fn expire(&self) -> bool {
        let mut any = false;
        while let Some(expired) = self.port.expire() {
            any = true;
            let key = Key::from_bits(expired.cookie);
            let place = self
                .calls
                .borrow_mut()
                .get_mut(key)
                .map(|state| std::mem::replace(state, CallState::Expired));
            if let Some(CallState::Waiting(Some(waker))) = place {
                waker.wake();
            }
        }
        any
    }

    pub(crate) fn look_whether_drained(&self) {
        let attendant: Option<Rc<_>> = self.attendant.borrow().clone();
        if let Some(attendant) = attendant {
            attendant.look_whether_drained();
        }
    }

    /// The reactor ends: requests stay in the inbox, notices are not ours any more.
    pub(crate) fn close(&self) {
        self.port.set_held_max(0);
        let attendant = self.attendant.take();
        drop(attendant);
    }
}
