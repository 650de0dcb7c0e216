//! A watch: librados says that an object's watchers were told something, or that it cannot say so any more.
//!
//! Its callbacks come on threads of its own, and may come late. So what it is given to call us with is a number and no address, and what
//! was told is left where the reactor finds it.
//!
//! # Invariants
//! * **WATCHING-1** A callback that comes after the watch has ended finds nothing, and does nothing.
//! * **WATCHING-2** A watch that was lost is told of as such, once at least: whoever watches looks for himself then, and watches anew.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;

use super::flight::Flight;
use super::pool::Pool;
use super::symbols::Symbols;

/// Librados' own: after so long without a word of a watcher the cluster counts it as gone.
const TIMEOUT_DEFAULT: u32 = 0;

/// Who has not acknowledged what it was told by then is not waited for, where nobody needs to know.
const NOTIFY_PATIENCE: Duration = Duration::from_secs(2);

/// What a watch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody told the watchers something.
    Told,
    /// Nothing comes any more.
    Lost,
}

#[derive(Debug, Default)]
struct Heard {
    /// The numbers by which what was told is acknowledged.
    told: Vec<u64>,
    is_lost: bool,
    waker: Option<Waker>,
}

type Ear = Arc<Mutex<Heard>>;

/// Who listens, by the number that librados was given.
#[derive(Debug)]
struct Ears {
    last: usize,
    by_number: BTreeMap<usize, Ear>,
}

static EARS: Mutex<Ears> = Mutex::new(Ears {
    last: 0,
    by_number: BTreeMap::new(),
});

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One's number, until it is dropped (WATCHING-1).
#[derive(Debug)]
struct Listening {
    number: usize,
    ear: Ear,
}

impl Listening {
    fn begin() -> Self {
        let (mut ears, ear) = (lock(&EARS), Ear::default());
        ears.last += 1;
        let number = ears.last;
        ears.by_number.insert(number, ear.clone());
        Self { number, ear }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        lock(&EARS).by_number.remove(&self.number);
    }
}

fn hear(argument: *mut c_void, what: impl FnOnce(&mut Heard)) {
    let ear = lock(&EARS).by_number.get(&argument.addr()).cloned();
    let Some(ear) = ear else { return };
    let mut heard = lock(&ear);
    what(&mut heard);
    let waker = heard.waker.take();
    drop(heard);
    if let Some(waker) = waker {
        waker.wake();
    }
}

extern "C" fn told(
    argument: *mut c_void,
    number: u64,
    _cookie: u64,
    _by: u64,
    _data: *mut c_void,
    _len: usize,
) {
    hear(argument, |heard| heard.told.push(number));
}

extern "C" fn lost(argument: *mut c_void, _cookie: u64, _code: i32) {
    hear(argument, |heard| heard.is_lost = true);
}

/// Dropped without [`Watch::end`] it goes on until the connection ends, and nobody hears of it.
#[derive(Debug)]
pub(crate) struct Watch {
    pool: Rc<Pool>,
    object: CString,
    cookie: u64,
    listening: Listening,
}

