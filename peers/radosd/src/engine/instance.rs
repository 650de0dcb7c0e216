//! Which instance serves the store now, so that those after it can have it refused.
//!
//! # Invariants
//! * **INSTANCE-1** Before an instance serves anything, the cluster refuses whatever an earlier instance of that name may still send, if
//!   that did not end well (S6). A death of a process leaves operations under way that nobody waits for.
//! * **INSTANCE-2** Once a deployment was fenced, nothing of it gets in, by whatever address, until all of its processes are new ones:
//!   in the tenure in which it was fenced no instance of it begins (L3). Who outlived its blockers may believe that a lock is its own
//!   that passed on.
//! * **INSTANCE-4** Of two deployments of one name the second does not begin while the first is there to say that it lives (F52): neither
//!   has the other refused, again and again. Who says nothing is taken for dead, and refused.
//! * **INSTANCE-3** An instance that was fenced hears of it when that was noted, and by any operation that it asks for afterwards.

use std::cell::Cell;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Handle, Memory};
use archipelago_store::{LockOwner, StoreError};
use rustix::io::Errno;

use super::attendance::{Attendance, TenureOver};
use super::core::store_error;
use super::identity::random;
use super::names;
use super::record::{BadRecord, FORMAT};
use crate::error::RadosdError;
use crate::librados::{News, Pool};
use crate::options::RadosdOptions;

const RECORD_BYTES_MAX: usize = 4096;

/// How long an instance stays refused: longer than any process is stopped and goes on.
pub(super) const FENCE_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Between tries to watch our record.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Instance {
    /// By which the cluster knows us: `IP:PORT/NONCE`.
    pub address: String,
    /// Whom it had refused when it began.
    pub refused: Vec<String>,
    /// Our record is being given up: that we do not stand there is no news.
    pub(super) is_leaving: Cell<bool>,
    owner: LockOwner,
    tenure: u128,
    nonce: u128,
}

enum Unknown {
    Failed(Errno),
    Damaged(BadRecord),
}

/// The record as it is, and the version of that; no version if there is none.
async fn find(pool: &Rc<Pool>, object: &CStr) -> Result<(Attendance, Option<u64>), Unknown> {
    let memory = Memory::from(vec![0; RECORD_BYTES_MAX]);
    let read = pool.read(object, 0, memory).await;
    let count = match read.result {
        Ok(count) => count,
        Err(Errno::NOENT) => return Ok((Attendance::default(), None)),
        Err(errno) => return Err(Unknown::Failed(errno)),
    };
    let bytes = read.kept.into_bytes().expect("made from bytes above");
    let attendance = Attendance::decode(&bytes[..count]).map_err(Unknown::Damaged)?;
    Ok((attendance, Some(read.version)))
}

