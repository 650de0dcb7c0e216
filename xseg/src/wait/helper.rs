//! A stand-in for io_uring's futex wait, for kernels before 6.7: a thread that sleeps on the doorbell and passes
//! each ring on to an eventfd, which the ring can wait for. Two context switches more for each sleep.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::io::Errno;

use super::futex;
use crate::bell::{Armed, Bell};
use crate::name::PortId;
use crate::segment::Segment;

#[derive(Debug)]
pub(super) struct Helper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    segment: Segment,
    port: PortId,
    eventfd: OwnedFd,
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Idle,
    SleepOn(Armed),
    Stop,
}

impl Helper {
    pub fn start(segment: &Segment, port: PortId) -> Result<Self, Errno> {
        let shared = Arc::new(Shared {
            segment: segment.clone(),
            port,
            eventfd: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            order: Mutex::new(Order::Idle),
            changed: Condvar::new(),
        });
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("xseg-bell".into())
            .spawn(move || own.run())
            .map_err(|error| {
                error
                    .raw_os_error()
                    .map_or(Errno::AGAIN, Errno::from_raw_os_error)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Sleeps on the bell in our stead. The eventfd becomes readable when it rings.
    pub fn sleep_on(&self, armed: Armed) {
        self.shared.set(Order::SleepOn(armed));
    }

    /// The ring has been noticed.
    pub fn acknowledge(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.shared.eventfd, &mut count); // empty already is fine
    }
}

impl AsFd for Helper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.eventfd.as_fd()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.shared.set(Order::Stop);
        let Some(thread) = self.thread.take() else {
            return;
        };
        while !thread.is_finished() {
            // It may sleep on the bell, and only we know. Again, until it has gone: the word is everybody's to write.
            let word = &self
                .shared
                .segment
                .shared()
                .mapping
                .port(self.shared.port)
                .bell;
            Bell(word).ring();
            futex::wake(word);
            std::thread::sleep(Duration::from_micros(50));
        }
        let _ = thread.join(); // it cannot panic
    }
}

impl Shared {
    fn set(&self, order: Order) {
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = order;
        self.changed.notify_one();
    }

    fn run(&self) {
        let word = &self.segment.shared().mapping.port(self.port).bell;
        loop {
            let armed = {
                let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
                let mut order = self
                    .changed
                    .wait_while(order, |order| matches!(order, Order::Idle))
                    .unwrap_or_else(PoisonError::into_inner);
                match *order {
                    Order::Stop => return,
                    Order::Idle => continue,
                    Order::SleepOn(armed) => {
                        *order = Order::Idle;
                        armed
                    }
                }
            };
            futex::sleep_on(word, armed, None);
            let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes()); // full means rung already
        }
    }
}
