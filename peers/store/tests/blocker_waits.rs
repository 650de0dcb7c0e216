//! Requests that wait at a blocker, and for buffers: they hold nothing up, and all of them are answered in the end.

use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{CallError, Handle, Reactor, ReactorOptions, Service, Station, Task};
use archipelago_store::peer::StorePeer;
use archipelago_store::wire::{Call, encode_owner};
use archipelago_store::{BlockerClient, LockOwner, MemStore, ObjectName, Scope, Store, StoreError};
use xseg::{BindOptions, CreateOptions, Errno, Geometry, PortId};

struct House {
    handle: Handle,
    service: Service,
    peer: Rc<StorePeer<MemStore>>,
    blocker: PortId,
    station: Rc<Station>,
    client: BlockerClient,
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).expect("a valid name")
}

fn owner(deployment: &str) -> LockOwner {
    LockOwner {
        node: "node".into(),
        deployment: deployment.into(),
    }
}

/// Runs the test in a house whose blocker handles two requests at a time.
fn in_a_house(test: impl AsyncFnOnce(&House)) {
    let geometry = Geometry::new(4, 2, 64).and_then(|geometry| geometry.with_buffers(4096, 32));
    in_a_house_of(geometry.expect("a geometry that can be"), test);
}

fn in_a_house_of(geometry: Geometry, test: impl AsyncFnOnce(&House)) {
    let segment = CreateOptions::new(geometry)
        .create_private()
        .expect("there is memory for it");
    let options = BindOptions::default();
    let port = segment.bind(0, &options).expect("the port is free");
    let reactor = Reactor::new(port, &ReactorOptions::default()).expect("the kernel has a ring");
    let handle = reactor.handle();
    let peer = Rc::new(StorePeer::new(&handle, MemStore::new()));
    let service = handle.serve(&handle.station(), 2, peer.clone());
    let port = segment.bind_dynamic(&options).expect("a port is free");
    let station = handle.add_port(port).expect("of the same segment");
    let blocker = handle.station().id();
    let house = House {
        client: BlockerClient::new(station.clone(), blocker).expect("there are buffers"),
        handle,
        service,
        peer,
        blocker,
        station,
    };
    reactor.block_on(async {
        test(&house).await;
        house.peer.close();
        house.service.drain().await;
    });
}

impl House {
    /// A task that waits for the lock.
    fn wait_for(&self, lock: &'static str, who: &'static str) -> Task<bool> {
        let client = self.client.clone();
        self.handle.spawn(async move {
            let taken = client.lock(&name(lock), &owner(who), true).await;
            taken.is_ok()
        })
    }

    /// Until so many requests are at the blocker.
    async fn until_inflight(&self, count: u32) {
        while self.service.inflight() != count {
            self.handle.sleep(Duration::from_millis(1)).await;
        }
    }

    /// What a lock request is answered with that has a deadline.
    async fn lock_within(&self, deadline: Duration) -> Result<Result<u64, Errno>, CallError> {
        let call = Call::Lock {
            name: name("l"),
            since: 0,
            wait: true,
        };
        let head = call.head();
        let buffer = self.station.buffer(4096).await?;
        let owner = encode_owner(&owner("late")).expect("a valid owner");
        buffer.data().write(0, &owner)?;
        let mut draft = self.station.draft(head.op).await?;
        head.put(&mut draft)?;
        draft.attach(buffer, 4096)?;
        draft.set_deadline_ns(self.handle.after_ns(deadline));
        Ok(self.station.call(draft, self.blocker).await?.result())
    }
}