impl Watch {
    /// The next thing that was told, which is acknowledged. To be dropped whenever one likes.
    pub async fn next(&self) -> News {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<News> {
        let (told, is_lost) = {
            let mut heard = lock(&self.listening.ear);
            if heard.told.is_empty() && !heard.is_lost {
                heard.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            (std::mem::take(&mut heard.told), heard.is_lost)
        };
        for number in told {
            self.acknowledge(number);
        }
        Poll::Ready(if is_lost { News::Lost } else { News::Told })
    }

    /// Sends it, and waits for nothing.
    fn acknowledge(&self, number: u64) {
        let symbols = self.pool.symbols();
        // SAFETY: the pool is open and the name ends with NUL; nothing is said in return.
        let sent = unsafe {
            (symbols.rados_notify_ack)(
                self.pool.context(),
                self.object.as_ptr(),
                number,
                self.cookie,
                std::ptr::null(),
                0,
            )
        };
        if sent < 0 {
            tracing::debug!(code = sent, "who told us something waits in vain");
        }
    }

    /// To be awaited to its end.
    pub async fn end(self) {
        let symbols = self.pool.symbols();
        let (place, cookie) = (self.pool.begin(), self.cookie);
        place.await_completion(symbols, |completion| {
            // SAFETY: the cookie is that of a watch that was made and is ended here, once, whether it was lost or not.
            unsafe { (symbols.rados_aio_unwatch)(self.pool.context(), cookie, completion) }
        });
        // That the cluster has forgotten it already is no matter.
        let _ended = Flight::new(place, (), self.pool.clone(), None).await;
    }
}

impl Pool {
    /// Watches an object that is there. To be awaited to its end.
    pub async fn watch(self: &Rc<Self>, object: &CStr) -> Result<Watch, Errno> {
        let (place, symbols) = (self.begin(), self.symbols());
        let listening = Listening::begin();
        let mut cookie = Box::new(0);
        let cookie_at = &raw mut *cookie;
        place.await_completion(symbols, |completion| {
            // SAFETY: all are alive; the flight keeps the place of the cookie until the callback (LIBRADOS-1), and the argument is a
            // number that is only looked up (WATCHING-1).
            unsafe {
                (symbols.rados_aio_watch2)(
                    self.context(),
                    object.as_ptr(),
                    completion,
                    cookie_at,
                    told,
                    lost,
                    TIMEOUT_DEFAULT,
                    std::ptr::without_provenance_mut(listening.number),
                )
            }
        });
        let landing = Flight::new(place, cookie, self.clone(), None).await;
        landing.result?;
        Ok(Watch {
            pool: self.clone(),
            object: object.to_owned(),
            cookie: *landing.kept,
            listening,
        })
    }

    /// Tells those who watch an object that there is something to look at. Nobody waits for whether they heard it.
    pub fn tell_watchers(self: &Rc<Self>, object: &CStr) {
        drop(self.notify(object, NOTIFY_PATIENCE));
    }

    /// The same. Tells whether somebody has said within `patience` that he heard it.
    pub async fn is_heard_by_watchers(self: &Rc<Self>, object: &CStr, patience: Duration) -> bool {
        // Also if others did not hear it: then it fails, and has the answers of those who did.
        let told = self.notify(object, patience).await;
        told.kept.first_number() > 0
    }

    fn notify(self: &Rc<Self>, object: &CStr, patience: Duration) -> Flight<Box<Answers>> {
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let (place, symbols) = (self.begin(), self.symbols());
        let mut answers = Box::new(Answers {
            symbols,
            bytes: std::ptr::null_mut(),
            len: 0,
        });
        let (bytes_at, len_at) = (&raw mut answers.bytes, &raw mut answers.len);
        place.await_completion(symbols, |completion| {
            // SAFETY: the pool is open and the name ends with NUL; nothing is told but that; the flight keeps the place of the answers
            // until the callback (LIBRADOS-1).
            unsafe {
                (symbols.rados_aio_notify)(
                    self.context(),
                    object.as_ptr(),
                    completion,
                    std::ptr::null(),
                    0,
                    patience_ms,
                    bytes_at,
                    len_at,
                )
            }
        });
        Flight::new(place, answers, self.clone(), None)
    }
}

/// What watchers said: how many acknowledged it, by whom and with which bytes, and who did not.
#[derive(Debug)]
struct Answers {
    symbols: &'static Symbols,
    bytes: *mut c_char,
    len: usize,
}

impl Answers {
    /// How many acknowledged it.
    fn first_number(&self) -> u32 {
        const NUMBER_BYTES: usize = 4;
        if self.bytes.is_null() || self.len < NUMBER_BYTES {
            return 0;
        }
        let mut number = [0; NUMBER_BYTES];
        // SAFETY: librados has put so many bytes there at least.
        unsafe {
            std::ptr::copy_nonoverlapping(self.bytes.cast(), number.as_mut_ptr(), NUMBER_BYTES);
        }
        u32::from_le_bytes(number)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if !self.bytes.is_null() {
            // SAFETY: librados has put them there, and they are ours to give back.
            unsafe { (self.symbols.rados_buffer_free)(self.bytes) };
        }
    }
}
