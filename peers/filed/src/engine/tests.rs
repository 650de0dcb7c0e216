//! The engine with files that fail. A file in the cache is replaced by something that refuses what is asked of it: a pipe
//! refuses to be synced, `/dev/full` is full, a descriptor for reading refuses to be written.

mod lent;

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archipelago_runtime::{Reactor, ReactorOptions, Station};
use archipelago_store::{BlockerClient, LockOwner, ObjectName, Scope, Store, StoreError};
use rustix::io::Errno;
use tempfile::TempDir;
use xseg::{BindOptions, CreateOptions, Geometry};

use super::Engine;
use crate::files::{FileId, OpenFile};
use crate::layout::Place;
use crate::options::{FiledOptions, SyncMethod};
use crate::peer::Filed;

const ONE: Scope = Scope(1);
const TWO: Scope = Scope(2);

struct House {
    home: TempDir,
    engine: Rc<Engine>,
    client: BlockerClient,
    /// Of somebody else on the same reactor.
    lender: Rc<Station>,
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).unwrap()
}

fn in_a_house(change: impl FnOnce(&mut FiledOptions), test: impl AsyncFnOnce(&House)) {
    let geometry = Geometry::new(4, 1, 64).and_then(|geometry| geometry.with_buffers(65536, 16));
    let segment = CreateOptions::new(geometry.unwrap())
        .create_private()
        .unwrap();
    let options = BindOptions::default();
    let port = segment.bind(0, &options).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let home = tempfile::tempdir().unwrap();
    let mut filed_options = FiledOptions::new(home.path());
    change(&mut filed_options);
    let (filed, service) = Filed::serve(&handle, &handle.station(), &filed_options).unwrap();
    let station = handle
        .add_port(segment.bind_dynamic(&options).unwrap())
        .unwrap();
    let lender = handle
        .add_port(segment.bind_dynamic(&options).unwrap())
        .unwrap();
    let house = House {
        lender,
        home,
        engine: filed.engine.clone(),
        client: BlockerClient::new(station, handle.station().id()).unwrap(),
    };
    reactor.block_on(async {
        test(&house).await;
        filed.close();
        service.drain().await;
    });
}

impl House {
    /// From now on the object's file is this one.
    fn replace(&self, object: &ObjectName, fd: OwnedFd) -> FileId {
        let id = self.engine.cache.next_id();
        let folder = Place::of(object).folder;
        self.engine
            .cache
            .insert(OpenFile::new(id, object.clone(), folder, fd, None));
        id
    }

    async fn write(&self, scope: Scope, object: &ObjectName) -> Result<(), StoreError> {
        self.client.write(scope, object, 0, &[1; 5000]).await
    }

    fn forget_what_is_dirty(&self, scope: Scope) {
        let plan = self.engine.ledger().plan(scope);
        for (id, _) in plan.files {
            self.engine.ledger().forget(id);
        }
    }

    /// Something was written under the scopes to a file that cannot be synced.
    fn spoil(&self, object: &ObjectName, scopes: &[Scope]) {
        let (pipe, _other_end) = rustix::pipe::pipe().unwrap();
        let id = self.replace(object, pipe);
        let using = self.engine.cache.find(object.as_bytes()).unwrap();
        for scope in scopes {
            self.engine.ledger().wrote(*scope, id, using.file());
        }
    }
}

fn files_by_themselves(options: &mut FiledOptions) {
    options.sync = SyncMethod::Files;
}

#[test]
fn durable_2_the_first_sync_of_an_incarnation_is_of_everything() {
    in_a_house(files_by_themselves, async |house| {
        assert!(house.engine.ledger().plan(ONE).everything);
        house.client.sync(TWO).await.unwrap(); // DURABLE-2
        assert!(!house.engine.ledger().plan(ONE).everything);
    });
}

#[test]
fn transfer_1_what_was_answered_is_booked_and_durable_1_until_it_is_synced() {
    in_a_house(files_by_themselves, async |house| {
        house.client.sync(ONE).await.unwrap();
        let object = name("v/1");
        house.write(ONE, &object).await.unwrap();
        house
            .client
            .extend(ONE, &name("v/2"), 10, false)
            .await
            .unwrap();
        house
            .client
            .copy(TWO, &object, &name("v/3"), 10)
            .await
            .unwrap();
        let folder = Place::of(&object).folder;
        let plan = house.engine.ledger().plan(ONE); // TRANSFER-1
        assert_eq!((plan.files.len(), &plan.folders[..]), (2, &[folder][..]));
        assert_eq!(house.engine.ledger().plan(TWO).files.len(), 1);
        house.client.sync(ONE).await.unwrap();
        let plan = house.engine.ledger().plan(ONE); // DURABLE-1
        assert!(plan.files.is_empty() && plan.folders.is_empty(), "FOLDER-1");
        let plan = house.engine.ledger().plan(TWO);
        assert_eq!((plan.files.len(), plan.folders.len()), (1, 0), "one folder");
        house.client.delete(&object).await.unwrap();
        assert_eq!(house.engine.ledger().plan(TWO).folders, [folder]);
        house.client.sync(TWO).await.unwrap();
        assert!(house.engine.ledger().plan(ONE).folders.is_empty());
    });
}

