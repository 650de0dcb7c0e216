//! The composer, and what all its requests share.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use archipelago_protocol::VolumeIdBytes;
use archipelago_runtime::{Handle, Station, Taking, local};
use xseg::{Buffer, Incoming};

use super::attach::NameEntry;
use super::permits::MapperPermits;
use super::users::Uses;
use super::volume::Volume;
use crate::error::ComposeError;
use crate::options::Options;

/// The first and the longest pause before something is tried again.
const PAUSE_FIRST: Duration = Duration::from_micros(200);
const PAUSE_LONGEST: Duration = Duration::from_millis(20);

/// What a volume is asked for by: its name, and the volume that it must be a snapshot of, or nothing.
pub type Name = (Vec<u8>, Vec<u8>);

#[derive(Debug)]
pub struct Composer {
    pub handle: Handle,
    pub station: Rc<Station>,
    pub options: Options,
    pub myself: Weak<Self>,
    pub blocker_permits: local::Semaphore,
    pub mapper_permits: MapperPermits,
    pub names: RefCell<HashMap<Name, Rc<NameEntry>>>,
    pub volumes: RefCell<HashMap<VolumeIdBytes, Rc<Volume>>>,
    /// Volumes that this incarnation has attached: the mapper has none of our predecessor's grants of them.
    pub met: RefCell<HashSet<VolumeIdBytes>>,
    /// One volume at a time is met.
    pub meeting: local::Mutex<()>,
    /// Attaching and detaching exclude each other, so that the mapper hears them in the order that we mean.
    pub attaching: Cell<u32>,
    pub is_detaching: Cell<bool>,
    pub detached: local::Notify,
    pub has_timer: Cell<bool>,
    /// What is in use.
    pub uses: RefCell<Uses>,
    pub is_leaving: Cell<bool>,
    /// Recalls that wait.
    pub recalls: local::Gate,
    _takes_loans: Taking,
}

impl Composer {
    pub fn new(handle: &Handle, station: Rc<Station>, options: Options) -> Rc<Self> {
        // Payloads go on to the blocker, and what is done with them here looks for loans.
        let takes_loans = handle.take_loans(station.id(), Some(options.blocker));
        Rc::new_cyclic(|myself| Self {
            handle: handle.clone(),
            station,
            blocker_permits: local::Semaphore::new(options.blocker_requests_max.max(1)),
            mapper_permits: MapperPermits::new(options.mapper_requests_max),
            options,
            myself: myself.clone(),
            names: RefCell::default(),
            volumes: RefCell::default(),
            met: RefCell::default(),
            meeting: local::Mutex::default(),
            attaching: Cell::new(0),
            is_detaching: Cell::new(false),
            detached: local::Notify::new(),
            has_timer: Cell::new(false),
            uses: RefCell::default(),
            is_leaving: Cell::new(false),
            recalls: local::Gate::new(),
            _takes_loans: takes_loans,
        })
    }

    /// A buffer of our own, of this size or any larger one (CALL-4).
    pub async fn buffer(&self, bytes: u64) -> Result<Buffer, ComposeError> {
        Ok(self.station.room(bytes, bytes).await?)
    }

    /// A pause before the next try, longer each time.
    pub async fn pause(&self, tries: u32) {
        let longer = PAUSE_FIRST.saturating_mul(1 << tries.min(10));
        self.handle.sleep(longer.min(PAUSE_LONGEST)).await;
    }

    /// The bytes that a request is about, checked (F45, F72).
    pub fn range_of(
        &self,
        volume: &Volume,
        request: &Incoming,
    ) -> Result<std::ops::Range<u64>, ComposeError> {
        let said = request.request();
        let (offset, length, size) = (said.offset, said.length, volume.size());
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(offset..end),
            _ => Err(ComposeError::OutOfRange {
                offset,
                length,
                size,
            }),
        }
    }
}
