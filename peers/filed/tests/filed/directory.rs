//! What may lie in the directory that we have not put there, and what must hold for what we have.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use archipelago_filed::{Filed, FiledError};
use archipelago_store::{LockOwner, Scope, Store, StoreError};

use crate::house::{House, home, name, on_one_reactor, options, reactor, segment};

const SCOPE: Scope = Scope(1);

/// Every file and directory below, with itself.
fn walk(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_path_buf()];
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("it can be read") {
            found.extend(walk(&entry.expect("it can be read").path()));
        }
    }
    found
}

fn find(home: &Path, file: &str) -> PathBuf {
    let all = walk(home).into_iter();
    let mut named = all.filter(|path| path.file_name().is_some_and(|name| name == file));
    named.next().expect("it is there")
}

fn open(home: &Path, identity: Option<u128>) -> Result<u128, FiledError> {
    let reactor = reactor(&segment(), true);
    let handle = reactor.handle();
    let mut options = options(home);
    options.identity = identity;
    let served = Filed::serve(&handle, &handle.station(), &options);
    served.map(|(filed, _)| filed.identity())
}

async fn put(house: &House, object: &str, data: &[u8]) {
    let written = house.client.write(SCOPE, &name(object), 0, data).await;
    assert_eq!(written, Ok(()));
}

async fn names_in(house: &House, group: &[u8]) -> Vec<String> {
    let listed = house.client.list(group, None, 100).await;
    let names = listed.expect("a group can be listed").names;
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_directory_gets_an_identity_and_keeps_it() {
    let home = home();
    let uuid = open(home.path(), None).expect("it is empty");
    assert_eq!(open(home.path(), None).ok(), Some(uuid));
    assert_eq!(open(home.path(), Some(uuid)).ok(), Some(uuid));
    let other = tempfile::tempdir().expect("there is a temporary directory");
    assert_eq!(open(other.path(), Some(42)).ok(), Some(42));
}

#[test]
fn identity_1_another_store_than_expected_is_refused() {
    let home = home();
    let uuid = open(home.path(), None).expect("it is empty");
    let other = open(home.path(), Some(uuid ^ 1)).expect_err("F98");
    assert!(matches!(other, FiledError::OtherStore { .. }), "{other}");
    let identity = home.path().join("archipelago");
    let text = fs::read(&identity).expect("it is there");
    fs::write(&identity, &text[..text.len() / 2]).expect("it can be cut");
    let damaged = open(home.path(), None).expect_err("half an identity is none");
    assert!(
        matches!(damaged, FiledError::BadIdentity { .. }),
        "{damaged}"
    );
    fs::remove_file(&identity).expect("it can be removed");
    symlink("/etc/passwd", &identity).expect("it can be made");
    assert!(open(home.path(), None).is_err(), "IDENTITY-1, F96");
}

#[test]
fn identity_1_objects_without_an_identity_are_refused() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        put(house, "a/b", b"x").await;
    });
    fs::remove_file(home.path().join("archipelago")).expect("it is there");
    let refused = open(home.path(), None).expect_err("F43");
    assert!(
        matches!(refused, FiledError::NoIdentity { .. }),
        "{refused}"
    );
    let nowhere = open(&home.path().join("nowhere"), None).expect_err("it is not there");
    assert!(nowhere.to_string().contains("nowhere"), "{nowhere}");
}

#[test]
fn a_directory_that_disappears_is_a_failure_and_not_an_absence() {
    let home = home();
    let path = home.path().join("store");
    fs::create_dir(&path).expect("it can be made");
    on_one_reactor(&options(&path), async |house| {
        put(house, "a/b", b"x").await;
        fs::remove_dir_all(&path).expect("it can be removed");
        let gone = |result: Result<(), StoreError>| {
            assert!(matches!(result, Err(StoreError::Io(_))), "{result:?}");
        };
        gone(house.client.stat(&name("a/c")).await.map(drop)); // FOLDER-2, F43
        gone(house.client.read(&name("a/c"), 0, &mut [0]).await.map(drop));
        gone(house.client.list(b"a", None, 9).await.map(drop));
        gone(house.client.groups().await.map(drop));
        gone(house.client.delete(&name("a/b")).await);
        gone(house.client.create_exclusive(&name("a/d"), b"").await);
        gone(house.client.lock_owner(&name("l")).await.map(drop));
    });
}