/// Changes the record if it is as it was found. Tells whether it was.
async fn change(
    pool: &Rc<Pool>,
    object: &CStr,
    version: Option<u64>,
    attendance: &Attendance,
) -> Result<bool, Errno> {
    let changing = match version {
        None => pool.writing().create_exclusive(),
        Some(version) => pool.writing().assert_version(version),
    };
    let changing = changing.write_full(&attendance.encode());
    match pool.change(object, changing).await.result {
        Ok(_) => Ok(true),
        Err(Errno::EXIST | Errno::RANGE | Errno::OVERFLOW | Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

impl Instance {
    /// Has our predecessor fenced, and says that we are here.
    pub(super) async fn begin(
        pool: &Rc<Pool>,
        options: &RadosdOptions,
    ) -> Result<Self, RadosdError> {
        let failed = |what| move |source| RadosdError::Failed { what, source };
        let address = pool.cluster().address();
        let address = address.map_err(failed("asking for our address in the cluster"))?;
        let address = plain(&address).to_owned();
        let object = names::attendance(&options.owner);
        loop {
            let found = find(pool, &object).await;
            let (mut attendance, version) = found.map_err(|unknown| match unknown {
                Unknown::Failed(errno) => failed("looking for our predecessor")(errno),
                Unknown::Damaged(BadRecord::Format(found)) => RadosdError::Format {
                    pool: options.pool.clone(),
                    found,
                    known: FORMAT,
                },
                Unknown::Damaged(BadRecord::Damaged) => RadosdError::Damaged {
                    pool: options.pool.clone(),
                    object: object.to_string_lossy().into_owned(),
                },
            })?;
            let is_anothers = attendance.is_anothers(options.tenure, options.tenure_before);
            let patience = options.namesake_patience;
            if is_anothers && pool.is_heard_by_watchers(&object, patience).await {
                return Err(RadosdError::Namesake {
                    owner: options.owner.to_string(),
                    pool: options.pool.clone(),
                });
            }
            let entered = attendance.enter(options.tenure, &options.role, &address);
            let before = entered.map_err(|TenureOver| RadosdError::Fenced {
                owner: options.owner.to_string(),
                pool: options.pool.clone(),
            })?;
            before.iter().try_for_each(|before| fence(pool, before))?;
            let changed = change(pool, &object, version, &attendance).await;
            // If not, another one of this name is starting.
            if changed.map_err(failed("registering this instance"))? {
                return Ok(Self {
                    address,
                    refused: before,
                    is_leaving: Cell::new(false),
                    owner: options.owner.clone(),
                    tenure: options.tenure,
                    nonce: random()?,
                });
            }
        }
    }

    /// Listens to what others say of us, for as long as we serve (INSTANCE-3).
    pub(super) async fn listen(&self, pool: &Rc<Pool>, handle: &Handle) {
        let object = names::attendance(&self.owner);
        while !pool.refusal.is_refused() {
            match pool.watch(&object).await {
                Ok(watch) => {
                    // What was said before we listened is there to be read.
                    self.look(pool, &object).await;
                    while watch.next().await == News::Told {
                        self.look(pool, &object).await;
                    }
                    watch.end().await;
                }
                Err(errno) => tracing::debug!(%errno, "our record cannot be watched"),
            }
            self.look(pool, &object).await;
            handle.sleep(WATCH_AGAIN_AFTER).await;
        }
    }

    /// Do we stand there still? Where the cluster refuses to say, that is noted by itself.
    async fn look(&self, pool: &Rc<Pool>, object: &CStr) {
        if let Ok((attendance, Some(_))) = find(pool, object).await
            && !attendance.has(self.tenure, &self.address)
            && !self.is_leaving.get()
        {
            pool.refusal.refuse();
        }
    }

    /// A number to count on from.
    pub(super) fn nonce(&self) -> u128 {
        self.nonce
    }

    /// It ends with nothing under way: nobody need be fenced.
    pub(super) async fn end(&self, pool: &Rc<Pool>) -> Result<(), Errno> {
        let object = names::attendance(&self.owner);
        loop {
            let (mut attendance, version) = match find(pool, &object).await {
                Ok(found) => found,
                Err(Unknown::Failed(errno)) => return Err(errno),
                Err(Unknown::Damaged(_)) => return Err(Errno::UCLEAN),
            };
            // A successor has registered already, or we have left.
            if !attendance.leave(&self.address)
                || change(pool, &object, version, &attendance).await?
            {
                return Ok(());
            }
        }
    }
}

/// No instance of this deployment begins any more in its tenure (INSTANCE-2). Gives the addresses that are to be refused.
pub(super) async fn end_tenure(
    pool: &Rc<Pool>,
    owner: &LockOwner,
) -> Result<Vec<String>, StoreError> {
    let object = names::attendance(owner);
    loop {
        let (mut attendance, version) = match find(pool, &object).await {
            Ok(found) => found,
            Err(Unknown::Failed(errno)) => return Err(store_error(errno)),
            Err(Unknown::Damaged(_)) => {
                tracing::error!(%owner, "its record is damaged, or of a newer program: it cannot be fenced");
                return Err(StoreError::Io(Errno::UCLEAN));
            }
        };
        let was_fenced = std::mem::replace(&mut attendance.is_fenced, true);
        // Nobody has ever been there, or somebody else has said so: whoever that was may not have had them refused yet.
        let is_done = version.is_none()
            || was_fenced
            || change(pool, &object, version, &attendance)
                .await
                .map_err(store_error)?;
        if is_done {
            pool.tell_watchers(&object); // INSTANCE-3
            let attendants = attendance.attendants.into_iter();
            return Ok(attendants.map(|attendant| attendant.address).collect());
        }
    }
}

fn fence(pool: &Rc<Pool>, address: &str) -> Result<(), RadosdError> {
    tracing::warn!(address, "our predecessor did not end well: it is fenced");
    let fenced = pool.cluster().fence(address, FENCE_TIME);
    fenced.map_err(|source| RadosdError::NotFenced {
        address: address.to_owned(),
        source,
    })
}

/// The address as the blocklist wants it: of several the first, without the protocol's name.
fn plain(addresses: &str) -> &str {
    let several = addresses.strip_prefix("[v");
    let several = several.and_then(|_| addresses[1..].strip_suffix(']'));
    let first = several.unwrap_or(addresses).split(',').next();
    let first = first.unwrap_or(addresses);
    let protocol = first
        .split_once(':')
        .filter(|(name, _)| matches!(*name, "v1" | "v2" | "any"));
    protocol.map_or(first, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_without_its_protocol() {
        for text in [
            "127.0.0.1:0/123",
            "v2:127.0.0.1:0/123",
            "[v2:127.0.0.1:0/123,v1:127.0.0.1:0/124]",
            "v1:127.0.0.1:0/123",
        ] {
            assert_eq!(plain(text), "127.0.0.1:0/123");
        }
        for text in ["[::1]:0/9", "v2:[::1]:0/9", "[v2:[::1]:0/9,v1:[::1]:0/9]"] {
            assert_eq!(plain(text), "[::1]:0/9");
        }
    }
}
