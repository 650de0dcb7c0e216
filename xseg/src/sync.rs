//! The one door to atomics: the core types in a build, loom's types in a model.
//!
//! Three things live here because every lock-free file needs all of them:
//!
//! * the atomic types, switched by `cfg(loom)`;
//! * [`ord!`], which gives each ordering that a proof depends on a *name*, so that a model run can weaken
//!   exactly that one (`XSEG_WEAKEN=<name>`) and must then fail;
//! * the fences, named after what they are for rather than after what they compile to.
//!
//! # Invariants
//! * **SYNC-1** Every ordering stronger than `Relaxed` in the lock-free files has a name, and a loom model that
//!   fails when that ordering is weakened to `Relaxed`.
//!
//! # Crash order
//! Program order is crash order: on x86-64 the stores that a process executed before it was killed
//! become visible in the order in which it executed them, so where recovery depends on an order only the
//! compiler must be held to it ([`crash_order`]).

#[cfg(not(loom))]
#[allow(
    clippy::disallowed_types,
    reason = "this is the door that the lint protects"
)]
mod atomics {
    pub type AtomicU32 = core::sync::atomic::AtomicU32;
    pub type AtomicU64 = core::sync::atomic::AtomicU64;
    pub use core::sync::atomic::Ordering;
}

#[cfg(loom)]
mod atomics {
    pub type AtomicU32 = loom::sync::atomic::AtomicU32;
    pub type AtomicU64 = loom::sync::atomic::AtomicU64;
    pub use loom::sync::atomic::Ordering;
}

pub(crate) use atomics::{AtomicU32, AtomicU64, Ordering};

/// An ordering with a name: `ord!("lane.push", Release)`.
macro_rules! ord {
    ($name:literal, $order:ident) => {
        $crate::sync::named_ordering($name, $crate::sync::Ordering::$order)
    };
}
pub(crate) use ord;

#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn named_ordering(_name: &'static str, order: Ordering) -> Ordering {
    order
}

/// In a model: the ordering asked for, or `Relaxed` if this run weakens the one of that name.
#[cfg(loom)]
pub(crate) fn named_ordering(name: &'static str, order: Ordering) -> Ordering {
    if crate::loom_models::is_weakened(name) {
        Ordering::Relaxed
    } else {
        order
    }
}

/// Orders a locked read-modify-write *before this call* against a load *after it*, as seen by all processes.
///
/// The doorbell needs it: "publish, then look whether the receiver sleeps" against "say that I sleep, then look
/// for work". One of the two must see the other. On x86-64 the locked instruction before the call already is a
/// full barrier, so only the compiler is restrained; elsewhere it is a fence.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fence_after_rmw(_name: &'static str) {
    #[cfg(target_arch = "x86_64")]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(target_arch = "x86_64"))]
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// The model's twin of the above: a full fence, or nothing when this run weakens it.
#[cfg(loom)]
pub(crate) fn fence_after_rmw(name: &'static str) {
    if !crate::loom_models::is_weakened(name) {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// A full fence on paths where a few nanoseconds do not matter.
#[cfg(not(loom))]
#[inline]
pub(crate) fn full_fence(_name: &'static str) {
    core::sync::atomic::fence(Ordering::SeqCst);
}

#[cfg(loom)]
pub(crate) fn full_fence(name: &'static str) {
    fence_after_rmw(name);
}

/// Keeps the stores before it before the stores after it in the eyes of whoever comes after our death (crash order, above).
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn crash_order() {
    #[cfg(target_arch = "x86_64")]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(target_arch = "x86_64"))]
    core::sync::atomic::fence(Ordering::Release);
}

/// A model's "death" is a join, which makes everything visible: nothing to order.
#[cfg(loom)]
pub(crate) fn crash_order() {}