#[test]
fn beneath_1_symbolic_links_lead_nowhere() {
    let (home, elsewhere) = (
        home(),
        tempfile::tempdir().expect("there is a temporary directory"),
    );
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, b"secret").expect("it can be written");
    on_one_reactor(&options(home.path()), async |house| {
        put(house, "a/real", b"real").await;
        let file = find(home.path(), "a+real");
        let folder = file.parent().expect("it lies in one");
        symlink(&secret, folder.join("a+link")).expect("it can be made");
        let (client, link) = (&house.client, name("a/link"));
        let failed = |result: Result<(), StoreError>| {
            assert!(matches!(result, Err(StoreError::Io(_))), "{result:?}");
        };
        failed(client.read(&link, 0, &mut [0; 6]).await.map(drop)); // BENEATH-1, F96
        failed(client.write(SCOPE, &link, 0, b"overwritten").await);
        failed(client.punch(Scope(2), &link, 0, 3).await);
        failed(client.stat(&link).await.map(drop));
        failed(client.hash(&link).await.map(drop));
        failed(
            client
                .copy(Scope(3), &link, &name("a/copy"), 6)
                .await
                .map(drop),
        );
        assert!(client.create_exclusive(&link, b"x").await.is_err());
        assert_eq!(names_in(house, b"a").await, ["a/real"]); // LISTING-1
        assert_eq!(client.delete(&link).await, Err(StoreError::NotFound));
        // Replacing an object replaces the link, not what it leads to.
        assert_eq!(client.write_full(&link, b"mine").await, Ok(()));
        assert_eq!(fs::read(&secret).expect("it is there"), b"secret");
        // A directory on the way that is a link: nothing is found there, nor put there.
        let outer = folder.parent().expect("it lies in one");
        fs::rename(outer, home.path().join("moved")).expect("it can be moved");
        symlink(elsewhere.path(), outer).expect("it can be made");
        failed(client.stat(&name("a/other")).await.map(drop));
        failed(client.create_exclusive(&name("a/new"), b"x").await);
        assert_eq!(
            fs::read_dir(elsewhere.path()).expect("it is there").count(),
            1
        );
    });
}

#[test]
fn listing_1_foreign_files_are_not_listed_and_not_touched() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        put(house, "a/real", b"real").await;
        let file = find(home.path(), "a+real");
        let folder = file.parent().expect("it lies in one").to_path_buf();
        let foreign = ["README", ".hidden", "a+%zz", "a+x~", "%%short", "a+b%2f"];
        for file in foreign {
            fs::write(folder.join(file), b"foreign").expect("it can be written");
        }
        fs::create_dir(folder.join("a+directory")).expect("it can be made");
        let fifo = folder.join("a+fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let made = rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0);
        made.expect("it can be made");
        fs::write(home.path().join("objects/notes.txt"), b"foreign").expect("it can be written");

        assert_eq!(names_in(house, b"a").await, ["a/real"]); // LISTING-1, F100
        // One of them is an object by its name: of the group that nothing stands before.
        assert_eq!(house.client.groups().await, Ok(vec![b"a".to_vec()]));
        for object in ["a/fifo", "a/directory"] {
            let (client, object) = (&house.client, name(object));
            let read = client.read(&object, 0, &mut [0]).await;
            assert!(matches!(read, Err(StoreError::Io(_))), "{read:?}");
            let written = client.write(Scope(2), &object, 0, b"x").await;
            assert!(matches!(written, Err(StoreError::Io(_))), "{written:?}");
            assert!(client.create_exclusive(&object, b"x").await.is_err());
            assert_eq!(client.delete(&object).await, Err(StoreError::NotFound));
        }
        for file in foreign {
            let kept = fs::read(folder.join(file)).expect("it is there");
            assert_eq!(kept, b"foreign");
        }
        let kind = fs::symlink_metadata(&fifo)
            .expect("it is there")
            .file_type();
        assert!(kind.is_fifo());
    });
}

