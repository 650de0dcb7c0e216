//! A connection to a cluster. What is here blocks.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::flight::errno;
use super::library::library;
use super::symbols::{Opaque, Symbols};
use crate::error::RadosdError;
use crate::options::RadosdOptions;

/// How long to look for a monitor, unless operations give up sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Cluster {
    symbols: &'static Symbols,
    handle: Opaque,
    gives_up: bool,
}

// SAFETY: librados says that a connection may be used by all threads at once; the functions are plain addresses.
unsafe impl Send for Cluster {}
// SAFETY: as above.
unsafe impl Sync for Cluster {}

impl Cluster {
    /// Finds the cluster and says who we are.
    pub fn connect(options: &RadosdOptions) -> Result<Arc<Self>, RadosdError> {
        let symbols = library()?;
        let id = options.cephx_id.as_deref().map(c_string).transpose()?;
        let id_at = id.as_ref().map_or(std::ptr::null(), |id| id.as_ptr());
        let mut handle: Opaque = std::ptr::null_mut();
        // SAFETY: the id ends with NUL or is not there, and the handle is ours to fill.
        let made = unsafe { (symbols.rados_create)(&raw mut handle, id_at) };
        if made < 0 {
            return Err(RadosdError::Connect {
                source: errno(made),
            });
        }
        let cluster = Self {
            symbols,
            handle,
            gives_up: options.operation_timeout.is_some(),
        };
        cluster.configure(options)?;
        // SAFETY: made above, and configured.
        let connected = unsafe { (symbols.rados_connect)(handle) };
        if connected < 0 {
            return Err(RadosdError::Connect {
                source: errno(connected),
            });
        }
        Ok(Arc::new(cluster))
    }

    fn configure(&self, options: &RadosdOptions) -> Result<(), RadosdError> {
        let path = options.conf.as_deref().map(c_path).transpose()?;
        let path_at = path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
        // SAFETY: the handle is open, and the path ends with NUL or is not there: then librados looks where Ceph's files lie.
        let read = unsafe { (self.symbols.rados_conf_read_file)(self.handle, path_at) };
        if read < 0 {
            return Err(RadosdError::Configuration {
                path: options.conf.clone(),
                source: errno(read),
            });
        }
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let operation_timeout = options.operation_timeout.map_or("0".to_owned(), seconds);
        let connect_timeout = options.operation_timeout.unwrap_or(CONNECT_TIMEOUT);
        self.set("rados_osd_op_timeout", &operation_timeout)?;
        self.set("rados_mon_op_timeout", &operation_timeout)?;
        self.set("client_mount_timeout", &seconds(connect_timeout))
    }

    fn set(&self, name: &'static str, value: &str) -> Result<(), RadosdError> {
        let (c_name, c_value) = (c_string(name)?, c_string(value)?);
        // SAFETY: the handle is open, and both texts end with NUL.
        let set = unsafe {
            (self.symbols.rados_conf_set)(self.handle, c_name.as_ptr(), c_value.as_ptr())
        };
        match set {
            0.. => Ok(()),
            _ => Err(RadosdError::Setting {
                name,
                source: errno(set),
            }),
        }
    }

    /// Does it give operations up when their time is over?
    pub(super) fn gives_up(&self) -> bool {
        self.gives_up
    }

    pub(super) fn symbols(&self) -> &'static Symbols {
        self.symbols
    }

    pub(super) fn handle(&self) -> Opaque {
        self.handle
    }

    /// By which address the cluster knows this connection: `IP:PORT/NONCE`.
    pub fn address(&self) -> Result<String, Errno> {
        let mut text: *mut c_char = std::ptr::null_mut();
        // SAFETY: the connection is open, and the text is ours to fill.
        let asked = unsafe { (self.symbols.rados_getaddrs)(self.handle, &raw mut text) };
        if asked < 0 || text.is_null() {
            return Err(errno(asked));
        }
        // SAFETY: librados has put a text there that ends with NUL, and is ours.
        let copied = unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned();
        // SAFETY: it is ours to give back, and was copied.
        unsafe { (self.symbols.rados_buffer_free)(text) };
        Ok(copied)
    }

    /// Has the cluster refuse all that this address sends, for so long, and waits for the map that says so: every OSD that hears of us
    /// afterwards knows it too.
    pub fn fence(&self, address: &str, time: Duration) -> Result<(), Errno> {
        let text = CString::new(address).map_err(|_| Errno::INVAL)?.into_raw();
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        // SAFETY: the connection is open, and the text ends with NUL and is ours to be changed.
        let fenced = unsafe { (self.symbols.rados_blocklist_add)(self.handle, text, seconds) };
        // SAFETY: it was made by `into_raw` above, and its length is the same.
        drop(unsafe { CString::from_raw(text) });
        if fenced < 0 {
            return Err(errno(fenced));
        }
        // SAFETY: the connection is open.
        let waited = unsafe { (self.symbols.rados_wait_for_latest_osdmap)(self.handle) };
        if waited < 0 {
            Err(errno(waited))
        } else {
            Ok(())
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SAFETY: made by `connect`; no pool of it is open any more (LIBRADOS-3).
        unsafe { (self.symbols.rados_shutdown)(self.handle) };
    }
}

fn c_string(text: &str) -> Result<CString, RadosdError> {
    CString::new(text).map_err(|_| RadosdError::Nul {
        text: text.to_owned(),
    })
}

fn c_path(path: &Path) -> Result<CString, RadosdError> {
    c_string(&path.to_string_lossy())
}
