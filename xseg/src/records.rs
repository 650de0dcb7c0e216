//! The two words of a request record that the lock-free code works on, wherever they happen to lie: in the
//! mapping in production, in a vector under loom.

use crate::name::{Name, Owner, PortId};
use crate::sync::{AtomicU64, Ordering, crash_order, ord};

/// The owner and link words of all request records of a segment.
pub(crate) trait Records {
    fn count(&self) -> u32;
    /// `slot` is below [`Records::count`]: the callers check what they read from the segment.
    fn owner(&self, slot: u32) -> &AtomicU64;
    fn next(&self, slot: u32) -> &AtomicU64;
    /// Asks for what the receiver of a record is about to read and write.
    fn prefetch(&self, _slot: u32) {}
}

/// Takes a free word for `name`: one compare-exchange from free to the owner's name (S1).
#[inline]
pub(crate) fn take_free(word: &AtomicU64, name: Name) -> bool {
    // Looking first keeps a scan over taken words from dirtying their cache lines. Relaxed: only a hint.
    word.load(Ordering::Relaxed) == Owner::FREE
        && word
            .compare_exchange(
                Owner::FREE,
                Owner::Owned(name).pack(),
                // Acquire: pairs with the Release of `give_back`; what the last owner did is over for us.
                ord!("claim.take", Acquire),
                Ordering::Relaxed,
            )
            .is_ok()
}

/// Gives a word back that this process owns: a single store (S1).
pub(crate) fn give_back(word: &AtomicU64) {
    // Release: pairs with the Acquire of `take_free`.
    word.store(Owner::FREE, ord!("claim.give-back", Release));
}

/// Names the destination of a request that this process owns, just before it is pushed.
#[inline]
pub(crate) fn mark_sent(word: &AtomicU64, by: Name, to: PortId) {
    // Release: pairs with the Acquire of `claim_unpublished`, the only reader that did not come by the lane.
    word.store(Owner::Sent { by, to }.pack(), ord!("claim.sent", Release));
}

/// Claims a record that came by a lane: sent(me) becomes `mine`. Gives the sender's name.
///
/// `None` if the record is not on its way to `me`: it was claimed before, or the segment is corrupt.
#[inline]
pub(crate) fn claim_sent(word: &AtomicU64, me: PortId, mine: Owner) -> Option<Name> {
    let seen = word.load(Ordering::Relaxed);
    let Some(Owner::Sent { by, to }) = Owner::unpack(seen) else {
        return None;
    };
    if to != me {
        return None;
    }
    // Relaxed: the record's contents were published by the push and acquired with the lane's head.
    word.compare_exchange(seen, mine.pack(), Ordering::Relaxed, Ordering::Relaxed)
        .ok()?;
    crash_order(); // before the lane's `taken` word passes the record (LANE-3)
    Some(by)
}

/// Claims a record that a dead sender marked as sent but never pushed. Exact: from that very dead name.
pub(crate) fn claim_unpublished(word: &AtomicU64, by: Name, me: PortId, mine: Owner) -> bool {
    word.compare_exchange(
        Owner::Sent { by, to: me }.pack(),
        mine.pack(),
        // Acquire: pairs with the Release of `mark_sent`; there was no push to acquire.
        ord!("claim.unpublished", Acquire),
        Ordering::Relaxed,
    )
    .is_ok()
}
