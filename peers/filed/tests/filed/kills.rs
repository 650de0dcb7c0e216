//! A blocker that is killed again and again: its clients notice nothing but a pause (D1, S8).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archipelago_filed::{Filed, FiledOptions};
use archipelago_runtime::{Reactor, ReactorOptions};
use archipelago_store::sim::SimRandom;
use archipelago_store::{BlockerClient, LockOwner, Scope, Store, StoreError};
use xseg::{BindOptions, CreateOptions, Geometry, JoinOptions, Place, Port, PortError, Segment};

use crate::house::{client, home, name};

const STORE_VARIABLE: &str = "FILED_TEST_STORE";
const KILLS: usize = 12;
const ROUNDS_MIN: u64 = 40;
/// Longer than a step of a write (STEP-1).
const WRITE_BYTES: usize = 300_000;
const SCOPE: Scope = Scope(1);

fn bind(segment: &Segment) -> Port {
    loop {
        match segment.bind(0, &BindOptions::default()) {
            Ok(port) => return port,
            Err(PortError::Alive { .. } | PortError::Draining { .. }) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the child does: nothing in an ordinary run of the tests.
#[test]
fn child_that_serves_until_it_is_killed() {
    let Some(home) = std::env::var_os(STORE_VARIABLE) else {
        return;
    };
    let home = Path::new(&home);
    let place = Place::within(home, "segment").expect("a valid name");
    let segment = JoinOptions::new().join(&place).expect("the parent made it");
    let reactor = Reactor::new(bind(&segment), &ReactorOptions::default());
    let reactor = reactor.expect("the kernel gives what it takes");
    let handle = reactor.handle();
    let options = FiledOptions::new(home.join("store"));
    let served = Filed::serve(&handle, &handle.station(), &options);
    let _served = served.expect("the store can be opened");
    reactor.block_on(std::future::pending::<()>());
}

fn start(home: &Path) -> Child {
    Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "kills::child_that_serves_until_it_is_killed"])
        .env(STORE_VARIABLE, home)
        .stdout(Stdio::null())
        .spawn()
        .expect("the test can start itself")
}

/// One round of everything: nothing of it may fail, or be done twice.
async fn work(client: &BlockerClient, round: u64) {
    let (fresh, page) = (name(format!("head/{round}")), [round as u8; 5000]);
    let made = client.create_exclusive(&fresh, &page).await;
    assert_eq!(made, Ok(()), "round {round}: made exactly once"); // MAKE-2
    let again = client.create_exclusive(&fresh, b"again").await;
    assert_eq!(again, Err(StoreError::Exists));
    let (place, data) = (name("v/1"), vec![round as u8; WRITE_BYTES]);
    assert_eq!(
        client.write(SCOPE, &place, 4096 * (round % 7), &data).await,
        Ok(())
    );
    assert_eq!(client.sync(SCOPE).await, Ok(()));
    let mut read = vec![0; WRITE_BYTES];
    let count = client.read(&place, 4096 * (round % 7), &mut read).await;
    assert_eq!(count, Ok(WRITE_BYTES));
    assert!(read == data, "round {round}: what was answered is there"); // STORE-1
    assert_eq!(client.write_full(&name("full"), &page).await, Ok(()));
    let old = name(format!("head/{}", round.saturating_sub(10)));
    if round >= 10 {
        assert_eq!(client.delete(&old).await, Ok(()), "round {round}");
    }
    let owner = LockOwner {
        node: "n".into(),
        deployment: round.to_string(),
    };
    let lock = name("lock/1");
    let taken = client.lock(&lock, &owner, true).await;
    assert!(taken.is_ok(), "round {round}: {taken:?}");
    assert_eq!(client.unlock(&lock, &owner, false).await, Ok(()));
}

#[test]
fn a_blocker_that_is_killed_again_and_again_loses_nothing() {
    let home = home();
    std::fs::create_dir(home.path().join("store")).expect("it can be made");
    let geometry = Geometry::new(4, 1, 64)
        .and_then(|geometry| geometry.with_buffers(4096, 8))
        .and_then(|geometry| geometry.with_buffers(1 << 19, 8));
    let place = Place::within(home.path(), "segment").expect("a valid name");
    let created = CreateOptions::new(geometry.expect("it can be")).create(&place);
    let segment = created.expect("there is room");
    let enough = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let killer = threads.spawn(|| {
            let mut random = SimRandom::new(7);
            let mut child = start(home.path());
            for _ in 0..KILLS {
                std::thread::sleep(Duration::from_millis(20 + random.below(60)));
                child.kill().expect("it is ours");
                child.wait().expect("it ends");
                child = start(home.path());
            }
            enough.store(true, Ordering::Relaxed); // nothing else is told by it
            child
        });
        let port = segment.bind_dynamic(&BindOptions::default());
        let reactor = Reactor::new(port.expect("a port is free"), &ReactorOptions::default());
        let reactor = reactor.expect("the kernel gives what it takes");
        let station = reactor.handle().station();
        // The first request finds the port bound, or nobody.
        while reactor_is_alone(&segment) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let client = client(&station, &segment);
        reactor.block_on(async {
            let mut round = 0;
            while round < ROUNDS_MIN || !enough.load(Ordering::Relaxed) {
                work(&client, round).await;
                round += 1;
            }
            let left = client.list(b"head", None, 100).await;
            let left = left.expect("a group can be listed").names;
            assert_eq!(left.len(), 10, "{left:?}");
            let temporary = std::fs::read_dir(home.path().join("store/tmp"));
            assert_eq!(
                temporary.expect("it is there").count(),
                1,
                "what the dead left is gone"
            );
        });
        let mut child = killer.join().expect("it ends well");
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    });
}

/// Nobody has bound the blocker's port yet.
fn reactor_is_alone(segment: &Segment) -> bool {
    let Ok(probe) = segment.bind_dynamic(&BindOptions::default()) else {
        return true;
    };
    let blocker = segment.geometry().port(0).expect("it has that port");
    let ping = probe.draft(xseg::OpCode::PING);
    ping.is_ok_and(|ping| ping.send(blocker).is_err())
}
