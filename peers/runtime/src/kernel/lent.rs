//! Memory of somebody else's, for as long as he lends it: in pieces that are mapped here, or known to the ring alone.

use std::fmt::Debug;
use std::ops::Range;
use std::rc::Rc;

use rustix::io::Errno;
use xseg::Data;

use crate::local::GateGuard;

/// The most pieces that the kernel takes at once; with more an operation does less than was asked.
const PIECES_MAX: usize = 1024;

/// Whose memory it is.
pub trait Lender: Debug {
    /// For an operation of the kernel's, until the guard is dropped; `None`: not any more.
    fn enter(&self) -> Option<GateGuard>;

    /// Is all of it there, and was since it was lent?
    fn is_there(&self) -> bool;

    /// Copies what lies there from byte `from` on.
    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// The same, to a buffer of a segment.
    fn read_to(&self, from: u64, data: Data<'_>) -> Result<(), Errno>;
}

/// A piece of it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: *mut u8,
    len: usize,
    /// Bytes before it.
    before: usize,
}

/// All of it. Clones are the same memory.
#[derive(Clone, Debug)]
pub struct LentMemory {
    places: Places,
    lender: Rc<dyn Lender>,
}

#[derive(Clone, Debug)]
enum Places {
    Pieces(Rc<[Piece]>),
    /// A driver's memory, which has a number in the ring; how it is cut only the driver knows.
    Registered {
        number: u16,
        from: u64,
        len: usize,
    },
}

/// Where a range is, as an operation of a file is told.
#[derive(Debug)]
pub(super) enum Within {
    Vector(Vector),
    /// So many bytes from one on, of what has this number in the ring.
    Registered {
        number: u16,
        from: u64,
        len: usize,
    },
}

/// What the kernel is told of it. It lies still on the heap.
#[derive(Default)]
pub(super) struct Vector(Vec<libc::iovec>);

impl Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vector").field(&self.0.len()).finish()
    }
}

impl LentMemory {
    /// Memory in pieces: where each begins, and how long it is.
    ///
    /// # Safety
    /// All pieces are mapped, to be read and written, for as long as `lender` lives, and nobody has a reference into them.
    pub unsafe fn new(
        pieces: impl Iterator<Item = (*mut u8, usize)>,
        lender: Rc<dyn Lender>,
    ) -> Self {
        let mut next = 0;
        let pieces = pieces.map(|(at, len)| {
            let before = next;
            next += len;
            Piece { at, len, before }
        });
        Self {
            places: Places::Pieces(pieces.collect()),
            lender,
        }
    }

    /// Bytes, from one on, of what a driver has registered in this reactor's ring. If it has not, or not so many, operations fail.
    pub fn registered(number: u16, from: u64, len: usize, lender: Rc<dyn Lender>) -> Self {
        Self {
            places: Places::Registered { number, from, len },
            lender,
        }
    }

    pub fn len(&self) -> usize {
        match &self.places {
            Places::Pieces(pieces) => {
                let last = pieces.last();
                last.map_or(0, |last| last.before + last.len)
            }
            Places::Registered { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn lender(&self) -> &dyn Lender {
        &*self.lender
    }

    /// Are the pieces of this range cut so, as far as can be seen?
    pub(crate) fn is_aligned(&self, range: Range<usize>, to: usize) -> bool {
        match &self.places {
            Places::Pieces(pieces) => {
                within(pieces, range).all(|piece| (piece.at.addr() | piece.len).is_multiple_of(to))
            }
            Places::Registered { from, .. } => {
                let first = from + range.start as u64;
                (first | range.len() as u64).is_multiple_of(to as u64)
            }
        }
    }

    pub(super) fn within(&self, range: Range<usize>) -> Within {
        match &self.places {
            Places::Pieces(pieces) => {
                let pieces = within(pieces, range).take(PIECES_MAX);
                let told = pieces.map(|piece| libc::iovec {
                    iov_base: piece.at.cast(),
                    iov_len: piece.len,
                });
                Within::Vector(Vector(told.collect()))
            }
            Places::Registered { number, from, .. } => Within::Registered {
                number: *number,
                from: from + range.start as u64,
                len: range.len(),
            },
        }
    }
}

/// The pieces of a range.
fn within(pieces: &[Piece], range: Range<usize>) -> impl Iterator<Item = Piece> {
    let passed = pieces.partition_point(|piece| piece.before + piece.len <= range.start);
    let behind = pieces.iter().skip(passed);
    let touched = behind.take_while(move |piece| piece.before < range.end);
    touched.filter_map(move |piece| {
        let first = range.start.max(piece.before);
        let end = range.end.min(piece.before + piece.len);
        (first < end).then(|| Piece {
            at: piece.at.wrapping_add(first - piece.before),
            len: end - first,
            before: first,
        })
    })
}

impl Vector {
    pub fn address(&self) -> *const libc::iovec {
        self.0.as_ptr()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Lender for Nobody {
        fn enter(&self) -> Option<GateGuard> {
            None
        }

        fn is_there(&self) -> bool {
            false
        }

        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), Errno> {
            Err(Errno::FAULT)
        }

        fn read_to(&self, _: u64, _: Data<'_>) -> Result<(), Errno> {
            Err(Errno::FAULT)
        }
    }

    #[test]
    fn a_range_is_the_pieces_that_it_touches() {
        let at = |address: usize| std::ptr::without_provenance_mut::<u8>(address);
        let pieces = [(at(0x1000), 10), (at(0x3000), 0), (at(0x2000), 20)];
        // SAFETY: nobody follows these addresses.
        let memory = unsafe { LentMemory::new(pieces.into_iter(), Rc::new(Nobody)) };
        assert_eq!((memory.len(), memory.is_empty()), (30, false));
        let told = |range| -> Vec<(usize, usize)> {
            let Within::Vector(vector) = memory.within(range) else {
                panic!("it is in pieces");
            };
            let pieces = vector.0.iter();
            pieces
                .map(|piece| (piece.iov_base.addr(), piece.iov_len))
                .collect()
        };
        assert_eq!(told(0..30), [(0x1000, 10), (0x2000, 20)]);
        assert_eq!(told(3..10), [(0x1003, 7)]);
        assert_eq!(told(9..11), [(0x1009, 1), (0x2000, 1)]);
        assert_eq!(told(12..30), [(0x2002, 18)]);
        assert_eq!(told(5..5), []);
        assert!(memory.is_aligned(2..10, 2) && !memory.is_aligned(2..11, 2));
        assert!(memory.is_aligned(10..26, 16) && !memory.is_aligned(10..27, 16));
    }

    #[test]
    fn what_only_the_ring_knows_is_told_by_its_number() {
        let memory = LentMemory::registered(7, 512, 8192, Rc::new(Nobody));
        assert_eq!((memory.len(), memory.is_empty()), (8192, false));
        let Within::Registered { number, from, len } = memory.within(1024..4096) else {
            panic!("it is in one");
        };
        assert_eq!((number, from, len), (7, 1536, 3072));
        assert!(memory.is_aligned(512..3584, 1024) && !memory.is_aligned(512..4096, 1024));
        assert!(!memory.is_aligned(1024..2048, 1024));
    }
}
