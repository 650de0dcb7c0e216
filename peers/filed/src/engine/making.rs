//! Objects that appear at once: made under another name, synced, and then named.
//!
//! # Invariants
//! * **MAKE-1** The object has its new content wholly or its old one (or none), whoever dies, and what was answered
//!   survives power loss (STORE-3).
//! * **MAKE-2** An exclusive creation that a dead incarnation had finished is answered as done, by the operation id that
//!   lies with the object (S6); any other one that finds the object is refused.

use std::os::fd::AsFd;
use std::rc::Rc;

use archipelago_store::{ObjectName, StoreError};
use rustix::fs::{OFlags, XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;
use xseg::Incoming;

use super::core::{Engine, error_of};
use super::data::payload;
use crate::layout::Place;
use crate::root::{Publication, Root, Staged, write_all};

/// At or below this a copy is cheaper than another trip to a thread (W1).
const COPIED_BYTES_MAX: u64 = 16 << 10;
/// Where the operation id of an exclusive creation lies.
const OPERATION: &str = "user.archipelago.operation";

/// Names a creation; all zeros name none.
type OperationId = [u64; 2];

/// What is to be made of a file, on a thread.
#[derive(Clone, Debug)]
struct Making {
    name: ObjectName,
    how: Publication,
    operation: OperationId,
}

/// How far a file has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    Named,
    Durable,
}

impl Engine {
    /// Creates the object with the request's payload, or replaces it.
    pub async fn make(
        &self,
        request: &Incoming,
        name: &ObjectName,
        len: u64,
        how: Publication,
    ) -> Result<(), StoreError> {
        let _turn = self.turns.at(name).await;
        let making = Making {
            name: name.clone(),
            how,
            operation: request.operation_id(),
        };
        let made = if len <= COPIED_BYTES_MAX {
            self.make_small(request, making.clone(), len).await
        } else {
            self.make_large(request, making.clone(), len).await
        };
        match made {
            Err(StoreError::Exists) if request.request().redelivered => {
                self.find_done(making).await // MAKE-2
            }
            Err(StoreError::Exists) => Err(StoreError::Exists),
            made => {
                let made = match made {
                    Ok(Published::Named) => self.settle_folder(Place::of(name).folder).await,
                    made => made.map(drop),
                };
                self.forget_replaced(name, made.is_ok());
                made
            }
        }
    }

    /// Another file has the name now; or, if that failed half way, perhaps.
    fn forget_replaced(&self, name: &ObjectName, is_durable: bool) {
        if let Some(old) = self.cache.remove(name.as_bytes())
            && is_durable
        {
            self.ledger().forget(old.id);
        }
    }

    async fn make_small(
        &self,
        request: &Incoming,
        making: Making,
        len: u64,
    ) -> Result<Published, StoreError> {
        let mut bytes = vec![0; len as usize];
        if let Some(data) = payload(request, len)? {
            let read = data.read(0, &mut bytes);
            read.map_err(|_| StoreError::Invalid)?;
        }
        self.blocking_with_descriptors(move |root| {
            making.refuse_existing(root)?;
            let (mut staged, fd) = Staged::begin(root.objects.temporary()).map_err(error_of)?;
            making.mark(&fd);
            write_all(&fd, &bytes).map_err(error_of)?;
            rustix::fs::fsync(&fd).map_err(error_of)?;
            making.publish(root, &mut staged)
        })
        .await
    }

    async fn make_large(
        &self,
        request: &Incoming,
        making: Making,
        len: u64,
    ) -> Result<Published, StoreError> {
        let first = making.clone();
        let begun = self.blocking_with_descriptors(move |root| {
            first.refuse_existing(root)?;
            let (staged, fd) = Staged::begin(root.objects.temporary()).map_err(error_of)?;
            first.mark(&fd);
            Ok((staged, fd))
        });
        let (staged, fd) = begun.await?;
        self.fill(request, &Rc::new(fd), len).await?;
        self.blocking_with(staged, move |root, staged| making.publish(root, staged))
            .await
    }

    /// Did a dead incarnation do this very thing?
    async fn find_done(&self, making: Making) -> Result<(), StoreError> {
        self.blocking_with_descriptors(move |root| {
            let place = Place::of(&making.name);
            let fd = root.objects.open(&place, OFlags::RDONLY)?;
            if operation_of(&fd) != Some(making.operation) || making.operation == [0; 2] {
                return Err(StoreError::Exists);
            }
            root.objects.settle(place.folder).map_err(error_of)
        })
        .await
    }
}

impl Making {
    /// Before anything is written for nothing.
    fn refuse_existing(&self, root: &Root) -> Result<(), StoreError> {
        if self.how == Publication::Replacing {
            return Ok(());
        }
        match root.objects.open(&Place::of(&self.name), OFlags::PATH) {
            Ok(_) => Err(StoreError::Exists),
            Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the operation id to the file. Where that is not possible a redo is refused like a stranger's: its
    /// sender finds the object and can tell whether it is its own.
    fn mark(&self, fd: impl AsFd) {
        if self.how == Publication::Exclusive && self.operation != [0; 2] {
            let [low, high] = self.operation;
            let id = u128::from(high) << 64 | u128::from(low);
            let _ = fsetxattr(fd, OPERATION, &id.to_le_bytes(), XattrFlags::empty());
        }
    }

    /// MAKE-1: the content is synced already. Once the file has its name nothing is tried again, or it would find itself:
    /// if only the descriptors for the last step lack, that step is left to the caller.
    fn publish(&self, root: &Root, staged: &mut Staged) -> Result<Published, StoreError> {
        let (objects, place) = (&root.objects, Place::of(&self.name));
        match objects.publish(staged, &place, &self.name, self.how) {
            Ok(()) => {}
            Err(Errno::EXIST) if self.how == Publication::Exclusive => {
                return Err(StoreError::Exists);
            }
            Err(errno) => return Err(objects.error(errno)),
        }
        match objects.settle(place.folder) {
            Ok(()) => Ok(Published::Durable),
            Err(Errno::MFILE | Errno::NFILE) => Ok(Published::Named),
            Err(errno) => Err(error_of(errno)),
        }
    }
}

fn operation_of(fd: impl AsFd) -> Option<OperationId> {
    let mut bytes = [0; 16];
    match fgetxattr(fd, OPERATION, &mut bytes[..]) {
        Ok(16) => {
            let id = u128::from_le_bytes(bytes);
            Some([id as u64, (id >> 64) as u64])
        }
        _ => None,
    }
}
