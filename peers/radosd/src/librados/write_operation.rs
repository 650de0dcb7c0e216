//! What is changed of one object, wholly or not at all.

use std::ffi::{CStr, c_char};

use archipelago_runtime::Memory;

use super::symbols::{Opaque, Symbols};

const CREATE_EXCLUSIVE: i32 = 1;
const CREATE_IDEMPOTENT: i32 = 0;
const COMPARE_EQUAL: u8 = 1;

/// Steps, in the order in which they were added. librados copies what they are given.
#[derive(Debug)]
pub(crate) struct WriteOperation {
    symbols: &'static Symbols,
    handle: Opaque,
}

impl WriteOperation {
    pub(super) fn new(symbols: &'static Symbols) -> Self {
        // SAFETY: it takes nothing.
        let handle = unsafe { (symbols.rados_create_write_op)() };
        Self { symbols, handle }
    }

    pub(super) fn handle(&self) -> Opaque {
        self.handle
    }

    pub fn assert_exists(self) -> Self {
        // SAFETY: the operation is ours.
        unsafe { (self.symbols.rados_write_op_assert_exists)(self.handle) };
        self
    }

    pub fn assert_version(self, version: u64) -> Self {
        // SAFETY: the operation is ours.
        unsafe { (self.symbols.rados_write_op_assert_version)(self.handle, version) };
        self
    }

    /// Fails if it is there.
    pub fn create_exclusive(self) -> Self {
        self.create(CREATE_EXCLUSIVE)
    }

    /// Makes it if it is not there.
    pub fn create_if_missing(self) -> Self {
        self.create(CREATE_IDEMPOTENT)
    }

    fn create(self, how: i32) -> Self {
        // SAFETY: the operation is ours, and the category may be missing.
        unsafe { (self.symbols.rados_write_op_create)(self.handle, how, std::ptr::null()) };
        self
    }

    pub fn write(self, bytes: &[u8], offset: u64) -> Self {
        // SAFETY: librados copies the bytes before it returns.
        unsafe { self.write_at(bytes.as_ptr().cast(), bytes.len(), offset) };
        self
    }

    /// The whole of `memory`.
    pub fn write_memory(self, memory: &mut Memory, offset: u64) -> Self {
        let (at, len) = (memory.address(), memory.len());
        // SAFETY: the address is good for the length (MEMORY-1), and librados copies the bytes before it returns.
        unsafe { self.write_at(at.cast(), len, offset) };
        self
    }

    /// # Safety
    /// There are so many bytes.
    unsafe fn write_at(&self, at: *const c_char, len: usize, offset: u64) {
        // SAFETY: as the caller says; the operation is ours.
        unsafe { (self.symbols.rados_write_op_write)(self.handle, at, len, offset) };
    }

    pub fn write_full(self, bytes: &[u8]) -> Self {
        // SAFETY: librados copies the bytes before it returns.
        unsafe { self.write_full_at(bytes.as_ptr().cast(), bytes.len()) };
        self
    }

    /// The whole of `memory`, and nothing else.
    pub fn write_full_memory(self, memory: &mut Memory) -> Self {
        let (at, len) = (memory.address(), memory.len());
        // SAFETY: the address is good for the length (MEMORY-1), and librados copies the bytes before it returns.
        unsafe { self.write_full_at(at.cast(), len) };
        self
    }

    /// # Safety
    /// There are so many bytes.
    unsafe fn write_full_at(&self, at: *const c_char, len: usize) {
        // SAFETY: as the caller says; the operation is ours.
        unsafe { (self.symbols.rados_write_op_write_full)(self.handle, at, len) };
    }

    /// `len` must not be 0: OSDs do not expect that.
    pub fn zero(self, offset: u64, len: u64) -> Self {
        assert!(len > 0, "zeroing nothing");
        // SAFETY: the operation is ours.
        unsafe { (self.symbols.rados_write_op_zero)(self.handle, offset, len) };
        self
    }

    pub fn truncate(self, size: u64) -> Self {
        // SAFETY: the operation is ours.
        unsafe { (self.symbols.rados_write_op_truncate)(self.handle, size) };
        self
    }

    pub fn remove(self) -> Self {
        // SAFETY: the operation is ours.
        unsafe { (self.symbols.rados_write_op_remove)(self.handle) };
        self
    }

    pub fn set_attribute(self, name: &CStr, value: &[u8]) -> Self {
        // SAFETY: the name ends with NUL, and librados copies it and the bytes before it returns.
        unsafe {
            (self.symbols.rados_write_op_setxattr)(
                self.handle,
                name.as_ptr(),
                value.as_ptr().cast(),
                value.len(),
            );
        }
        self
    }

    pub fn remove_attribute(self, name: &CStr) -> Self {
        // SAFETY: the name ends with NUL, and librados copies it before it returns.
        unsafe { (self.symbols.rados_write_op_rmxattr)(self.handle, name.as_ptr()) };
        self
    }

    pub fn set_key(self, key: &CStr, value: &[u8]) -> Self {
        let (key, at, len) = (key.as_ptr(), value.as_ptr().cast::<c_char>(), value.len());
        // SAFETY: one key that ends with NUL, one value and one length; librados copies them before it returns.
        unsafe {
            (self.symbols.rados_write_op_omap_set)(
                self.handle,
                &raw const key,
                &raw const at,
                &raw const len,
                1,
            );
        }
        self
    }

    pub fn remove_key(self, key: &CStr) -> Self {
        let key = key.as_ptr();
        // SAFETY: one key that ends with NUL, which librados copies before it returns.
        unsafe { (self.symbols.rados_write_op_omap_rm_keys)(self.handle, &raw const key, 1) };
        self
    }

    /// Fails unless the key has this value.
    pub fn assert_key(self, key: &CStr, value: &[u8]) -> Self {
        // SAFETY: the key ends with NUL; librados copies it and the value before it returns, and need not say what came of it.
        unsafe {
            (self.symbols.rados_write_op_omap_cmp)(
                self.handle,
                key.as_ptr(),
                COMPARE_EQUAL,
                value.as_ptr().cast(),
                value.len(),
                std::ptr::null_mut(),
            );
        }
        self
    }
}

impl Drop for WriteOperation {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and not used any more (LIBRADOS-1).
        unsafe { (self.symbols.rados_release_write_op)(self.handle) };
    }
}