#[test]
fn durable_3_a_failed_sync_is_told_to_all_whom_it_concerns_until_they_are_healed() {
    in_a_house(files_by_themselves, async |house| {
        let client = &house.client;
        client.sync(ONE).await.unwrap();
        house.spoil(&name("v/1"), &[ONE, TWO]);
        let failed = client.sync(ONE).await;
        assert!(
            matches!(failed, Err(StoreError::Io(_) | StoreError::Invalid)),
            "{failed:?}"
        );
        assert_eq!(client.sync(ONE).await, Err(StoreError::Failed)); // DURABLE-3, F27
        assert_eq!(
            client.sync(TWO).await,
            Err(StoreError::Failed),
            "it was told alone"
        );
        assert_eq!(client.sync(Scope(3)).await, Ok(()));
        house.engine.cache.remove(b"v/1");
        house.write(ONE, &name("v/2")).await.unwrap();
        assert_eq!(
            client.sync(ONE).await,
            Err(StoreError::Failed),
            "success is no cure"
        );
        house.forget_what_is_dirty(ONE); // the objects were written anew
        client.heal(ONE).await.unwrap();
        assert_eq!(client.sync(ONE).await, Ok(()));
        assert_eq!(client.sync(TWO).await, Err(StoreError::Failed));
    });
}

#[test]
fn durable_3_syncs_that_meet_at_a_failing_file_all_fail() {
    in_a_house(files_by_themselves, async |house| {
        house.client.sync(ONE).await.unwrap();
        house.spoil(&name("v/1"), &[ONE, TWO]);
        let (one, two) =
            archipelago_store::sim::join(house.client.sync(ONE), house.client.sync(TWO)).await;
        assert!(one.is_err() && two.is_err(), "{one:?} {two:?}");
    });
}

#[test]
fn fdopen_1_a_file_that_cannot_be_synced_is_closed_and_its_writers_are_told() {
    in_a_house(
        |options| {
            options.sync = SyncMethod::Files;
            options.fdcache = 1;
        },
        async |house| {
            house.client.sync(ONE).await.unwrap();
            house.spoil(&name("v/1"), &[ONE]);
            house.write(TWO, &name("v/2")).await.unwrap();
            assert!(house.engine.cache.find(b"v/1").is_none());
            assert_eq!(house.client.sync(ONE).await, Err(StoreError::Failed)); // FDOPEN-1
            assert_eq!(house.client.sync(TWO).await, Ok(()));
        },
    );
}

#[test]
fn transfer_2_a_failed_write_spoils_its_scope_and_a_full_disk_does_not() {
    in_a_house(files_by_themselves, async |house| {
        let (object, client) = (name("v/1"), &house.client);
        client.sync(ONE).await.unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        house.replace(&object, full.into());
        assert_eq!(house.write(ONE, &object).await, Err(StoreError::NoSpace)); // F21
        house.engine.cache.remove(object.as_bytes());
        house.forget_what_is_dirty(ONE); // the device cannot be synced either
        assert_eq!(client.sync(ONE).await, Ok(()));
        house.replace(&object, File::open("/dev/null").unwrap().into());
        let failed = house.write(ONE, &object).await;
        assert_eq!(failed, Err(StoreError::Io(Errno::ROFS))); // F26, F39
        assert_eq!(client.sync(ONE).await, Err(StoreError::Failed)); // TRANSFER-2
    });
}

#[test]
fn a_failed_read_is_told_and_spoils_nothing() {
    in_a_house(files_by_themselves, async |house| {
        let unreadable = OpenOptions::new().write(true).open("/dev/null").unwrap();
        house.replace(&name("v/1"), unreadable.into());
        house.write(ONE, &name("v/2")).await.unwrap();
        let read = house.client.read(&name("v/1"), 0, &mut [0; 10]).await;
        assert!(matches!(read, Err(StoreError::Io(_))), "{read:?}"); // F25
        assert_eq!(
            house.client.read(&name("v/2"), 0, &mut [0; 10]).await,
            Ok(10)
        );
        assert_eq!(house.client.sync(ONE).await, Ok(()));
    });
}

#[test]
fn copy_1_a_copy_that_fails_leaves_everything_as_it_was() {
    in_a_house(files_by_themselves, async |house| {
        let (from, to) = (name("v/1"), name("v/2"));
        house.write(ONE, &from).await.unwrap();
        house.client.write_full(&to, b"before").await.unwrap();
        let unreadable = house.home.path().join("unreadable");
        std::fs::write(&unreadable, [1; 100]).unwrap();
        let unreadable = OpenOptions::new().write(true).open(unreadable).unwrap();
        house.replace(&from, unreadable.into());
        let copied = house.client.copy(TWO, &from, &to, 100).await;
        assert!(matches!(copied, Err(StoreError::Io(_))), "{copied:?}"); // COPY-1, F23
        let mut data = [0; 10];
        let read = house.client.read(&to, 0, &mut data).await;
        assert_eq!((read, &data[..6]), (Ok(6), &b"before"[..]));
        let left = std::fs::read_dir(house.home.path().join("tmp")).unwrap();
        assert_eq!(left.count(), 1, "the incarnation's lock");
    });
}

