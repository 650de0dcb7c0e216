//! A device and its tags.
//!
//! # Invariants
//! * **DEVICE-1** A tag has one request at a time: the next is fetched with the result of the last.
//! * **DEVICE-2** What the kernel hands out is answered: what cannot be done, by an error.
//! * **DEVICE-3** A command that the kernel had no room for is given again; a tag that the driver refuses is told at once, not only when
//!   all the others are done.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disk, Front};
use archipelago_runtime::{Handle, RingNumbers, Task};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::carrier::{Registered, TagCarrier};
use super::error::ServeError;
use super::failure::Failure;
use crate::abi::{Descriptor, IoCommand, IoKind};
use crate::control::{DeviceShape, character_path};
use crate::kernel::{Buffers, Descriptors};

/// Before a command is given again: the kernel has no memory.
const PAUSE: Duration = Duration::from_millis(10);

/// A device of which this process is the server.
#[derive(Debug)]
pub struct Device {
    file: Rc<OwnedFd>,
    queues: Vec<Queue>,
    depth: u16,
    registered: bool,
}

#[derive(Clone, Debug)]
struct Queue {
    descriptors: Rc<Descriptors>,
    buffers: Option<Rc<Buffers>>,
}

impl Device {
    /// Opens a device that was added and given to this user, or whose recovery was begun. One process has it at a time.
    pub fn open(shape: &DeviceShape) -> Result<Self, ServeError> {
        let path = character_path(shape.number);
        let opened = open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let file = opened.map_err(|source| ServeError::Open { path, source })?;
        Self::of(file, shape)
    }

    /// One that somebody else has opened.
    pub fn of(file: OwnedFd, shape: &DeviceShape) -> Result<Self, ServeError> {
        let map = |queue| {
            let failed = |source| ServeError::Map { queue, source };
            let descriptors = Descriptors::map(file.as_fd(), queue, shape.depth);
            let buffers = shape
                .buffer_bytes
                .map(|bytes| Buffers::new(shape.depth, bytes));
            Ok(Queue {
                descriptors: Rc::new(descriptors.map_err(failed)?),
                buffers: buffers.transpose().map_err(failed)?.map(Rc::new),
            })
        };
        let queues: Result<Vec<_>, _> = (0..shape.queues).map(map).collect();
        Ok(Self {
            queues: queues?,
            file: Rc::new(file),
            depth: shape.depth,
            registered: shape.registered,
        })
    }

    /// Begins to serve it: from the reactor's next sleep on the driver has a fetch of every tag, and the device can be started.
    ///
    /// The result comes when the device is stopped and all tags are done, or as soon as one is refused: the others go on then, and what
    /// the kernel asks with the refused one is answered by nobody. The device waits for this process's end, and another server.
    pub fn serve<D: Disk>(self, handle: &Handle, front: &Front<D>) -> Task<Result<(), ServeError>> {
        let failure = Failure::default();
        let numbers = |_: &Queue| handle.ring_numbers(self.depth);
        let numbers: Vec<Option<RingNumbers>> = match self.registered {
            true => self.queues.iter().map(numbers).collect(),
            false => Vec::new(),
        };
        let registered = |queue: u16, tag: u16| {
            let numbers = numbers.get(usize::from(queue))?.as_ref();
            Some(Registered::new(numbers?.get(tag)?))
        };
        let tags = |of: &Queue, queue: u16| -> Vec<Task<_>> {
            let tags = (0..self.depth).map(|tag| Tag {
                handle: handle.clone(),
                front: front.clone(),
                failure: failure.clone(),
                descriptors: of.descriptors.clone(),
                carrier: Rc::new(TagCarrier {
                    device: self.file.clone(),
                    queue,
                    tag,
                    buffers: of.buffers.clone(),
                    registered: registered(queue, tag),
                }),
            });
            tags.map(|tag| handle.spawn(tag.serve())).collect()
        };
        let served: Vec<_> = self
            .queues
            .iter()
            .zip(0..)
            .flat_map(|(of, queue)| tags(of, queue))
            .collect();
        let end = failure.clone();
        drop(handle.spawn(async move {
            for tag in served {
                tag.await;
            }
            // The driver has no command of ours any more.
            drop(numbers);
            let buffers = self.queues.into_iter().filter_map(|queue| queue.buffers);
            buffers
                .filter_map(Rc::into_inner)
                .for_each(Buffers::release);
            end.end();
        }));
        handle.spawn(async move { failure.first_or_end().await })
    }
}

/// One of the requests that a queue can have in flight.
#[derive(Debug)]
struct Tag<D> {
    handle: Handle,
    front: Front<D>,
    descriptors: Rc<Descriptors>,
    carrier: Rc<TagCarrier>,
    failure: Failure,
}

impl<D: Disk> Tag<D> {
    async fn serve(self) {
        let device = &self.carrier.device;
        let (queue, tag) = (self.carrier.queue, self.carrier.tag);
        let buffers = self.carrier.buffers.as_ref();
        let buffer_at = buffers.map_or(0, |buffers| buffers.address(tag));
        let registered = self.carrier.registered.as_ref();
        let (mut kind, mut result) = (IoKind::Fetch, 0);
        loop {
            let command = IoCommand {
                queue,
                tag,
                result,
                buffer_at,
                number: registered.map(|registered| registered.number),
            };
            let fetched = self.handle.command(device, command.to_driver(kind));
            match fetched.await {
                Ok(_) => {}
                Err(Errno::NODEV) => return, // stopped
                // The driver has not seen it (DEVICE-3).
                Err(errno) if is_passing(errno) => {
                    tracing::debug!(queue, tag, %errno, "a command is given again");
                    self.handle.sleep(PAUSE).await;
                    continue;
                }
                Err(source) => {
                    let error = ServeError::Command { queue, tag, source };
                    return self.failure.note(error);
                }
            }
            let descriptor = self.descriptors.get(tag);
            if let Some(registered) = registered {
                registered.is_there.set(descriptor.is_registered());
            }
            result = self.perform(descriptor).await; // DEVICE-1
            kind = IoKind::CommitAndFetch;
        }
    }

    /// Bytes that were moved, or a negative errno (DEVICE-2).
    async fn perform(&self, descriptor: Descriptor) -> i32 {
        let request = match descriptor.request() {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, "a request of the kernel's is refused");
                return -error.errno().raw_os_error();
            }
        };
        match self.front.perform(request, self.carrier.clone()).await {
            Ok(()) if request.command.has_payload() => request.len_bytes as i32, // UBLKREQUEST-2: at most 32 MiB
            Ok(()) => 0,
            Err(errno) => {
                tracing::debug!(?request, %errno, "a request of the kernel's failed");
                -errno.raw_os_error()
            }
        }
    }
}

/// The driver has not seen the command, and may see it later.
fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::NOMEM | Errno::AGAIN | Errno::INTR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_what_the_driver_says_is_not() {
        // DEVICE-3
        for errno in [Errno::NOMEM, Errno::AGAIN, Errno::INTR] {
            assert!(is_passing(errno), "{errno}");
        }
        for errno in [Errno::NODEV, Errno::INVAL, Errno::BUSY, Errno::OPNOTSUPP] {
            assert!(!is_passing(errno), "{errno}");
        }
    }
}
