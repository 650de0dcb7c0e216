//! What happens when memory that is mapped goes away: its file is shortened, its file system is full, its pages are broken.
//!
//! The kernel raises SIGBUS in the thread that touches such a page. The handler puts an empty page of our own in its place,
//! notes that the mapping is lost, and the access goes on; whoever made it looks at the note afterwards, and discards what it read
//! (GUEST-4). What is lost is not touched again: pages of our own in many places would use up the mappings that a process may have.
//! Why so:
//!
//! * Copying by system calls (`process_vm_readv`), which fail instead, costs a call for each ring index and descriptor.
//! * Jumping out of the handler skips destructors. A fault handled by `userfaultfd` needs a thread, and a privilege.
//! * Refusing memory that is not sealed against shrinking (`F_SEAL_SHRINK`) refuses /dev/shm and huge pages in files; and sealed
//!   memory goes away as well, when a huge page is missing or the hardware fails. So all of it is guarded: that costs a look at one
//!   byte for each access.
//!
//! The handler runs while anything may be half done, so it takes no lock and allocates nothing. It walks a list of watches, which
//! only ever grows; watches that are no longer used are used again.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, compiler_fence, fence};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// The first of all watches.
static WATCHES: AtomicPtr<Watch> = AtomicPtr::new(std::ptr::null_mut());
static UNUSED: Mutex<Vec<&'static Watch>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();
/// Who had the signal before us.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

#[derive(Debug, Default)]
struct Watch {
    /// Odd while the range is being changed.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    page_bytes: AtomicUsize,
    is_lost: AtomicBool,
    /// Never changed once it is in the list.
    next: AtomicPtr<Watch>,
}

/// Whole pages that somebody has mapped are watched for as long as this lives.
#[derive(Debug)]
pub(super) struct Guard(&'static Watch);

impl Guard {
    /// # Safety
    /// `pages` are those of a mapping, of `page_bytes` each, that is used by one thread and stays until the guard is dropped: what
    /// is there may be replaced by empty memory at any access.
    pub unsafe fn new(pages: Range<usize>, page_bytes: usize) -> Self {
        INSTALLED.call_once(install);
        let unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let watch = unused.unwrap_or_else(Watch::add);
        watch.is_lost.store(false, Ordering::Relaxed); // published by `set`
        watch.set(pages, page_bytes);
        Self(watch)
    }

    /// Has any access so far found nothing? To be asked after each (GUEST-4).
    pub fn is_lost(&self) -> bool {
        // The handler ran in this thread, between two instructions of the access: only the compiler could look too early.
        compiler_fence(Ordering::SeqCst);
        self.0.is_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(0..0, 1);
        let unused = UNUSED.lock();
        unused.unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

impl Watch {
    /// One more, for ever.
    fn add() -> &'static Self {
        let watch: &'static Self = Box::leak(Box::default());
        let this = std::ptr::from_ref(watch).cast_mut();
        let mut first = WATCHES.load(Ordering::Relaxed); // the exchange below has the say
        loop {
            watch.next.store(first, Ordering::Relaxed); // published by the exchange
            // Release: pairs with the acquire in `rescue`; a watch in the list has its next one.
            let exchanged =
                WATCHES.compare_exchange(first, this, Ordering::Release, Ordering::Relaxed);
            match exchanged {
                Ok(_) => return watch,
                Err(other) => first = other,
            }
        }
    }

    /// Only its owner sets it.
    fn set(&self, pages: Range<usize>, page_bytes: usize) {
        let version = self.version.load(Ordering::Relaxed); // our own
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release); // pairs with the fence in `range`: no new bound under the old version
        self.start.store(pages.start, Ordering::Relaxed);
        self.end.store(pages.end, Ordering::Relaxed);
        self.page_bytes.store(page_bytes, Ordering::Relaxed);
        // Release: pairs with the acquire in `range`.
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
        compiler_fence(Ordering::SeqCst); // our own handler finds it from here on
    }

    /// `None`: another thread is changing it. So it is not the one that this thread is reading through.
    fn range(&self) -> Option<(Range<usize>, usize)> {
        let before = self.version.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        let page_bytes = self.page_bytes.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && before.is_multiple_of(2)).then_some((start..end, page_bytes))
    }
}

fn install() {
    // SAFETY: all zeroes are a `sigaction`: no handler, no flags, an empty mask.
    let mut previous: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; the record is a live local.
    let asked = unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut previous) };
    assert_eq!(asked, 0, "SIGBUS is a signal");
    PREVIOUS.get_or_init(|| previous);
    // SAFETY: as above.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_bus_error as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler is of the kind that the flags say, and does only what a handler may.
    let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) };
    assert_eq!(set, 0, "SIGBUS may be handled");
}

extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler of this kind a record that lives until it returns.
    let record = unsafe { &*info };
    // Above zero: of the kernel, about an address. Others are sent by processes, which have none.
    if record.si_code > 0 {
        // SAFETY: what the kernel says of SIGBUS has an address.
        let at = unsafe { record.si_addr() };
        if rescue(at as usize) {
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Puts an empty page where an access found nothing, if it is watched.
fn rescue(at: usize) -> bool {
    // Acquire: pairs with the release in `add`.
    let mut next = WATCHES.load(Ordering::Acquire);
    loop {
        // SAFETY: null, or a watch of the list, which are never freed.
        let Some(watch) = (unsafe { next.as_ref() }) else {
            return false;
        };
        if let Some((pages, page_bytes)) = watch.range()
            && pages.contains(&at)
        {
            watch.is_lost.store(true, Ordering::Relaxed); // looked at by this thread only
            return replace(at - (at - pages.start) % page_bytes, page_bytes);
        }
        next = watch.next.load(Ordering::Relaxed); // written before the watch came into the list
    }
}

fn replace(page: usize, page_bytes: usize) -> bool {
    let place = std::ptr::with_exposed_provenance_mut(page);
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: a mapping of whoever made the guard, who said that it may be replaced; this is a bare system call.
    unsafe { mmap_anonymous(place, page_bytes, protection, flags) }.is_ok()
}

/// It is about no memory of a guest.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get();
    let handler = previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction);
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // The access is tried again when we return, and ends the process where it should.
        // SAFETY: the default action is no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    } else if previous.is_some_and(|previous| previous.sa_flags & libc::SA_SIGINFO != 0) {
        type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: whoever installed it said that it is of this kind.
        let handler: Handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        handler(signal, info, context);
    } else {
        type Handler = extern "C" fn(c_int);
        // SAFETY: as above.
        let handler: Handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
        handler(signal);
    }
}
