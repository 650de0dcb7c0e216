//! The reactor that every peer runs on: one thread, one place to sleep, and tasks that are polled when something came.
//!
//! * A [`Reactor`] sleeps in one [`xseg::Waiter`]: the bells of its ports, the completions of its files and sockets and
//!   its timers end the same sleep. Tasks reach it by its [`Handle`].
//! * A [`Station`] is one of its ports: a task sends a draft by [`Station::call`] and awaits the answer.
//! * A [`Peer`] is logic behind a station: [`Handle::serve`] has it handle requests, so many at a time (P1), until the
//!   [`Service`] is drained (P2).
//! * Files and sockets ([`Handle::read_at`] and the others) work on [`Memory`]: bytes of one's own, a buffer, or the data
//!   of a request where they lie (W1). Without io_uring threads do the same.
//! * A [`Tenant`] is one of those who share a reactor: tasks and services belong to it, so that a log can tell.
//! * [`local`] has what tasks of one thread wait for each other with.
//!
//! Roles that share a reactor pass requests without a system call (W3); all that is sent in one turn rings each
//! destination once, and all that is submitted in it goes to the kernel in one call (W4); an idle reactor sleeps
//! until something comes (W5).
//!
//! ```
//! use std::rc::Rc;
//! use std::time::Duration;
//!
//! use archipelago_runtime::{Peer, Reactor, ReactorOptions};
//! use xseg::{BindOptions, CreateOptions, Geometry, Incoming, OpCode};
//!
//! struct Doubler;
//!
//! impl Peer for Doubler {
//!     async fn handle(&self, request: Incoming) {
//!         match request.request().op {
//!             OpCode::INFO => {
//!                 let length = request.request().length;
//!                 request.answer(2 * length);
//!             }
//!             _ => request.unsupported(),
//!         }
//!     }
//!
//!     fn notice(&self, notice: Incoming) {
//!         notice.unsupported();
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let segment = CreateOptions::new(Geometry::new(4, 2, 64)?).create_private()?;
//! let reactor = Reactor::new(
//!     segment.bind(0, &BindOptions::default())?,
//!     &ReactorOptions::default(),
//! )?;
//! let handle = reactor.handle();
//! let client = handle.add_port(segment.bind_dynamic(&BindOptions::default())?)?;
//! let service = handle.serve(&handle.station(), 16, Rc::new(Doubler));
//! let doubled = reactor.block_on(async move {
//!     let mut draft = client.draft(OpCode::INFO).await?;
//!     draft.set_extent(0, 21);
//!     draft.set_deadline_ns(handle.after_ns(Duration::from_secs(1)));
//!     let doubled = client.call(draft, handle.station().id()).await?.result();
//!     service.drain().await;
//!     Ok::<_, archipelago_runtime::CallError>(doubled)
//! })?;
//! assert_eq!(doubled, Ok(42));
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod arrivals;
mod call;
mod core;
mod error;
mod handle;
mod io;
mod kernel;
mod loans;
pub mod local;
mod log_levels;
mod operation;
mod options;
mod orphans;
mod poller;
mod pool;
mod ranges;
mod reactor;
mod remote;
mod ring_numbers;
mod service;
mod signals;
mod slab;
mod station;
mod task;
mod tenant;
mod timer;
mod watch;

pub use call::Call;
pub use error::{CallError, Elapsed, RuntimeError};
pub use handle::Handle;
pub use io::{SyncScope, WithMemory};
pub use kernel::{
    CommandPayload, DriverCommand, EventBell, Lender, LentBytes, LentMemory, Memory, block_signals,
    inherited_descriptor,
};
pub use loans::{Borrowed, Loan, Taking};
pub use log_levels::LogLevels;
pub use options::ReactorOptions;
pub use orphans::Orphan;
pub use pool::Blocking;
pub use reactor::Reactor;
pub use ring_numbers::RingNumbers;
pub use rustix::process::Signal;
pub use service::{Peer, Service};
pub use signals::{SignalDescriptor, Signals};
pub use station::Station;
pub use task::Task;
pub use tenant::Tenant;
pub use timer::Sleep;
pub use watch::Watch;