#[test]
fn beneath_2_modes_do_not_depend_on_the_umask() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let client = &house.client;
        put(house, "a/b", b"x").await;
        client
            .create_exclusive(&name("a/c"), b"x")
            .await
            .expect("it is not there");
        client
            .write_full(&name("a/d"), &[1; 100_000])
            .await
            .expect("there is room");
        client
            .copy(SCOPE, &name("a/b"), &name("a/e"), 1)
            .await
            .expect("it is there");
        put(house, &"long".repeat(63), b"x").await;
        let owner = LockOwner {
            node: "n".into(),
            deployment: "d".into(),
        };
        client
            .lock(&name("l"), &owner, false)
            .await
            .expect("it is free");
        for path in walk(home.path()).iter().skip(1) {
            let metadata = fs::symlink_metadata(path).expect("it is there");
            let mode = metadata.permissions().mode() & 0o7777;
            let expected = if metadata.is_dir() { 0o770 } else { 0o660 };
            assert_eq!(mode, expected, "{} has {mode:o}", path.display()); // BENEATH-2
        }
    });
}

#[test]
fn temporary_2_what_a_dead_incarnation_left_is_cleared_away() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        put(house, "a/b", b"x").await;
    });
    let temporary = home.path().join("tmp");
    let dead = "0123456789abcdef0123456789abcdef";
    for file in [".lock", ".1", ".77"] {
        fs::write(temporary.join(format!("{dead}{file}")), b"half").expect("it can be written");
    }
    let unlocked = format!("{}.1", "f".repeat(32));
    fs::write(temporary.join(&unlocked), b"young").expect("it can be written");
    fs::write(temporary.join("foreign"), b"foreign").expect("it can be written");
    on_one_reactor(&options(home.path()), async |_| {
        let mut left: Vec<String> = walk(&temporary)
            .iter()
            .skip(1)
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|file| !file.ends_with(".lock"))
            .collect();
        left.sort();
        assert_eq!(left, [unlocked, "foreign".into()]); // TEMPORARY-2, F100
    });
}

#[test]
fn temporary_1_what_a_living_incarnation_makes_is_left_alone() {
    let home = home();
    on_one_reactor(&options(home.path()), async |first| {
        let temporary = home.path().join("tmp");
        let locks = walk(&temporary).into_iter();
        let mut lock = locks.filter(|path| path.extension().is_some_and(|end| end == "lock"));
        let lock = lock.next_back().expect("an incarnation has its lock");
        let half = lock.with_extension("1");
        fs::write(&half, b"being made").expect("it can be written");
        open(home.path(), None).expect("another node may use the directory as well");
        assert!(half.exists(), "TEMPORARY-1");
        put(first, "a/b", b"goes on").await;
    });
}

#[test]
fn long_names_lie_beside_their_objects() {
    let home = home();
    let long = format!("group/{}", "%".repeat(200));
    on_one_reactor(&options(home.path()), async |house| {
        put(house, &long, b"x").await;
    });
    on_one_reactor(&options(home.path()), async |house| {
        assert_eq!(names_in(house, b"group").await, [long.as_str()]);
        let hash = blake3::hash(long.as_bytes()).to_hex();
        let sidecar = find(home.path(), &format!("%%{hash}.name"));
        assert_eq!(fs::read(&sidecar).expect("it is there"), long.as_bytes());
        fs::write(&sidecar, b"another/name").expect("it can be written");
        assert!(
            names_in(house, b"group").await.is_empty(),
            "never a wrong name"
        );
        let replaced = house.client.write_full(&name(&long), b"y").await;
        assert_eq!(replaced, Ok(()));
        assert_eq!(names_in(house, b"group").await, [long.as_str()]);
        house
            .client
            .delete(&name(&long))
            .await
            .expect("it is there");
        assert!(!sidecar.exists());
    });
}

