//! One namespace of one pool, and its operations.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::rc::Rc;
use std::sync::Arc;

use archipelago_runtime::Memory;

use super::cluster::Cluster;
use super::flight::{Flight, errno};
use super::late::Late;
use super::place::Place;
use super::read_operation::ReadOperation;
use super::refusal::Refusal;
use super::symbols::{Opaque, Symbols};
use super::write_operation::WriteOperation;
use crate::error::RadosdError;

/// A full pool refuses what makes it fuller, instead of having it wait (D5).
const OPERATION_FULL_TRY: i32 = 64;
/// A read waits for the writes before it, as else only writes do.
const OPERATION_ORDER_READS_WRITES: i32 = 8;

/// Used by one reactor, where its operations end.
#[derive(Debug)]
pub(crate) struct Pool {
    cluster: Arc<Cluster>,
    context: Opaque,
    /// What operations are about for which nobody waits any more.
    left_alone: RefCell<Vec<(Place, Box<dyn Any>)>>,
    pub refusal: Refusal,
    pub late: Late,
    /// How many operations the cluster has answered, with whatever.
    pub heard: Rc<Cell<u64>>,
}

impl Pool {
    pub fn open(
        cluster: &Arc<Cluster>,
        name: &str,
        namespace: &CStr,
    ) -> Result<Rc<Self>, RadosdError> {
        let symbols = cluster.symbols();
        let no_pool = |code| RadosdError::Pool {
            pool: name.to_owned(),
            source: errno(code),
        };
        let c_name = CString::new(name).map_err(|_| no_pool(-22))?;
        let mut context: Opaque = std::ptr::null_mut();
        // SAFETY: the connection is open, the name ends with NUL, and the context is ours to fill.
        let opened = unsafe {
            (symbols.rados_ioctx_create)(cluster.handle(), c_name.as_ptr(), &raw mut context)
        };
        if opened < 0 {
            return Err(no_pool(opened));
        }
        // SAFETY: made above, and not used yet.
        unsafe { (symbols.rados_ioctx_set_namespace)(context, namespace.as_ptr()) };
        Ok(Rc::new(Self {
            cluster: cluster.clone(),
            context,
            left_alone: RefCell::default(),
            refusal: Refusal::default(),
            late: Late::default(),
            heard: Rc::default(),
        }))
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(super) fn symbols(&self) -> &'static Symbols {
        self.cluster.symbols()
    }

    pub(super) fn context(&self) -> Opaque {
        self.context
    }

    /// To be filled with steps, for [`Pool::change`].
    pub fn writing(&self) -> WriteOperation {
        WriteOperation::new(self.cluster.symbols())
    }

    /// To be filled with questions, for [`Pool::look`].
    pub fn asking(&self) -> ReadOperation {
        ReadOperation::new(self.cluster.symbols())
    }

    /// Reads into `memory`, which comes back.
    ///
    /// # Panics
    /// If there is none: librados takes a length of 0 for all there is.
    pub fn read(self: &Rc<Self>, object: &CStr, offset: u64, mut memory: Memory) -> Flight<Memory> {
        let (place, symbols) = (self.begin(), self.cluster.symbols());
        let (at, len) = (memory.address(), memory.len());
        assert!(len > 0, "reading nothing");
        place.await_completion(symbols, |completion| {
            // SAFETY: the address is good for the length while the memory lives (MEMORY-1), and the flight keeps that until the
            // callback (LIBRADOS-1).
            unsafe {
                (symbols.rados_aio_read)(
                    self.context,
                    object.as_ptr(),
                    completion,
                    at.cast(),
                    len,
                    offset,
                )
            }
        });
        Flight::new(place, memory, self.clone(), None)
    }

    /// Does it, wholly or not at all.
    pub fn change(
        self: &Rc<Self>,
        object: &CStr,
        operation: WriteOperation,
    ) -> Flight<WriteOperation> {
        let (place, symbols) = (self.begin(), self.cluster.symbols());
        place.await_completion(symbols, |completion| {
            // SAFETY: all four are alive, and the flight keeps the operation until the callback (LIBRADOS-1).
            unsafe {
                (symbols.rados_aio_write_op_operate)(
                    operation.handle(),
                    self.context,
                    completion,
                    object.as_ptr(),
                    std::ptr::null_mut(),
                    OPERATION_FULL_TRY,
                )
            }
        });
        let changes = self.cluster.gives_up().then(|| object.to_owned());
        Flight::new(place, operation, self.clone(), changes)
    }

    /// Asks what the operation asks.
    pub fn look(self: &Rc<Self>, object: &CStr, operation: ReadOperation) -> Flight<ReadOperation> {
        self.look_with(object, operation, 0)
    }

    /// The same, after all that was sent to the object before (LATE-1).
    pub fn look_behind_writes(
        self: &Rc<Self>,
        object: &CStr,
        operation: ReadOperation,
    ) -> Flight<ReadOperation> {
        self.look_with(object, operation, OPERATION_ORDER_READS_WRITES)
    }

    fn look_with(
        self: &Rc<Self>,
        object: &CStr,
        operation: ReadOperation,
        flags: i32,
    ) -> Flight<ReadOperation> {
        let (place, symbols) = (self.begin(), self.cluster.symbols());
        place.await_completion(symbols, |completion| {
            // SAFETY: all four are alive, and the flight keeps the operation, with all that it fills, until the callback
            // (LIBRADOS-1).
            unsafe {
                (symbols.rados_aio_read_op_operate)(
                    operation.handle(),
                    self.context,
                    completion,
                    object.as_ptr(),
                    flags,
                )
            }
        });
        Flight::new(place, operation, self.clone(), None)
    }

    /// A place for one more operation. What is over by now of those left alone is let go.
    pub(super) fn begin(&self) -> Place {
        self.left_alone
            .borrow_mut()
            .retain(|(place, _)| !place.is_settled());
        Place::default()
    }

    pub(super) fn keep_until(&self, place: Place, kept: Box<dyn Any>) {
        self.left_alone.borrow_mut().push((place, kept));
    }

    #[cfg(test)]
    pub(super) fn left_alone(&self) -> usize {
        self.left_alone.borrow().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let left_alone = self.left_alone.take();
        let under_way: Vec<_> = left_alone
            .into_iter()
            .filter(|(place, _)| !place.is_settled())
            .collect();
        if !under_way.is_empty() {
            // Waiting for a cluster that is away could take for ever: all stays as it is until the process ends (LIBRADOS-1, LIBRADOS-3).
            std::mem::forget(under_way);
            std::mem::forget(self.cluster.clone());
            return;
        }
        // SAFETY: made by `open`; no operation is under way.
        unsafe { (self.cluster.symbols().rados_ioctx_destroy)(self.context) };
    }
}
