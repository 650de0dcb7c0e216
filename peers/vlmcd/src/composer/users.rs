//! OPEN and CLOSE: who uses a volume.
//!
//! An OPEN stays with us, unanswered, as long as the use lasts: so the segment knows it, whoever of us dies.
//!
//! # Invariants
//! * **USERS-1** A volume is given up (RECALL of kind Detach) only if no living OPEN of it is held by us, or by a dead
//!   incarnation of ours, or lies in the inbox (USE-1). One whose name is not looked up yet may be of any volume.
//! * **USERS-3** In a held OPEN stands by which token we had the volume: whoever takes it over when we are dead tells the mapper (COMPOSE-4).
//! * **USERS-2** An OPEN is answered when it was closed, when what it names cannot be attached, when its sender is dead, or
//!   when we leave: then it asks our successor.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{CHANGED, Had, Recall, VolumeIdBytes, users};
use xseg::{Errno, Incoming};

use super::core::{Composer, Name};
use super::volume::Volume;

/// Clients that have just taken their leave are waited for before a volume counts as used.
const GRACE: Duration = Duration::from_millis(500);
/// A name that is being looked up may be of any volume until then, and that may take as long as opening a volume does.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An OPEN that we hold.
#[derive(Debug)]
pub struct Use {
    request: Incoming,
    /// Once its name was looked up.
    volume: Option<Rc<Volume>>,
}

/// What can be told of a volume's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Usage {
    Free,
    /// Somebody uses what is not looked up yet.
    MayBe,
    Used,
}

/// The uses that we hold, by the numbers that their users gave them.
#[derive(Debug, Default)]
pub struct Uses {
    all: BTreeMap<u64, Use>,
}

impl Drop for Uses {
    fn drop(&mut self) {
        for one in std::mem::take(&mut self.all).into_values() {
            one.request.fail(Errno::SHUTDOWN);
        }
    }
}

pub fn name_of(request: &Incoming) -> Name {
    if request.request().op == CHANGED {
        return (request.target().as_bytes().to_vec(), Vec::new());
    }
    (
        request.target().as_bytes().to_vec(),
        request.snapshot().as_bytes().to_vec(),
    )
}

/// The snapshot that CHANGED compares with: there, it is the second name.
pub fn snapshot_of(request: &Incoming) -> Name {
    (request.snapshot().as_bytes().to_vec(), Vec::new())
}

impl Composer {
    /// Holds the request as long as the use lasts (USERS-2).
    pub async fn open(&self, request: Incoming) {
        self.forget_the_dead();
        let (name, number) = (name_of(&request), request.request().handle);
        if self.is_leaving.get() {
            return request.fail(Errno::SHUTDOWN);
        }
        let known = Use {
            request,
            volume: None,
        };
        if let Some(former) = self.uses.borrow_mut().all.insert(number, known) {
            former.end(self, Err(Errno::EXIST));
        }
        match self.visit(&name, true).await {
            Ok(visit) => self.begin_use(number, &visit.volume),
            Err(error) => {
                tracing::debug!(?name, %error, "a volume cannot be used");
                self.end_use(number, Err(error.errno()));
            }
        }
    }

    fn begin_use(&self, number: u64, volume: &Rc<Volume>) {
        let mut uses = self.uses.borrow_mut();
        // Without one it was closed meanwhile.
        if let Some(one) = uses.all.get_mut(&number)
            && one.volume.is_none()
        {
            volume.users.set(volume.users.get() + 1);
            one.volume = Some(volume.clone());
            one.note_had(volume.had());
        }
    }

    /// USERS-3
    pub fn note_had(&self, volume: &Volume) {
        let is_of = |of: &Rc<Volume>| std::ptr::eq(&raw const **of, volume);
        let mut uses = self.uses.borrow_mut();
        for one in uses.all.values_mut() {
            if one.volume.as_ref().is_some_and(is_of) {
                one.note_had(volume.had());
            }
        }
    }

