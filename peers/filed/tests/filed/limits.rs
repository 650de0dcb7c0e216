//! What runs out: room for files, descriptors. Limits are of a process, so each test is in a process of its own.

use std::process::Command;

use archipelago_runtime::{Signal, block_signals};
use archipelago_store::{Scope, Store, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::house::{House, home, name, on_one_reactor, options};

const CHILD_VARIABLE: &str = "FILED_TEST_LIMITS";
const SCOPE: Scope = Scope(1);

/// Runs `body` in a process of its own: the present test, alone.
fn in_a_process_of_its_own(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return body();
    }
    let child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD_VARIABLE, "1")
        .output()
        .expect("the test can start itself");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
}

fn limit(resource: Resource, current: u64) {
    let maximum = getrlimit(resource).maximum;
    let limit = Rlimit {
        current: Some(current),
        maximum,
    };
    setrlimit(resource, limit).expect("it may be lowered");
}

async fn expect_all_to_be_refused(house: &House) {
    let (client, full) = (&house.client, StoreError::NoSpace);
    let large = vec![1; 600_000]; // more than two steps of a long write (STEP-1)
    let refused = client.write(SCOPE, &name("v/1"), 60_000, &large).await;
    assert_eq!(refused, Err(full.clone())); // F21, F22
    let refused = client.write(SCOPE, &name("v/new"), 1 << 20, b"x").await;
    assert_eq!(refused, Err(full.clone()));
    assert_eq!(
        client.write_full(&name("v/1"), &large).await,
        Err(full.clone())
    );
    let refused = client.create_exclusive(&name("v/3"), &large).await;
    assert_eq!(refused, Err(full.clone()));
    for reserve in [false, true] {
        let refused = client.extend(SCOPE, &name("v/1"), 1 << 20, reserve).await;
        assert_eq!(refused, Err(full.clone()));
    }
    let refused = client
        .copy(SCOPE, &name("v/large"), &name("v/4"), 1 << 20)
        .await;
    assert_eq!(refused, Err(full)); // F23
}

#[test]
fn a_full_store_goes_on_with_what_needs_no_room() {
    in_a_process_of_its_own(
        "limits::a_full_store_goes_on_with_what_needs_no_room",
        || {
            block_signals(&[Signal::XFSZ]).expect("any signal may be blocked");
            let home = home();
            on_one_reactor(&options(home.path()), async |house| {
                let client = &house.client;
                client
                    .write(SCOPE, &name("v/1"), 0, &[7; 50_000])
                    .await
                    .expect("there is room");
                let large = client
                    .write(SCOPE, &name("v/large"), 0, &[8; 300_000])
                    .await;
                large.expect("there is room");
                limit(Resource::Fsize, 65_536);
                expect_all_to_be_refused(house).await;
                let mut data = vec![0; 50_000];
                let read = client.read(&name("v/1"), 0, &mut data).await;
                assert_eq!(read, Ok(50_000), "reads go on");
                assert!(data.iter().all(|byte| *byte == 7), "nothing is damaged");
                for missing in ["v/3", "v/4"] {
                    let stat = client.stat(&name(missing)).await;
                    assert_eq!(stat, Err(StoreError::NotFound), "{missing}");
                }
                let over = client.write(SCOPE, &name("v/1"), 100, &[9; 4096]).await;
                assert_eq!(over, Ok(()), "overwrites go on");
                assert_eq!(client.sync(SCOPE).await, Ok(()), "no scope is spoilt");
                assert_eq!(
                    client.punch(SCOPE, &name("v/large"), 0, 300_000).await,
                    Ok(())
                );
                assert_eq!(client.delete(&name("v/large")).await, Ok(()));
                let left = std::fs::read_dir(home.path().join("tmp")).expect("it is there");
                assert_eq!(left.count(), 1, "nothing half made is left");
            });
        },
    );
}

#[test]
fn when_descriptors_run_out_files_are_closed() {
    in_a_process_of_its_own("limits::when_descriptors_run_out_files_are_closed", || {
        let home = home();
        on_one_reactor(&options(home.path()), async |house| {
            let client = &house.client;
            client
                .write(SCOPE, &name("v/first"), 0, b"x")
                .await
                .expect("there is room");
            let open = std::fs::read_dir("/proc/self/fd")
                .expect("there is a /proc")
                .count();
            limit(Resource::Nofile, open as u64 + 6);
            for number in 0..40_u8 {
                let object = name(format!("v/{number}"));
                let written = client.write(SCOPE, &object, 0, &[number; 100]).await;
                assert_eq!(written, Ok(()), "object {number}"); // F24
                let made = client
                    .create_exclusive(&name(format!("w/{number}")), b"x")
                    .await;
                assert_eq!(made, Ok(()), "object {number}");
            }
            let copied = client.copy(SCOPE, &name("v/1"), &name("v/copy"), 9).await;
            assert_eq!(copied, Ok(9));
            assert_eq!(client.extend(SCOPE, &name("v/2"), 999, true).await, Ok(()));
            assert_eq!(client.sync(SCOPE).await, Ok(()));
            let listed = client
                .list(b"v", None, 100)
                .await
                .expect("a group can be listed");
            assert_eq!(listed.names.len(), 42);
        });
    });
}
