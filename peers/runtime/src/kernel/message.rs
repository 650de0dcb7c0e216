//! Two pieces of memory in one system call.

use std::ptr::null_mut;

/// What `sendmsg` is told. It lies still on the heap: the kernel follows its pointers.
pub(super) struct Message {
    pieces: [libc::iovec; 2],
    header: libc::msghdr,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").finish_non_exhaustive()
    }
}

impl Default for Message {
    fn default() -> Self {
        let piece = libc::iovec {
            iov_base: null_mut(),
            iov_len: 0,
        };
        Self {
            pieces: [piece; 2],
            header: libc::msghdr {
                msg_name: null_mut(),
                msg_namelen: 0,
                msg_iov: null_mut(),
                msg_iovlen: 0,
                msg_control: null_mut(),
                msg_controllen: 0,
                msg_flags: 0,
            },
        }
    }
}

impl Message {
    /// Has it name these pieces. The header's address stays good while the box lives.
    pub fn point_at(self: &mut Box<Self>, pieces: [(*mut u8, usize); 2]) -> *const libc::msghdr {
        for (piece, (at, len)) in self.pieces.iter_mut().zip(pieces) {
            piece.iov_base = at.cast();
            piece.iov_len = len;
        }
        self.header.msg_iov = self.pieces.as_mut_ptr();
        self.header.msg_iovlen = self.pieces.len() as _;
        &raw const self.header
    }
}
