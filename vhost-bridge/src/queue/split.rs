//! A split ring in use.

use std::sync::atomic::{Ordering, fence};

use super::chain::Chain;
use super::error::QueueError;
use super::layout::Layout;
use super::memory::GuestMemory;

/// In the available ring's flags: the driver does not want to be told.
const NO_INTERRUPT: u16 = 1;

/// What the driver accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFeatures {
    pub indirect: bool,
    pub event_index: bool,
}

/// Takes chains, and gives them back.
#[derive(Clone, Debug)]
pub struct SplitQueue {
    layout: Layout,
    features: QueueFeatures,
    next_available: u16,
    next_used: u16,
    /// By head (QUEUE-2).
    taken: Vec<bool>,
}

impl SplitQueue {
    /// Goes on at `next_available`, the used index is the one that stands in the ring. Or at that, if it is further: a front end
    /// whose connection ends notes an index at once, and what was in flight is answered after that (QUEUE-5).
    pub fn new(
        memory: &impl GuestMemory,
        layout: Layout,
        features: QueueFeatures,
        next_available: u16,
    ) -> Result<Self, QueueError> {
        let next_used = memory.load_u16(layout.used_index_at())?;
        let behind = next_used.wrapping_sub(next_available);
        let next_available = match (1..=layout.size()).contains(&behind) {
            true => next_used,
            false => next_available,
        };
        Ok(Self {
            layout,
            features,
            next_available,
            next_used,
            taken: vec![false; layout.size().into()],
        })
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn next_available(&self) -> u16 {
        self.next_available
    }

    pub fn next_used(&self) -> u16 {
        self.next_used
    }

    /// The ring has moved: the front end has another table of memory.
    pub fn move_to(&mut self, layout: Layout) -> Result<(), QueueError> {
        if layout.size() != self.layout.size() {
            return Err(QueueError::Size {
                size: layout.size().into(),
                size_max: self.layout.size(),
            });
        }
        self.layout = layout;
        Ok(())
    }

    /// The next chain, if there is one.
    pub fn pop(&mut self, memory: &impl GuestMemory) -> Result<Option<Chain>, QueueError> {
        let size = self.layout.size();
        // Pairs with the driver's release: the entries up to there, and their descriptors, are written.
        let index = memory.load_u16(self.layout.available_index_at())?;
        let pending = index.wrapping_sub(self.next_available);
        if pending == 0 {
            return Ok(None);
        }
        if pending > size {
            return Err(QueueError::AvailableJumped {
                from: self.next_available,
                to: index,
                size,
            });
        }
        let entry_at = self.layout.available_entry_at(self.next_available);
        let mut head = [0; 2];
        memory.read(entry_at, &mut head)?;
        let chain = self.take(memory, u16::from_le_bytes(head))?;
        self.next_available = self.next_available.wrapping_add(1);
        Ok(Some(chain))
    }

    /// The chain of a head that was taken by a predecessor, and is to be done again.
    pub fn take(&mut self, memory: &impl GuestMemory, head: u16) -> Result<Chain, QueueError> {
        let size = self.layout.size();
        let taken = self.taken.get_mut(usize::from(head));
        let taken = taken.ok_or(QueueError::HeadOutside { head, size })?;
        if *taken {
            return Err(QueueError::HeadTaken { head }); // QUEUE-2
        }
        let chain = Chain::of_head(memory, &self.layout, head, self.features.indirect)?;
        *taken = true;
        Ok(chain)
    }

    /// Gives a chain back, of which so many bytes were written. Tells whether the driver wants to know.
    pub fn push(
        &mut self,
        memory: &impl GuestMemory,
        head: u16,
        written_bytes: u32,
    ) -> Result<bool, QueueError> {
        match self.taken.get_mut(usize::from(head)) {
            Some(taken) if *taken => *taken = false,
            _ => return Err(QueueError::HeadNotTaken { head }),
        }
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(head).to_le_bytes());
        element[4..].copy_from_slice(&written_bytes.to_le_bytes());
        memory.write(self.layout.used_element_at(self.next_used), &element)?;
        let before = self.next_used;
        self.next_used = before.wrapping_add(1);
        memory.store_u16(self.layout.used_index_at(), self.next_used)?;
        // The driver writes its wish and then looks at the index; we write the index and then look at its wish. Without the
        // fence each could see the other's old value, and nobody would be told (QUEUE-4).
        fence(Ordering::SeqCst);
        if self.features.event_index {
            let event = memory.load_u16(self.layout.used_event_at())?;
            return Ok(event == before);
        }
        let flags = memory.load_u16(self.layout.available_flags_at())?;
        Ok(flags & NO_INTERRUPT == 0)
    }

    /// Is there another one? Nobody need have told.
    pub fn has_more(&self, memory: &impl GuestMemory) -> Result<bool, QueueError> {
        let index = memory.load_u16(self.layout.available_index_at())?;
        Ok(index != self.next_available)
    }

    /// Asks to be told of the next chain. Tells whether one is there already: then nobody may tell (QUEUE-4).
    pub fn listen(&mut self, memory: &impl GuestMemory) -> Result<bool, QueueError> {
        if self.features.event_index {
            memory.store_u16(self.layout.available_event_at(), self.next_available)?;
        }
        // As in `push`, the other way round.
        fence(Ordering::SeqCst);
        self.has_more(memory)
    }

    /// After a restart: what was in flight is counted among what was taken.
    pub fn go_on_at(&mut self, next_available: u16) {
        self.next_available = next_available;
    }
}