    /// What a predecessor had under this name, and is still used (USERS-3).
    pub fn had_by_predecessors(&self, name: &Name) -> Had {
        let uses = self.uses.borrow();
        let of_name = uses.all.values().filter(|one| one.volume.is_none());
        let of_name = of_name.filter(|one| name_of(&one.request) == *name);
        let noted = of_name.map(Use::noted);
        noted.max_by_key(|had| had.token).unwrap_or_default()
    }

    /// CLOSE: tells how many it ended.
    pub fn close(&self, request: Incoming) {
        let number = request.request().handle;
        let is_open = self.uses.borrow().all.contains_key(&number);
        self.end_use(number, Ok(()));
        request.answer(is_open.into());
    }

    fn end_use(&self, number: u64, outcome: Result<(), Errno>) {
        let ended = self.uses.borrow_mut().all.remove(&number);
        if let Some(ended) = ended {
            ended.end(self, outcome);
        }
    }

    /// We leave: who uses a volume asks our successor.
    pub fn end_all_uses(&self) {
        self.is_leaving.set(true);
        let all = std::mem::take(&mut self.uses.borrow_mut().all);
        for one in all.into_values() {
            one.end(self, Err(Errno::SHUTDOWN));
        }
    }

    /// Ends the uses of senders that are dead.
    fn forget_the_dead(&self) {
        let living = users(self.station.segment(), self.station.id());
        let living: BTreeSet<u64> = living.iter().map(|user| user.serial).collect();
        let is_dead = |one: &Use| !living.contains(&one.request.request().serial);
        let dead: Vec<u64> = {
            let uses = self.uses.borrow();
            let dead = uses.all.iter().filter(|(_, one)| is_dead(one));
            dead.map(|(number, _)| *number).collect()
        };
        for number in dead {
            self.end_use(number, Err(Errno::SHUTDOWN));
        }
    }

    /// Does somebody use the volume (USERS-1)?
    fn usage(&self, id: &VolumeIdBytes) -> Usage {
        let names = self.names.borrow();
        let users = users(self.station.segment(), self.station.id());
        let usages = users.into_iter().map(|user| {
            let name = (user.target.into_bytes(), user.volume.into_bytes());
            match names.get(&name).and_then(|entry| entry.id()) {
                Some(known) if known == *id => Usage::Used,
                Some(_) => Usage::Free,
                None => Usage::MayBe,
            }
        });
        usages.max().unwrap_or(Usage::Free)
    }

    /// Gives a volume up, unless it is used.
    pub fn give_up(&self, notice: Incoming, id: VolumeIdBytes, recall: Recall) {
        let Some(myself) = self.myself.upgrade() else {
            return notice.fail(Errno::SHUTDOWN);
        };
        if self.usage(&id) == Usage::Free {
            return self.heed(notice, &id, &recall);
        }
        let inside = self.recalls.enter();
        let _goes_on = self.handle.spawn(async move {
            let leaves_ns = myself.handle.after_ns(GRACE);
            let known_ns = myself.handle.after_ns(LOOKED_UP_WITHIN);
            loop {
                let now_ns = myself.handle.now_ns();
                match myself.usage(&id) {
                    Usage::Free => {
                        myself.heed(notice, &id, &recall);
                        break;
                    }
                    Usage::MayBe if now_ns < known_ns => {}
                    Usage::Used if now_ns < leaves_ns => {}
                    Usage::MayBe | Usage::Used => {
                        notice.fail(Errno::BUSY);
                        break;
                    }
                }
                myself.handle.sleep(LOOK_AGAIN).await;
            }
            drop(inside);
        });
    }
}

impl Use {
    /// USERS-3
    fn note_had(&mut self, had: Had) {
        let [token, low, high] = had.to_words();
        self.request.set_answer_args([token, low, high, 0]);
    }

    fn noted(&self) -> Had {
        let [token, low, high, _] = self.request.args();
        match self.request.request().redelivered {
            true => Had::from_words([token, low, high]),
            false => Had::default(),
        }
    }

    fn end(self, composer: &Composer, outcome: Result<(), Errno>) {
        match outcome {
            Ok(()) => self.request.answer(0),
            Err(errno) => self.request.fail(errno),
        }
        if let Some(volume) = self.volume {
            volume.users.set(volume.users.get().saturating_sub(1));
            composer.look_whether_idle(&volume);
        }
    }
}
