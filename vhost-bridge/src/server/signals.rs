use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_runtime::Handle;

use super::elsewhere::Elsewhere;
use super::event::Event;

/// How a ring's front end is told of things. It may change the descriptors at any time.
#[derive(Debug)]
pub struct Signals {
    handle: Handle,
    elsewhere: Rc<Elsewhere>,
    call: RefCell<Option<Event>>,
    err: RefCell<Option<Event>>,
}

impl Signals {
    pub fn new(handle: &Handle, elsewhere: &Rc<Elsewhere>) -> Self {
        Self {
            handle: handle.clone(),
            elsewhere: elsewhere.clone(),
            call: RefCell::default(),
            err: RefCell::default(),
        }
    }

    pub fn set_call(&self, fd: Option<OwnedFd>) {
        let event = fd.map(|fd| Event::new(fd, &self.handle, &self.elsewhere));
        self.call.replace(event);
    }

    pub fn set_err(&self, fd: Option<OwnedFd>) {
        let event = fd.map(|fd| Event::of_rare(fd, &self.elsewhere));
        self.err.replace(event);
    }

    /// Something was completed.
    pub fn call(&self) {
        if let Some(event) = &*self.call.borrow() {
            event.signal();
        }
    }

    /// The ring is broken.
    pub fn err(&self) {
        if let Some(event) = &*self.err.borrow() {
            event.signal();
        }
    }
}

impl Drop for Signals {
    /// Its front end has left: a signal that it kept waiting is not to wait for ever.
    fn drop(&mut self) {
        let events = [self.call.take(), self.err.take()];
        events.iter().flatten().for_each(Event::let_go);
    }
}