#[test]
fn when_descriptors_run_out_idle_files_are_closed_and_it_is_tried_again() {
    in_a_house(files_by_themselves, async |house| {
        for number in 0..6 {
            house
                .write(ONE, &name(&format!("v/{number}")))
                .await
                .unwrap();
        }
        let before = house.engine.cache.len();
        let tries = std::sync::Arc::new(AtomicUsize::new(0));
        let done = house.engine.blocking_with_descriptors(move |_| {
            if tries.fetch_add(1, Ordering::Relaxed) < 1 {
                return Err(StoreError::Io(Errno::MFILE)); // F24
            }
            Ok(7)
        });
        assert_eq!(done.await, Ok(7));
        assert_eq!(house.engine.cache.len(), before - 4);
        assert_eq!(house.client.sync(ONE).await, Ok(()));
    });
}

#[test]
fn durable_1_syncs_at_the_same_time_share_their_work() {
    in_a_house(files_by_themselves, async |house| {
        house.client.sync(ONE).await.unwrap();
        let done = Cell::new(0);
        for turn in 0..10_u64 {
            house
                .write(ONE, &name(&format!("v/{}", turn % 3)))
                .await
                .unwrap();
            let sync = async || {
                house.client.sync(ONE).await.unwrap();
                let plan = house.engine.ledger().plan(ONE); // DURABLE-1
                assert!(plan.files.is_empty() && plan.folders.is_empty());
                done.set(done.get() + 1);
            };
            archipelago_store::sim::join(sync(), sync()).await;
        }
        assert_eq!(done.get(), 20);
    });
}

#[test]
fn aligned_data_go_past_the_page_cache_and_others_through_it() {
    in_a_house(
        |options| options.direct = true,
        async |house| {
            let object = name("v/1");
            house
                .client
                .write(ONE, &object, 0, &[1; 4096])
                .await
                .unwrap();
            house
                .client
                .write(ONE, &object, 5000, &[2; 100])
                .await
                .unwrap();
            let file = house.engine.cache.find(b"v/1").unwrap();
            let Some(direct) = &file.direct else {
                return; // a file system without
            };
            assert!(!file.direct_failed.get());
            let flags = rustix::fs::fcntl_getfl(direct).unwrap();
            assert!(flags.contains(rustix::fs::OFlags::DIRECT));
            let mut data = [0; 8192];
            let read = house.client.read(&object, 0, &mut data).await;
            assert_eq!(read, Ok(5100));
            assert_eq!((data[4095], data[4999], data[5000]), (1, 0, 2));
        },
    );
}

/// NEWS-1, NEWS-3
#[test]
fn who_waits_for_a_lock_hears_of_what_others_do_with_it_and_nobody_else_does() {
    in_a_house(
        |_| {},
        async |house| {
            let (engine, lock) = (&house.engine, name("lock/1"));
            let owner = LockOwner {
                node: "n".into(),
                deployment: "d".into(),
            };
            let (news, locks) = (&engine.lock_news, &engine.root.locks);
            locks.take(&lock, &owner, 0).unwrap();
            let waiting = engine.watch_lock(&lock).await;
            drop(engine.watch_lock(&lock).await);
            assert_eq!((news.watched(), news.count()), (1, 0));
            locks.give_back(&lock, &owner).unwrap(); // behind the engine's back, as another node does
            while news.count() == 0 {
                news.told().await;
            }
            drop(waiting);
            assert_eq!(news.watched(), 0);
            drop(engine.watch_lock(&name("lock/2")).await); // which nobody has ever taken
            assert_eq!(news.watched(), 0);
        },
    );
}

/// NEWS-2
#[test]
fn who_hears_nothing_of_a_lock_gets_it_all_the_same() {
    in_a_house(
        |_| {},
        async |house| {
            let (engine, lock) = (house.engine.clone(), name("lock/1"));
            let owner = |deployment: &str| LockOwner {
                node: "n".into(),
                deployment: deployment.into(),
            };
            engine.lock_news.be_deaf();
            let first = engine.root.locks.take(&lock, &owner("a"), 0).unwrap();
            let (other, given) = (engine.clone(), lock.clone());
            let giver = engine.handle.spawn(async move {
                while !other.lock_news.is_anybody_waiting() {
                    other.handle.yield_now().await;
                }
                other.root.locks.give_back(&given, &first.owner).unwrap();
            });
            let taken = house.client.lock(&lock, &owner("b"), true).await;
            assert_eq!(taken.map(|record| record.owner), Ok(owner("b")));
            giver.await;
        },
    );
}
