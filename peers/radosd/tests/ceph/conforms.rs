//! A store in a pool passes the suite: on one reactor with its client, and on another thread.

use archipelago_store::conformance::Check;
use archipelago_store::{OBJECT_BYTES_LEAST, Scope, Store, StoreError};

use crate::house::{cluster, name, on_one_reactor, on_two_threads, options};

#[test]
fn a_store_in_a_pool_passes_the_suite() {
    let cluster = cluster();
    for check in Check::all().filter(|check| !check.needs_long_objects()) {
        println!("{}", check.name);
        let mut here = options(&cluster, check.name);
        here.index_parts = 1;
        on_one_reactor(&here, async |house| check.start(&house.client).await);
        // Its hundreds of listings of hundreds of names take their time.
        if check.name == "every_byte_can_be_in_a_name" {
            continue;
        }
        let mut there = options(&cluster, &format!("{}-there", check.name));
        there.index_parts = 16;
        on_two_threads(&there, async |client| check.start(client).await);
    }
    an_object_has_the_length_that_ceph_allows(&options(&cluster, "long"));
}

fn an_object_has_the_length_that_ceph_allows(options: &archipelago_radosd::RadosdOptions) {
    on_one_reactor(options, async |house| {
        let (client, object) = (&house.client, name("v/1/long"));
        let written = client.write(Scope(1), &object, 0, b"kept").await;
        assert_eq!(written, Ok(()));
        let refused = client.write(Scope(1), &object, 1 << 40, b"far").await;
        assert_eq!(refused, Err(StoreError::NoSpace));
        let refused = client.extend(Scope(1), &object, 1 << 40, true).await;
        assert_eq!(refused, Err(StoreError::NoSpace));
        assert_eq!(client.sync(Scope(1)).await, Ok(()), "no scope is spoilt");
        let extended = client.extend(Scope(1), &object, OBJECT_BYTES_LEAST, true);
        assert_eq!(extended.await, Ok(()));
    });
}
