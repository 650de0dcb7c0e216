//! Requests beyond what a store's contract has, and requests that make no sense.

use archipelago_store::wire::{Call, EXTEND, GROUPS, HEAL, Head};
use archipelago_store::{Scope, Store};
use xseg::{Errno, OpCode};

use crate::house::{House, home, name, on_one_reactor, options};

/// Asks with so much payload, of which `data` is the beginning.
async fn ask(house: &House, head: &Head, payload_bytes: u64, data: &[u8]) -> Result<u64, Errno> {
    let mut draft = house
        .station
        .draft(head.op)
        .await
        .expect("there are records");
    head.put(&mut draft).expect("names that a request can have");
    if payload_bytes > 0 {
        let buffer = house.station.buffer(payload_bytes.max(4096)).await;
        let buffer = buffer.expect("there are buffers");
        buffer.data().write(0, data).expect("there is room");
        draft
            .attach(buffer, payload_bytes)
            .expect("it is this port's");
    }
    let reply = house.station.call(draft, house.blocker).await;
    reply.expect("it is answered").result()
}

async fn content(house: &House, object: &str, len: usize) -> Vec<u8> {
    let mut data = vec![0x55; len];
    let count = house.client.read(&name(object), 0, &mut data).await;
    data.truncate(count.expect("it is there"));
    data
}

#[test]
fn a_durable_write_is_one() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        for (object, direct) in [("v/1", 0), ("v/1", 4096), ("w/2", 100)] {
            let call = Call::Write {
                scope: Scope(1),
                name: name(object),
                offset: direct,
                len: 4096,
                durable: true,
            };
            let written = ask(house, &call.head(), 4096, &[3; 4096]).await;
            assert_eq!(written, Ok(4096));
        }
        assert_eq!(content(house, "v/1", 9000).await, [3; 8192]);
    });
}

#[test]
fn zeros_are_written_and_lengthen_the_object() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let zero = |offset, len| Call::Zero {
            scope: Scope(1),
            name: name("v/1"),
            offset,
            len,
        };
        let client = &house.client;
        client
            .write(Scope(1), &name("v/1"), 0, &[1; 1000])
            .await
            .expect("there is room");
        assert_eq!(ask(house, &zero(10, 20).head(), 0, &[]).await, Ok(20));
        assert_eq!(ask(house, &zero(900, 500).head(), 0, &[]).await, Ok(500));
        let mut expected = vec![1; 1400];
        expected[10..30].fill(0);
        expected[900..].fill(0);
        assert_eq!(content(house, "v/1", 9000).await, expected);
        assert_eq!(ask(house, &zero(5000, 0).head(), 0, &[]).await, Ok(0));
        assert_eq!(content(house, "v/1", 9000).await.len(), 1400);
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        let head = |op: OpCode, target: &[u8]| Head {
            target: target.to_vec(),
            ..Head::new(op)
        };
        for op in [OpCode::MAP_READ, OpCode::SNAPSHOT, OpCode(77), OpCode(999)] {
            let answer = ask(house, &head(op, b"v/1"), 0, &[]).await;
            assert_eq!(answer, Err(Errno::OPNOTSUPP), "{op}");
        }
        let named = [
            OpCode::READ,
            OpCode::WRITE,
            OpCode::WRITE_FULL,
            OpCode::CREATE_EXCLUSIVE,
            OpCode::DELETE,
            OpCode::COPY,
            OpCode::HASH,
            OpCode::INFO,
            OpCode::DISCARD,
            OpCode::WRITE_ZEROES,
            OpCode::ACQUIRE,
            OpCode::RELEASE,
            OpCode::LOCK_OWNER,
            EXTEND,
        ];
        for op in named {
            for target in [&b""[..], b"nul\0nul"] {
                let answer = ask(house, &head(op, target), 4096, &[]).await;
                assert_eq!(answer, Err(Errno::INVAL), "{op} without a name");
            }
        }
        for op in [
            OpCode::READ,
            OpCode::WRITE,
            OpCode::WRITE_FULL,
            OpCode::CREATE_EXCLUSIVE,
        ] {
            let mut more = head(op, b"v/1");
            more.length = 5000;
            let answer = ask(house, &more, 4096, &[]).await;
            assert_eq!(answer, Err(Errno::INVAL), "{op} beyond its payload");
            let answer = ask(house, &more, 0, &[]).await;
            assert_eq!(answer, Err(Errno::INVAL), "{op} without payload");
        }
        for payload in [&b""[..], b"\xff", b"\x01\xff\x01a", b"\x00\x00"] {
            let answer = ask(house, &head(OpCode::ACQUIRE, b"l"), 512, payload).await;
            assert_eq!(answer, Err(Errno::INVAL), "an owner of {payload:?}");
        }
        let listed = ask(house, &head(GROUPS, b""), 4096, &[]).await;
        assert_eq!(listed, Ok(0), "nothing was made");
        assert_eq!(ask(house, &head(HEAL, b""), 0, &[]).await, Ok(0));
    });
}

#[test]
fn lists_come_in_as_many_names_as_there_is_room_for() {
    let home = home();
    on_one_reactor(&options(home.path()), async |house| {
        for number in 0..100 {
            let object = name(format!("a-group/{number:0200}"));
            house
                .client
                .write(Scope(1), &object, 0, b"")
                .await
                .expect("there is room");
        }
        let listed = Call::List {
            group: b"a-group".to_vec(),
            after: None,
            max: 1000,
        };
        assert_eq!(ask(house, &listed.head(), 4096, &[]).await, Ok(19));
        assert_eq!(
            ask(house, &listed.head(), 10, &[]).await,
            Err(Errno::OVERFLOW)
        );
        let all = house.client.list(b"a-group", None, 1000).await;
        assert_eq!(all.map(|listing| listing.names.len()), Ok(100));
    });
}

#[test]
fn waiting_for_a_lock_leaves_the_blocker_free() {
    use archipelago_store::LockOwner;
    let home = home();
    let mut options = options(home.path());
    options.nr_ops = 1;
    on_one_reactor(&options, async |house| {
        let owner = |who: &str| LockOwner {
            node: "n".into(),
            deployment: who.into(),
        };
        let (client, volume) = (&house.client, name("lock/1"));
        let first = client
            .lock(&volume, &owner("a"), false)
            .await
            .expect("it is free");
        let waiters: Vec<_> = ["b", "c"]
            .map(|who| {
                let client = house.client.clone();
                house.handle.spawn(async move {
                    let taken = client.lock(&name("lock/1"), &owner(who), true).await;
                    let token = taken.expect("it is given back").token;
                    client
                        .unlock(&name("lock/1"), &owner(who), false)
                        .await
                        .expect("it is held");
                    token
                })
            })
            .into();
        while house.service.inflight() < 2 {
            house.handle.yield_now().await;
        }
        for _ in 0..5 {
            client
                .write(Scope(1), &name("v/1"), 0, b"goes on")
                .await
                .expect("there is room"); // WAITING-1
        }
        client
            .unlock(&volume, &owner("a"), false)
            .await
            .expect("it is held");
        let mut tokens = vec![first.token];
        for waiter in waiters {
            tokens.push(waiter.await);
        }
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), 3);
    });
}
