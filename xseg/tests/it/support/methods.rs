//! The ways of sleeping that this process may use.

use rustix::process::{Resource, getrlimit};
use xseg::WaitMethod;

use super::is_root;

/// Some kernels count a ring's own memory against the limit of locked memory: an ordinary user who may lock nothing
/// has no ring there. Whoever else is refused one has found a fault.
pub fn may_have_a_ring() -> bool {
    let limit = getrlimit(Resource::Memlock).current;
    match io_uring::IoUring::new(8) {
        Ok(_) => true,
        Err(error) => {
            let kind = error.raw_os_error();
            assert_eq!((kind, is_root()), (Some(libc::ENOMEM), false), "{error}");
            assert_eq!(limit, Some(0), "{error}");
            false
        }
    }
}

pub fn ring_methods() -> Vec<WaitMethod> {
    if may_have_a_ring() {
        vec![WaitMethod::RingFutex, WaitMethod::RingHelper]
    } else {
        Vec::new()
    }
}

pub fn wait_methods() -> Vec<WaitMethod> {
    let mut methods = ring_methods();
    methods.push(WaitMethod::Futex);
    methods
}
