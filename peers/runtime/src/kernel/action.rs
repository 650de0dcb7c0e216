//! One operation, as io_uring is told it and as a thread does it.

use std::ptr::null_mut;

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};
use rustix::io::Errno;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// At an offset of a file.
    ReadAt {
        offset: u64,
    },
    WriteAt {
        offset: u64,
    },
    /// The data and what is needed to find them, or everything.
    SyncData,
    SyncAll,
    /// The next bytes of a pipe, a socket, or anything else that may have none yet.
    Read,
    Write,
    Recv,
    Send,
    /// Two pieces of memory.
    SendBoth,
    Accept,
    /// Until something can be read, or written.
    Readable,
    Writable,
    /// What only the descriptor's driver understands. All of it is in here: no memory is involved.
    Command(DriverCommand),
}

/// A command that only a descriptor's driver understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverCommand {
    pub number: u32,
    pub payload: CommandPayload,
    /// Where io_uring has an address some drivers look for something else.
    pub address: u64,
}

/// What a driver is told with a command.
pub type CommandPayload = [u8; 16];

/// What an operation's address and length are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bytes,
    /// Of a vector, and how many pieces that has.
    Vector,
    /// An offset within what has this number in the ring.
    Registered(u16),
}

/// An operation in the kernel's terms. Copies of it are only as good as the [`super::Operations`] entry that it was
/// made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawCall {
    pub action: Action,
    pub fd: i32,
    pub(super) at: *mut u8,
    pub(super) len: u32,
    pub(super) form: Form,
    pub(super) message: *const libc::msghdr,
}

// SAFETY: the pointers are only followed by the kernel, while the entry in `Operations` keeps what they point at
// (OPERATION-1); the thread that hands them to the kernel does not matter.
unsafe impl Send for RawCall {}

/// io_uring's and preadv2's "where the file stands".
const CURRENT: u64 = u64::MAX;

impl Action {
    /// Bytes at an offset: from memory in one piece, or in many.
    pub fn is_of_a_file(self) -> bool {
        matches!(self, Self::ReadAt { .. } | Self::WriteAt { .. })
    }

    /// May it wait for ever? Then it is cancelled at once, and no thread of the pool does it.
    pub fn is_stream(self) -> bool {
        !matches!(
            self,
            Self::ReadAt { .. } | Self::WriteAt { .. } | Self::SyncData | Self::SyncAll
        )
    }
}

impl RawCall {
    /// For the ring.
    pub(super) fn entry(&self) -> squeue::Entry {
        let (fd, at, len) = (Fd(self.fd), self.at, self.len);
        let vector = at.cast_const().cast();
        match self.action {
            Action::ReadAt { offset } => match self.form {
                Form::Bytes => opcode::Read::new(fd, at, len).offset(offset).build(),
                Form::Vector => opcode::Readv::new(fd, vector, len).offset(offset).build(),
                Form::Registered(number) => opcode::ReadFixed::new(fd, at, len, number)
                    .offset(offset)
                    .build(),
            },
            Action::WriteAt { offset } => match self.form {
                Form::Bytes => opcode::Write::new(fd, at, len).offset(offset).build(),
                Form::Vector => opcode::Writev::new(fd, vector, len).offset(offset).build(),
                Form::Registered(number) => opcode::WriteFixed::new(fd, at, len, number)
                    .offset(offset)
                    .build(),
            },
            Action::Read => opcode::Read::new(fd, at, len).offset(CURRENT).build(),
            Action::Write => opcode::Write::new(fd, at, len).offset(CURRENT).build(),
            Action::SyncData => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
            Action::SyncAll => opcode::Fsync::new(fd).build(),
            Action::Recv => opcode::Recv::new(fd, at, len).build(),
            Action::Send => opcode::Send::new(fd, at, len)
                .flags(libc::MSG_NOSIGNAL)
                .build(),
            Action::SendBoth => opcode::SendMsg::new(fd, self.message)
                .flags(libc::MSG_NOSIGNAL as u32)
                .build(),
            Action::Accept => opcode::Accept::new(fd, null_mut(), null_mut())
                .flags(libc::SOCK_CLOEXEC)
                .build(),
            Action::Readable => opcode::PollAdd::new(fd, libc::POLLIN as u32).build(),
            Action::Writable => opcode::PollAdd::new(fd, libc::POLLOUT as u32).build(),
            Action::Command(command) => opcode::UringCmd16::new(fd, command.number)
                .cmd(command.payload)
                .addr(Some(command.address))
                .build(),
        }
    }

