//! What a request has until it is answered.

use std::rc::Rc;

use archipelago_front::Admitted;

use super::budget::Share;

/// A place in its connection's flow, and memory for what it brings.
#[derive(Debug)]
pub(super) struct Held {
    _admitted: Rc<Admitted>,
    _share: Option<Share>,
}

impl Held {
    pub fn new(admitted: Rc<Admitted>, share: Option<Share>) -> Self {
        Self {
            _admitted: admitted,
            _share: share,
        }
    }
}
