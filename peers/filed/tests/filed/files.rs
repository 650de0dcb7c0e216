//! Open files: few of them, stale ones, direct ones.

use std::fs;

use archipelago_store::{Scope, Store, StoreError};

use crate::house::{home, name, on_one_reactor, options};

/// The descriptors of this process that lead below a directory, other than to directories themselves.
fn open_objects(home: &std::path::Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("there is a /proc");
    let targets = descriptors.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let objects = home.join("objects");
    targets
        .filter(|target| target.starts_with(&objects) && *target != objects)
        .count()
}

#[test]
fn fdopen_1_files_are_closed_when_there_are_too_many_and_nothing_is_lost() {
    let home = home();
    let mut options = options(home.path());
    options.fdcache = 4;
    on_one_reactor(&options, async |house| {
        let client = &house.client;
        client.sync(Scope(1)).await.expect("the disk works");
        for number in 0..40_u8 {
            let object = name(format!("v/{number}"));
            let written = client.write(Scope(1), &object, 0, &[number; 5000]).await;
            assert_eq!(written, Ok(())); // FDOPEN-1: those that are closed were synced
            assert!(
                open_objects(home.path()) <= 6,
                "{}",
                open_objects(home.path())
            );
        }
        client.sync(Scope(1)).await.expect("the disk works");
        for number in 0..40_u8 {
            let mut data = [0; 5000];
            let read = client
                .read(&name(format!("v/{number}")), 0, &mut data)
                .await;
            assert_eq!((read, data), (Ok(5000), [number; 5000]));
        }
    });
}

#[test]
fn deleted_and_replaced_files_are_closed_at_once() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let client = &house.client;
        for number in 0..30 {
            let object = name(format!("v/{number}"));
            client
                .write(Scope(1), &object, 0, b"x")
                .await
                .expect("there is room");
            match number % 3 {
                0 => client.delete(&object).await.expect("it is there"),
                1 => client
                    .write_full(&object, b"y")
                    .await
                    .expect("there is room"),
                _ => {
                    let copied = client.copy(Scope(1), &object, &name("v/copy"), 1).await;
                    assert_eq!(copied, Ok(1));
                }
            }
        }
        // Ten sources of copies, and the copy; what it replaced is kept until the scope is synced.
        client.sync(Scope(1)).await.expect("the disk works");
        assert_eq!(open_objects(home.path()), 11);
    });
}

#[test]
fn fdopen_2_reads_that_overlap_with_replacements_see_the_old_or_the_new() {
    let home = home();
    let mut options = options(home.path());
    options.fdcache = 1; // each read opens anew
    on_one_reactor(&options, async |house| {
        let object = name("v/1");
        house
            .client
            .write_full(&object, &[0; 3000])
            .await
            .expect("there is room");
        let (client, other) = (house.client.clone(), house.client.clone());
        let writer = house.handle.spawn(async move {
            for turn in 1..60_u8 {
                client
                    .write_full(&name("v/1"), &[turn; 3000])
                    .await
                    .expect("there is room");
                let mut data = [0; 3000];
                let read = client.read(&name("v/1"), 0, &mut data).await;
                assert_eq!((read, data), (Ok(3000), [turn; 3000])); // FDOPEN-2
            }
        });
        let reader = house.handle.spawn(async move {
            let mut last = 0;
            while last < 59 {
                let mut data = [0; 3000];
                let read = other.read(&name("v/1"), 0, &mut data).await;
                assert_eq!(read, Ok(3000));
                assert!(data.iter().all(|byte| *byte == data[0]), "torn"); // MAKE-1
                assert!(data[0] >= last, "back to {} from {last}", data[0]);
                last = data[0];
                let _ = other.stat(&name("v/2")).await;
            }
        });
        writer.await;
        reader.await;
    });
}

#[test]
fn direct_and_buffered_writes_of_one_object_do_not_undo_each_other() {
    let home = home();
    let mut options = options(home.path());
    options.direct = true;
    on_one_reactor(&options, async |house| {
        let mut tasks = Vec::new();
        // Whole pages go past the cache, the bytes between them through it.
        for page in 0..16_u64 {
            let client = house.client.clone();
            tasks.push(house.handle.spawn(async move {
                for turn in 0..5 {
                    let object = name("v/1");
                    let written = if page % 2 == 0 {
                        client
                            .write(Scope(1), &object, page * 4096, &[turn; 4096])
                            .await
                    } else {
                        client
                            .write(Scope(1), &object, page * 4096 + 100, &[turn; 3000])
                            .await
                    };
                    assert_eq!(written, Ok(()));
                }
            }));
        }
        for task in tasks {
            task.await;
        }
        let mut data = vec![0; 16 * 4096];
        let read = house.client.read(&name("v/1"), 0, &mut data).await;
        assert!(read.is_ok_and(|count| count >= 15 * 4096 + 3100));
        for (page, bytes) in data.chunks(4096).enumerate() {
            let (from, to) = if page % 2 == 0 {
                (0, 4096)
            } else {
                (100, 3100)
            };
            assert!(bytes[from..to].iter().all(|byte| *byte == 4), "page {page}"); // MODE-1
        }
        house.client.sync(Scope(1)).await.expect("the disk works");
    });
}

#[test]
fn change_1_an_object_that_is_written_and_extended_at_once_gets_as_long_as_both() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        for turn in 0..20_u64 {
            let object = name(format!("v/{turn}"));
            let (client, other) = (house.client.clone(), house.client.clone());
            let (one, two) = (object.clone(), object.clone());
            let writer = house
                .handle
                .spawn(async move { client.write(Scope(1), &one, 50_000, b"end").await });
            let extender = house.handle.spawn(async move {
                let size = if turn % 2 == 0 { 100 } else { 50_002 };
                other.extend(Scope(1), &two, size, turn % 4 == 0).await
            });
            assert_eq!((writer.await, extender.await), (Ok(()), Ok(())));
            let mut data = [0; 10];
            let read = house.client.read(&object, 49_998, &mut data).await;
            assert_eq!((read, &data[..5]), (Ok(5), &b"\0\0end"[..])); // CHANGE-1
        }
    });
}

#[test]
fn objects_outlive_their_blocker() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let client = &house.client;
        client
            .write(Scope(1), &name("v/1"), 0, b"kept")
            .await
            .expect("there is room");
        client
            .copy(Scope(1), &name("v/1"), &name("v/2"), 9)
            .await
            .expect("it is there");
        client.delete(&name("v/1")).await.expect("it is there");
    });
    on_one_reactor(&options(home.path()), async |house| {
        let mut data = [0; 9];
        let read = house.client.read(&name("v/2"), 0, &mut data).await;
        assert_eq!((read, &data[..4]), (Ok(4), &b"kept"[..]));
        let missing = house.client.stat(&name("v/1")).await;
        assert_eq!(missing, Err(StoreError::NotFound));
    });
}
