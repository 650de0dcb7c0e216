//! What is asked about one object at one moment.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uchar};
use std::rc::Rc;

use super::symbols::{Opaque, Symbols};

const CHECKSUM_CRC32C: i32 = 2;
/// Before checksums comes their number.
const COUNT_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;

/// What librados fills, by addresses that stay good until the operation has ended (LIBRADOS-1).
#[derive(Debug)]
struct Answers {
    size: Cell<u64>,
    time: Cell<i64>,
    more: Cell<c_uchar>,
    keys: Cell<Opaque>,
    attributes: Cell<Opaque>,
    /// What each step says for itself; the operation as a whole says it too.
    code: Cell<c_int>,
}

/// Questions; the answers are there when it comes back.
#[derive(Debug)]
pub(crate) struct ReadOperation {
    symbols: &'static Symbols,
    handle: Opaque,
    answers: Rc<Answers>,
    checksums: Vec<Rc<[Cell<u8>]>>,
}

impl ReadOperation {
    pub(super) fn new(symbols: &'static Symbols) -> Self {
        // SAFETY: it takes nothing.
        let handle = unsafe { (symbols.rados_create_read_op)() };
        let answers = Answers {
            size: Cell::new(0),
            time: Cell::new(0),
            more: Cell::new(0),
            keys: Cell::new(std::ptr::null_mut()),
            attributes: Cell::new(std::ptr::null_mut()),
            code: Cell::new(0),
        };
        Self {
            symbols,
            handle,
            answers: Rc::new(answers),
            checksums: Vec::new(),
        }
    }

    pub(super) fn handle(&self) -> Opaque {
        self.handle
    }

    /// Its length.
    pub fn stat(self) -> Self {
        let Answers {
            size, time, code, ..
        } = &*self.answers;
        let (size, time, code) = (size.as_ptr(), time.as_ptr(), code.as_ptr());
        // SAFETY: the operation is ours, and the places stay until it has ended (LIBRADOS-1).
        unsafe { (self.symbols.rados_read_op_stat)(self.handle, size, time, code) };
        self
    }

    /// CRC32C, begun with 0 and not inverted, of each `step` bytes of a range that has a whole number of them and lies within the object.
    pub fn checksums(mut self, offset: u64, len: usize, step: usize) -> Self {
        let start = [0_u8; CHECKSUM_BYTES];
        let room_bytes = COUNT_BYTES + len / step * CHECKSUM_BYTES;
        let room: Rc<[Cell<u8>]> = (0..room_bytes).map(|_| Cell::new(0)).collect();
        // SAFETY: librados copies the start before it returns; the room, whose cells may be written by whoever has their address, and the
        // code stay until the operation has ended (LIBRADOS-1).
        unsafe {
            (self.symbols.rados_read_op_checksum)(
                self.handle,
                CHECKSUM_CRC32C,
                start.as_ptr().cast(),
                start.len(),
                offset,
                len,
                step,
                room.as_ptr().cast::<c_char>().cast_mut(),
                room_bytes,
                self.answers.code.as_ptr(),
            );
        }
        self.checksums.push(room);
        self
    }

    /// Its attributes.
    pub fn attributes(self) -> Self {
        let Answers {
            attributes, code, ..
        } = &*self.answers;
        let (iterator, code) = (attributes.as_ptr(), code.as_ptr());
        // SAFETY: the operation is ours, and the places stay until it has ended (LIBRADOS-1).
        unsafe { (self.symbols.rados_read_op_getxattrs)(self.handle, iterator, code) };
        self
    }

    /// At most `max` keys of its omap after `after`.
    pub fn keys(self, after: &CStr, max: u64) -> Self {
        let Answers {
            keys, more, code, ..
        } = &*self.answers;
        // SAFETY: the operation is ours, librados copies the texts, which end with NUL, and the places stay until it has ended
        // (LIBRADOS-1).
        unsafe {
            (self.symbols.rados_read_op_omap_get_vals2)(
                self.handle,
                after.as_ptr(),
                c"".as_ptr(),
                max,
                keys.as_ptr(),
                more.as_ptr(),
                code.as_ptr(),
            );
        }
        self
    }

    /// What [`ReadOperation::stat`] asked.
    pub fn size(&self) -> u64 {
        self.answers.size.get()
    }

    /// Are there more keys than came?
    pub fn has_more(&self) -> bool {
        self.answers.more.get() != 0
    }

    /// What [`ReadOperation::checksums`] asked, step by step.
    pub fn checksum_values(&self) -> impl Iterator<Item = u32> {
        let rooms = self.checksums.iter();
        let values = rooms.flat_map(|room| room[COUNT_BYTES..].chunks_exact(CHECKSUM_BYTES));
        values.map(|value| u32::from_le_bytes(std::array::from_fn(|at| value[at].get())))
    }

    /// What [`ReadOperation::keys`] asked, and their values; once.
    pub fn take_keys(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (iterator, mut found) = (self.answers.keys.get(), Vec::new());
        if iterator.is_null() {
            return found;
        }
        loop {
            let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
            let mut len = 0;
            // SAFETY: librados made the iterator, and the places are ours.
            let code = unsafe {
                (self.symbols.rados_omap_get_next)(
                    iterator,
                    &raw mut key,
                    &raw mut value,
                    &raw mut len,
                )
            };
            if code < 0 || key.is_null() {
                return found;
            }
            // SAFETY: a key that ends with NUL, which the iterator keeps until its next step.
            let key = unsafe { CStr::from_ptr(key) }.to_bytes().to_vec();
            // SAFETY: the iterator keeps the value too.
            let value = unsafe { copied(value, len) };
            found.push((key, value));
        }
    }

    /// The attribute of this name, if it has one; once.
    pub fn take_attribute(&mut self, wanted: &CStr) -> Option<Vec<u8>> {
        let iterator = self.answers.attributes.get();
        if iterator.is_null() {
            return None;
        }
        loop {
            let (mut name, mut value) = (std::ptr::null(), std::ptr::null());
            let mut len = 0;
            // SAFETY: librados made the iterator, and the places are ours.
            let code = unsafe {
                (self.symbols.rados_getxattrs_next)(
                    iterator,
                    &raw mut name,
                    &raw mut value,
                    &raw mut len,
                )
            };
            if code < 0 || name.is_null() {
                return None;
            }
            // SAFETY: a name that ends with NUL, which the iterator keeps.
            if unsafe { CStr::from_ptr(name) } == wanted {
                // SAFETY: the iterator keeps the value too.
                return Some(unsafe { copied(value, len) });
            }
        }
    }
}

/// # Safety
/// There are so many bytes, or none at all.
unsafe fn copied(at: *const c_char, len: usize) -> Vec<u8> {
    if at.is_null() || len == 0 {
        return Vec::new();
    }
    // SAFETY: as the caller says.
    unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) }.to_vec()
}

impl Drop for ReadOperation {
    fn drop(&mut self) {
        let (keys, attributes) = (self.answers.keys.get(), self.answers.attributes.get());
        if !keys.is_null() {
            // SAFETY: librados made it, and nobody uses it any more.
            unsafe { (self.symbols.rados_omap_get_end)(keys) };
        }
        if !attributes.is_null() {
            // SAFETY: as above.
            unsafe { (self.symbols.rados_getxattrs_end)(attributes) };
        }
        // SAFETY: made by `new`, and not used any more (LIBRADOS-1).
        unsafe { (self.symbols.rados_release_read_op)(self.handle) };
    }
}