#[test]
fn a_damaged_lock_is_refused_until_it_is_broken() {
    let (home, owner) = (home(), |who: &str| LockOwner {
        node: "n".into(),
        deployment: who.into(),
    });
    on_one_reactor(&options(home.path()), async |house| {
        let (client, volume) = (&house.client, name("lock/1"));
        let first = client
            .lock(&volume, &owner("a"), false)
            .await
            .expect("it is free");
        let state = find(home.path(), &format!("{:020}", first.token));
        fs::write(&state, b"").expect("it can be cut"); // F53
        let refused = client.lock(&volume, &owner("a"), false).await;
        assert!(matches!(&refused, Err(StoreError::Locked { owner }) if owner.contains("unknown")));
        let holder = client.lock_owner(&volume).await.expect("the store works");
        assert!(holder.is_some_and(|holder| holder.owner.node == "unknown"));
        assert_eq!(client.unlock(&volume, &owner("b"), true).await, Ok(()));
        let next = client
            .lock(&volume, &owner("b"), false)
            .await
            .expect("it was broken");
        assert!(next.token > first.token);
    });
}

#[test]
fn nothing_is_left_in_tmp_whatever_came_of_it() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let client = &house.client;
        for _ in 0..2 {
            let _ = client.create_exclusive(&name("a/b"), &[1; 100_000]).await;
            let _ = client.create_exclusive(&name("a/c"), b"small").await;
        }
        client
            .write_full(&name("a/b"), b"x")
            .await
            .expect("there is room");
        let _ = client.copy(SCOPE, &name("a/b"), &name("a/d"), 1).await;
        let _ = client
            .copy(SCOPE, &name("a/missing"), &name("a/d"), 1)
            .await;
        let files = walk(&home.path().join("tmp"));
        assert_eq!(files.len(), 2, "the directory and the lock: {files:?}");
        let links = find(home.path(), "a+b")
            .metadata()
            .expect("it is there")
            .nlink();
        assert_eq!(links, 1);
    });
}

#[test]
fn a_lock_is_one_for_all_who_share_the_directory() {
    let (home, locks) = (
        home(),
        tempfile::tempdir().expect("there is a temporary directory"),
    );
    let mut options = options(home.path());
    options.lock_dir = Some(locks.path().into());
    let owner = |who: &str| LockOwner {
        node: who.into(),
        deployment: "d".into(),
    };
    let volume = name("lock/1");
    on_one_reactor(&options, async |house| {
        let first = house.client.lock(&volume, &owner("a"), false).await;
        let first = first.expect("it is free");
        let (theirs, other) = (options.clone(), volume.clone());
        let (is_refused, refusal) = std::sync::mpsc::channel();
        // Another node, which looks now and then.
        let node = std::thread::spawn(move || {
            on_one_reactor(&theirs, async |house| {
                let refused = house.client.lock(&other, &owner("b"), false).await;
                assert!(matches!(refused, Err(StoreError::Locked { .. })));
                is_refused.send(()).expect("somebody waits for it");
                let taken = house.client.lock(&other, &owner("b"), true).await;
                taken.expect("it is given back").token
            })
        });
        let refused = house.handle.blocking(move || refusal.recv()).await;
        refused.expect("it ends well");
        house
            .handle
            .sleep(std::time::Duration::from_millis(50))
            .await;
        let given = house.client.unlock(&volume, &owner("a"), false).await;
        assert_eq!(given, Ok(()));
        let token = house.handle.blocking(move || node.join()).await;
        assert!(token.expect("it ends well") > first.token);
        assert!(!home.path().join("locks").exists());
    });
}
