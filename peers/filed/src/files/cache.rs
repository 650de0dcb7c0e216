//! The files that are open, by their objects' names.
//!
//! Which one was used the longest time ago is known by a queue that is put right only when it is asked: a use costs a
//! store, not a move.
//!
//! # Invariants
//! * **FDCACHE-1** One name has at most one open file, which is the file that has the name now.
//! * **FDCACHE-2** A file that somebody uses is not offered for closing.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};

use archipelago_store::ObjectName;

use super::open_file::{FileId, OpenFile, Using};

/// So many places of closed files may be in the queue, beside one for each open one, before they are swept out.
const QUEUE_SLACK: usize = 64;
/// How many idle files are looked at for one that is clean.
const LOOKS_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct Cache {
    files: RefCell<HashMap<ObjectName, Rc<OpenFile>>>,
    /// Each file once, with when it was used, as it was known when it was put here. It keeps none of them open.
    queue: RefCell<VecDeque<(Weak<OpenFile>, u64)>>,
    clock: Cell<u64>,
    next_id: Cell<u64>,
    files_max: usize,
}

impl Cache {
    pub fn new(files_max: usize) -> Self {
        Self {
            files: RefCell::default(),
            queue: RefCell::default(),
            clock: Cell::new(0),
            next_id: Cell::new(0),
            files_max: files_max.max(1),
        }
    }

    pub fn next_id(&self) -> FileId {
        self.next_id.set(self.next_id.get() + 1);
        FileId(self.next_id.get())
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    /// The open file of the object with this name.
    pub fn find(&self, name: &[u8]) -> Option<Using> {
        let files = self.files.borrow();
        let file = files.get(name)?;
        file.used_at.set(self.tick());
        Some(Using::new(file))
    }

    /// The file has its name from now on (FDCACHE-1).
    pub fn insert(&self, file: OpenFile) -> Using {
        let now = self.tick();
        file.used_at.set(now);
        let file = Rc::new(file);
        let using = Using::new(&file);
        let name = file.name.clone();
        self.enqueue(&file, now);
        let old = self.files.borrow_mut().insert(name, file);
        if let Some(old) = old {
            old.is_gone.set(true);
        }
        using
    }

    fn enqueue(&self, file: &Rc<OpenFile>, now: u64) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() > 2 * self.len() + QUEUE_SLACK {
            queue.retain(|(file, _)| file.strong_count() > 0);
        }
        queue.push_back((Rc::downgrade(file), now));
    }

    /// The name stands for another file now, or for none.
    pub fn remove(&self, name: &[u8]) -> Option<Rc<OpenFile>> {
        let file = self.files.borrow_mut().remove(name)?;
        file.is_gone.set(true);
        Some(file)
    }

    pub fn is_full(&self) -> bool {
        self.files.borrow().len() >= self.files_max
    }

    pub fn len(&self) -> usize {
        self.files.borrow().len()
    }

    /// The idle file that was used the longest time ago (FDCACHE-2): a clean one, if there is one among the first.
    pub fn oldest_idle(&self, is_clean: impl Fn(&OpenFile) -> bool) -> Option<Rc<OpenFile>> {
        let mut queue = self.queue.borrow_mut();
        let (mut looks, mut dirty) = (0, None);
        for _ in 0..queue.len() {
            let (place, known_at) = queue.pop_front()?;
            let Some(file) = place.upgrade().filter(|file| !file.is_gone.get()) else {
                continue;
            };
            let used_at = file.used_at.get();
            queue.push_back((place, used_at));
            if used_at != known_at || !file.is_idle() {
                continue;
            }
            if is_clean(&file) {
                return Some(file);
            }
            dirty.get_or_insert(file);
            looks += 1;
            if looks == LOOKS_MAX {
                break;
            }
        }
        // Nobody is idle who was not used since: then those who were.
        dirty.or_else(|| {
            let files = self.files.borrow();
            let idle = files.values().filter(|file| file.is_idle());
            idle.min_by_key(|file| file.used_at.get()).cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Folder;

    fn name(number: u32) -> ObjectName {
        ObjectName::new(number.to_string().as_bytes()).unwrap()
    }

    fn open(cache: &Cache, number: u32) -> Using {
        let fd = std::fs::File::open("/dev/null").unwrap();
        let folder = Folder::of_group(b"");
        let id = cache.next_id();
        cache.insert(OpenFile::new(id, name(number), folder, fd.into(), None))
    }

    #[test]
    fn fdcache_2_the_oldest_idle_file_goes_first() {
        let cache = Cache::new(3);
        for number in 0..3 {
            drop(open(&cache, number));
        }
        assert!(cache.is_full());
        drop(cache.find(b"0"));
        let used = cache.find(b"1").unwrap(); // FDCACHE-2
        let oldest = cache.oldest_idle(|_| true).unwrap();
        assert_eq!(oldest.name, name(2));
        cache.remove(b"2");
        assert_eq!(cache.oldest_idle(|_| true).unwrap().name, name(0));
        cache.remove(b"0");
        assert!(
            cache.oldest_idle(|_| true).is_none(),
            "the last one is in use"
        );
        drop(used);
        assert_eq!(cache.oldest_idle(|_| true).unwrap().name, name(1));
    }

    #[test]
    fn a_clean_file_is_preferred_to_an_older_dirty_one() {
        let cache = Cache::new(3);
        for number in 0..3 {
            drop(open(&cache, number));
        }
        let is_clean = |file: &OpenFile| file.name == name(1);
        assert_eq!(cache.oldest_idle(is_clean).unwrap().name, name(1));
        assert!(cache.oldest_idle(|_| false).is_some());
    }

    #[test]
    fn closed_files_are_closed() {
        let cache = Cache::new(3);
        for number in 0..500 {
            let file = Rc::downgrade(open(&cache, number).file());
            drop(cache.remove(name(number).as_bytes()));
            assert_eq!(file.strong_count(), 0);
        }
        assert!(cache.queue.borrow().len() <= QUEUE_SLACK + 2);
    }

    #[test]
    fn fdcache_1_a_name_has_its_newest_file() {
        let cache = Cache::new(3);
        let (old, new) = (open(&cache, 1), open(&cache, 1));
        assert!(old.is_gone.get() && !new.is_gone.get()); // FDCACHE-1
        assert_eq!(cache.find(b"1").unwrap().id, new.id);
        assert_eq!(cache.len(), 1);
        assert!(cache.remove(b"1").is_some_and(|file| file.id == new.id));
        assert!(cache.find(b"1").is_none());
    }
}