#[test]
fn waiting_1_those_who_wait_hold_nobody_up() {
    in_a_house(async |house| {
        let (client, lock) = (&house.client, name("l"));
        client
            .lock(&lock, &owner("first"), false)
            .await
            .expect("it is free");
        let who = ["a", "b", "c", "d", "e"];
        let waiting: Vec<Task<bool>> = who.map(|who| house.wait_for("l", who)).into();
        house.until_inflight(5).await; // more than are handled at a time: WAITING-1
        let written = client.write(Scope(1), &name("v/1"), 0, b"goes on").await;
        assert_eq!(written, Ok(()));
        client
            .unlock(&lock, &owner("first"), false)
            .await
            .expect("it is held");
        // Each gets it when the one before has given it back.
        while house.service.inflight() > 0 {
            if let Ok(Some(holder)) = client.lock_owner(&lock).await {
                let _ = client.unlock(&lock, &holder.owner, false).await;
            }
            house.handle.yield_now().await;
        }
        for task in waiting {
            assert!(task.await);
        }
    });
}

#[test]
fn waiting_2_a_wait_that_is_given_up_is_called_off() {
    in_a_house(async |house| {
        let lock = name("l");
        let first = house.client.lock(&lock, &owner("first"), false).await;
        let first = first.expect("it is free");
        house.wait_for("l", "second").abort();
        let waiting = house.wait_for("l", "third");
        house.until_inflight(1).await;
        waiting.abort();
        house.until_inflight(0).await; // WAITING-2
        house
            .client
            .unlock(&lock, &owner("first"), false)
            .await
            .expect("it is held");
        let next = house.client.lock(&lock, &owner("fourth"), false).await;
        assert!(next.is_ok_and(|next| next.token > first.token));
    });
}

#[test]
fn waiting_2_a_wait_ends_at_its_deadline() {
    in_a_house(async |house| {
        let lock = name("l");
        house
            .client
            .lock(&lock, &owner("first"), false)
            .await
            .expect("it is free");
        let late = house.lock_within(Duration::from_millis(20)).await;
        let is_over = matches!(
            late,
            Err(CallError::Expired { .. }) | Ok(Err(Errno::TIMEDOUT))
        );
        assert!(is_over, "{late:?}");
        house.until_inflight(0).await; // WAITING-2: the blocker has given it up as well
    });
}

#[test]
fn waiting_2_a_blocker_that_stops_waits_for_no_lock() {
    in_a_house(async |house| {
        let lock = name("l");
        house
            .client
            .lock(&lock, &owner("first"), false)
            .await
            .expect("it is free");
        let waiting = house.wait_for("l", "second");
        house.until_inflight(1).await;
        house.peer.close();
        house.service.drain().await; // WAITING-2
        waiting.abort();
    });
}

/// CLIENT-1, F65
#[test]
fn with_all_large_buffers_taken_everything_that_has_parts_goes_on() {
    let geometry = Geometry::new(4, 2, 64)
        .and_then(|geometry| geometry.with_buffers(4096, 4))
        .and_then(|geometry| geometry.with_buffers(1 << 20, 2));
    in_a_house_of(geometry.expect("a geometry that can be"), async |house| {
        let others = house.handle.station();
        // As by clients whose requests end when ours have.
        let taken = [others.buffer(1 << 20).await, others.buffer(1 << 20).await];
        let data: Vec<u8> = (0..20_000_u32).map(|place| place as u8).collect();
        let mut back = vec![0; data.len()];
        let used = async {
            let client = &house.client;
            client.write(Scope(1), &name("v/1"), 100, &data).await?;
            let count = client.read(&name("v/1"), 100, &mut back).await?;
            assert_eq!(count, data.len());
            let mut after: Option<ObjectName> = None;
            let mut names = 0;
            for number in 2..40 {
                let long = format!("v/{number}{}", "x".repeat(200));
                client
                    .write(Scope(1), &name(&long), 0, b"it is there")
                    .await?;
            }
            loop {
                let listed = client.list(b"v", after.as_ref(), 1000).await?;
                names += listed.names.len();
                after = listed.names.last().cloned();
                if !listed.more {
                    return Ok::<usize, StoreError>(names);
                }
            }
        };
        let names = house.handle.timeout(Duration::from_secs(60), used).await;
        assert_eq!(names.expect("it waits for what nobody gives back"), Ok(39));
        assert_eq!(back, data);
        drop(taken);
    });
}
