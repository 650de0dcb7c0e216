//! What we call in librados, as its header declares it.

use std::ffi::{c_char, c_int, c_uchar, c_void};

use libloading::Library;

/// `rados_t`, `rados_ioctx_t`, `rados_completion_t` and the others: all of them are `void *` there.
pub(super) type Opaque = *mut c_void;
pub(super) type Callback = extern "C" fn(completion: Opaque, argument: *mut c_void);
/// What was told, the watch, who told it, and with which bytes.
pub(super) type WatchCallback = extern "C" fn(*mut c_void, u64, u64, u64, *mut c_void, usize);
pub(super) type WatchErrorCallback = extern "C" fn(*mut c_void, u64, c_int);

macro_rules! symbols {
    ($(fn $name:ident($($argument:ty),* $(,)?) $(-> $output:ty)?;)*) => {
        /// The functions, each under its own name.
        #[derive(Debug)]
        pub(super) struct Symbols {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $output)?,)*
            /// Called `rados_blacklist_add` before version 16.
            pub rados_blocklist_add: unsafe extern "C" fn(Opaque, *mut c_char, u32) -> c_int,
        }

        impl Symbols {
            /// All of them, or the first error.
            pub fn find(library: &Library) -> Result<Self, libloading::Error> {
                $(
                    // SAFETY: the type is the one that librados.h declares for this name.
                    let $name = unsafe {
                        library.get::<unsafe extern "C" fn($($argument),*) $(-> $output)?>(
                            concat!(stringify!($name), "\0").as_bytes(),
                        )
                    }?;
                )*
                // SAFETY: as above; both names have had this type.
                let named_now = unsafe { library.get(b"rados_blocklist_add\0") };
                let rados_blocklist_add = match named_now {
                    Ok(found) => found,
                    // SAFETY: as above.
                    Err(_) => unsafe { library.get(b"rados_blacklist_add\0") }?,
                };
                Ok(Self {
                    $($name: *$name,)*
                    rados_blocklist_add: *rados_blocklist_add,
                })
            }
        }
    };
}

symbols! {
    fn rados_create(*mut Opaque, *const c_char) -> c_int;
    fn rados_conf_read_file(Opaque, *const c_char) -> c_int;
    fn rados_conf_set(Opaque, *const c_char, *const c_char) -> c_int;
    fn rados_connect(Opaque) -> c_int;
    fn rados_shutdown(Opaque);
    fn rados_getaddrs(Opaque, *mut *mut c_char) -> c_int;
    fn rados_buffer_free(*mut c_char);
    fn rados_wait_for_latest_osdmap(Opaque) -> c_int;
    fn rados_ioctx_create(Opaque, *const c_char, *mut Opaque) -> c_int;
    fn rados_ioctx_set_namespace(Opaque, *const c_char);
    fn rados_ioctx_destroy(Opaque);
    fn rados_aio_create_completion(*mut c_void, Option<Callback>, Option<Callback>, *mut Opaque) -> c_int;
    fn rados_aio_get_return_value(Opaque) -> c_int;
    fn rados_aio_get_version(Opaque) -> u64;
    fn rados_aio_release(Opaque);
    fn rados_aio_read(Opaque, *const c_char, Opaque, *mut c_char, usize, u64) -> c_int;
    fn rados_aio_write_op_operate(Opaque, Opaque, Opaque, *const c_char, *mut i64, c_int) -> c_int;
    fn rados_aio_read_op_operate(Opaque, Opaque, Opaque, *const c_char, c_int) -> c_int;
    fn rados_aio_watch2(
        Opaque, *const c_char, Opaque, *mut u64, WatchCallback, WatchErrorCallback, u32, *mut c_void,
    ) -> c_int;
    fn rados_aio_unwatch(Opaque, u64, Opaque) -> c_int;
    fn rados_aio_notify(Opaque, *const c_char, Opaque, *const c_char, c_int, u64, *mut *mut c_char, *mut usize) -> c_int;
    fn rados_notify_ack(Opaque, *const c_char, u64, u64, *const c_char, c_int) -> c_int;
    fn rados_create_write_op() -> Opaque;
    fn rados_release_write_op(Opaque);
    fn rados_write_op_assert_exists(Opaque);
    fn rados_write_op_assert_version(Opaque, u64);
    fn rados_write_op_create(Opaque, c_int, *const c_char);
    fn rados_write_op_write(Opaque, *const c_char, usize, u64);
    fn rados_write_op_write_full(Opaque, *const c_char, usize);
    fn rados_write_op_zero(Opaque, u64, u64);
    fn rados_write_op_truncate(Opaque, u64);
    fn rados_write_op_remove(Opaque);
    fn rados_write_op_setxattr(Opaque, *const c_char, *const c_char, usize);
    fn rados_write_op_rmxattr(Opaque, *const c_char);
    fn rados_write_op_omap_set(Opaque, *const *const c_char, *const *const c_char, *const usize, usize);
    fn rados_write_op_omap_rm_keys(Opaque, *const *const c_char, usize);
    fn rados_write_op_omap_cmp(Opaque, *const c_char, u8, *const c_char, usize, *mut c_int);
    fn rados_create_read_op() -> Opaque;
    fn rados_release_read_op(Opaque);
    fn rados_read_op_stat(Opaque, *mut u64, *mut i64, *mut c_int);
    fn rados_read_op_checksum(Opaque, c_int, *const c_char, usize, u64, usize, usize, *mut c_char, usize, *mut c_int);
    fn rados_read_op_getxattrs(Opaque, *mut Opaque, *mut c_int);
    fn rados_getxattrs_next(Opaque, *mut *const c_char, *mut *const c_char, *mut usize) -> c_int;
    fn rados_getxattrs_end(Opaque);
    fn rados_read_op_omap_get_vals2(Opaque, *const c_char, *const c_char, u64, *mut Opaque, *mut c_uchar, *mut c_int);
    fn rados_omap_get_next(Opaque, *mut *mut c_char, *mut *mut c_char, *mut usize) -> c_int;
    fn rados_omap_get_end(Opaque);
}