    /// Does it, on a thread that may block: what is no stream. A count, or a negative errno.
    ///
    /// # Safety
    /// The entry that it was made for is in [`super::Operations`] until this returns.
    pub(super) unsafe fn block(&self) -> i32 {
        if matches!(self.form, Form::Registered(_)) {
            return -libc::EFAULT; // only the ring knows it
        }
        let len = self.len as usize;
        let (vector, count) = (self.at.cast_const().cast(), self.len as i32);
        retry(|| match self.action {
            Action::ReadAt { offset } if self.form == Form::Vector => {
                // SAFETY: `at` is a vector of `len` pieces, all of them good while the entry lives, which the caller promises.
                unsafe { libc::preadv64(self.fd, vector, count, offset as i64) }
            }
            Action::WriteAt { offset } if self.form == Form::Vector => {
                // SAFETY: as above.
                unsafe { libc::pwritev64(self.fd, vector, count, offset as i64) }
            }
            Action::ReadAt { offset } => {
                // SAFETY: `at` is good for `len` bytes while the entry lives, which the caller promises.
                unsafe { libc::pread64(self.fd, self.at.cast(), len, offset as i64) }
            }
            Action::WriteAt { offset } => {
                // SAFETY: as above.
                unsafe { libc::pwrite64(self.fd, self.at.cast(), len, offset as i64) }
            }
            // SAFETY: no memory is involved; a bad descriptor would be an error.
            Action::SyncData => unsafe { libc::fdatasync(self.fd) as isize },
            // SAFETY: no memory is involved; a bad descriptor would be an error.
            Action::SyncAll => unsafe { libc::fsync(self.fd) as isize },
            _ => unreachable!("streams are not done by the pool"),
        })
    }

    /// Tries it on a stream that poll said is ready, without blocking. EAGAIN: it was not.
    ///
    /// # Safety
    /// The entry that it was made for is in [`super::Operations`] until this returns.
    pub(super) unsafe fn attempt(&self) -> i32 {
        let (fd, len) = (self.fd, self.len as usize);
        let send = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut piece = libc::iovec {
            iov_base: self.at.cast(),
            iov_len: len,
        };
        let piece = &raw mut piece;
        // Files are always ready, and what is no pipe and no socket may not know the flag.
        let knows_nowait = matches!(self.action, Action::Read | Action::Write) && is_pipe(fd);
        let flags = if knows_nowait { libc::RWF_NOWAIT } else { 0 };
        retry(|| match self.action {
            // SAFETY: `at` is good for `len` bytes while the entry lives, which the caller promises.
            Action::Recv => unsafe { libc::recv(fd, self.at.cast(), len, libc::MSG_DONTWAIT) },
            // SAFETY: as above.
            Action::Send => unsafe { libc::send(fd, self.at.cast(), len, send) },
            // SAFETY: the entry keeps the message and both of its pieces.
            Action::SendBoth => unsafe { libc::sendmsg(fd, self.message, send) },
            // SAFETY: `piece` is good during the call, and names `at` and `len` as above.
            Action::Read => unsafe { libc::preadv2(fd, piece, 1, -1, flags) },
            // SAFETY: as above.
            Action::Write => unsafe { libc::pwritev2(fd, piece, 1, -1, flags) },
            Action::Accept => accept(fd),
            Action::Readable | Action::Writable => 0,
            Action::Command(_) => -(libc::EOPNOTSUPP as isize), // there is no other way than io_uring
            _ => unreachable!("files are not polled"),
        })
    }

    pub(super) fn poll_events(&self) -> i16 {
        match self.action {
            Action::Write | Action::Send | Action::SendBoth | Action::Writable => libc::POLLOUT,
            _ => libc::POLLIN,
        }
    }
}

/// A pipe or a socket.
fn is_pipe(fd: i32) -> bool {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call writes the record that it is given, or fails.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: written just above.
    let mode = unsafe { stat.assume_init() }.st_mode;
    matches!(mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFSOCK)
}

/// Takes a connection if there is one. Somebody else may have been quicker, so the listener must not block.
fn accept(fd: i32) -> isize {
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_NONBLOCK == 0 {
        // SAFETY: no memory is involved. A refusal shows at the accept.
        unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) };
    }
    // SAFETY: no address is asked for.
    unsafe { libc::accept4(fd, null_mut(), null_mut(), libc::SOCK_CLOEXEC) as isize }
}

/// Until no signal is in the way. What the kernel returned, with the errno as a negative number.
fn retry(mut call: impl FnMut() -> isize) -> i32 {
    loop {
        let done = call();
        if done >= 0 {
            return done as i32; // lengths are below 2^31
        }
        let error = std::io::Error::last_os_error();
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        if errno != Errno::INTR.raw_os_error() {
            return -errno;
        }
    }
}
