//! Requests that a dead incarnation had taken: done again, or answered from what was done (S6).
//!
//! A child process takes a request and dies without an answer. What it may have done before is done beforehand, through
//! another port; then the next incarnation finds the request, marked as redelivered.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use archipelago_filed::{Filed, FiledOptions};
use archipelago_runtime::{Reactor, ReactorOptions};
use archipelago_store::wire::{Call, encode_owner};
use archipelago_store::{LockOwner, Store};
use tempfile::TempDir;
use xseg::{
    BindOptions, CreateOptions, Draft, Errno, Event, Geometry, JoinOptions, Place, Port, PortError,
    PortId, Segment,
};

use crate::house::{home, name, on_one_reactor, options};

const SEGMENT_VARIABLE: &str = "FILED_TEST_SEGMENT";
const PAUSE: Duration = Duration::from_millis(1);

/// A request: what is asked, with which payload, under which operation id.
struct Request {
    call: Call,
    payload: Vec<u8>,
    operation: [u64; 2],
}

impl Request {
    fn draft(&self, port: &Port) -> Draft {
        let head = self.call.head();
        let buffer = port.buffer(4096).expect("there are buffers");
        buffer
            .data()
            .write(0, &self.payload)
            .expect("there is room");
        let mut draft = port.draft(head.op).expect("there are records");
        head.put(&mut draft).expect("valid names");
        draft.set_operation_id(self.operation);
        draft.attach(buffer, 4096).expect("it is this port's");
        draft
    }
}

fn place(home: &TempDir) -> Place {
    Place::within(home.path(), "segment").expect("a valid name")
}

/// What the child does: nothing in an ordinary run of the tests.
#[test]
fn child_that_takes_a_request_and_dies() {
    let Some(path) = std::env::var_os(SEGMENT_VARIABLE) else {
        return;
    };
    let place = Place::within(Path::new(&path), "segment").expect("a valid name");
    let segment = JoinOptions::new().join(&place).expect("the parent made it");
    let port = segment
        .bind(0, &BindOptions::default())
        .expect("it is free");
    loop {
        if let Some(Event::Request(_taken)) = port.poll() {
            std::process::exit(0); // as by a kill: nothing is answered, nothing is given back
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sends the request to a child that takes it and dies.
fn lose(segment: &Segment, sender: &Port, home: &TempDir, request: &Request) -> PortId {
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "redone::child_that_takes_a_request_and_dies"])
        .env(SEGMENT_VARIABLE, home.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("the test can start itself");
    let blocker = segment.geometry().port(0).expect("it has that port");
    loop {
        match request.draft(sender).send(blocker) {
            Ok(_) => break,
            Err(_) => std::thread::sleep(PAUSE), // it has not bound the port yet
        }
    }
    assert!(child.wait().expect("it ends").success());
    blocker
}

/// Waits until the child's port is free.
fn succeed(segment: &Segment) -> Port {
    loop {
        match segment.bind(0, &BindOptions::default()) {
            Ok(port) => return port,
            Err(PortError::Alive { .. } | PortError::Draining { .. }) => std::thread::sleep(PAUSE),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a request is answered with in the end that an incarnation took and did not answer.
fn redo(options: &FiledOptions, request: &Request) -> Result<u64, Errno> {
    let home = home();
    let geometry = Geometry::new(4, 1, 64).and_then(|geometry| geometry.with_buffers(4096, 8));
    let created = CreateOptions::new(geometry.expect("it can be")).create(&place(&home));
    let segment = created.expect("there is room");
    let sender = segment.bind_dynamic(&BindOptions::default());
    let sender = sender.expect("a port is free");
    lose(&segment, &sender, &home, request);
    let reactor = Reactor::new(succeed(&segment), &ReactorOptions::default());
    let reactor = reactor.expect("the kernel gives what it takes");
    let handle = reactor.handle();
    let served = Filed::serve(&handle, &handle.station(), options);
    let (filed, service) = served.expect("the store can be opened");
    reactor.block_on(async {
        let answer = loop {
            if let Some(Event::Reply(reply)) = sender.poll() {
                break reply.result();
            }
            handle.sleep(PAUSE).await;
        };
        filed.close();
        service.drain().await;
        answer
    })
}

/// The same request, done and answered.
fn done(options: &FiledOptions, request: &Request) -> Result<u64, Errno> {
    on_one_reactor(options, async |house| {
        let head = request.call.head();
        let buffer = house.station.buffer(4096).await.expect("there are buffers");
        buffer
            .data()
            .write(0, &request.payload)
            .expect("there is room");
        let mut draft = house
            .station
            .draft(head.op)
            .await
            .expect("there are records");
        head.put(&mut draft).expect("valid names");
        draft.set_operation_id(request.operation);
        draft.attach(buffer, 4096).expect("it is this port's");
        let reply = house.station.call(draft, house.blocker).await;
        reply.expect("it is answered").result()
    })
}

fn creation(operation: [u64; 2]) -> Request {
    Request {
        call: Call::CreateExclusive {
            name: name("head/1/2"),
            len: 5,
        },
        payload: b"first".to_vec(),
        operation,
    }
}

#[test]
fn make_2_a_creation_that_was_done_is_answered_as_done() {
    let home = home();
    let options = options(home.path());
    assert_eq!(done(&options, &creation([1, 2])), Ok(5));
    assert_eq!(redo(&options, &creation([1, 2])), Ok(5)); // MAKE-2
    assert_eq!(redo(&options, &creation([1, 3])), Err(Errno::EXIST));
    assert_eq!(done(&options, &creation([1, 2])), Err(Errno::EXIST));
}

#[test]
fn make_2_a_creation_that_was_not_done_is_done() {
    let home = home();
    let options = options(home.path());
    assert_eq!(redo(&options, &creation([1, 2])), Ok(5));
    assert_eq!(redo(&options, &creation([0, 0])), Err(Errno::EXIST)); // MAKE-2
}

#[test]
fn a_deletion_that_was_done_is_answered_as_done() {
    let home = home();
    let options = options(home.path());
    let deletion = Request {
        call: Call::Delete {
            name: name("head/1/2"),
        },
        payload: Vec::new(),
        operation: [0; 2],
    };
    assert_eq!(done(&options, &deletion), Err(Errno::NOENT));
    assert_eq!(redo(&options, &deletion), Ok(0));
}

#[test]
fn a_lock_that_was_given_back_stays_with_its_next_owner() {
    let (home, volume) = (home(), name("lock/1"));
    let options = options(home.path());
    let owner = |who: &str| LockOwner {
        node: "n".into(),
        deployment: who.into(),
    };
    let unlock = |force| Request {
        call: Call::Unlock {
            name: volume.clone(),
            force,
        },
        payload: encode_owner(&owner("a")).expect("a valid owner"),
        operation: [0; 2],
    };
    let next = on_one_reactor(&options, async |house| {
        let client = &house.client;
        client
            .lock(&volume, &owner("a"), false)
            .await
            .expect("it is free");
        client
            .unlock(&volume, &owner("a"), false)
            .await
            .expect("it is held");
        client
            .lock(&volume, &owner("b"), false)
            .await
            .expect("it is free")
    });
    assert_eq!(redo(&options, &unlock(false)), Ok(0));
    assert_eq!(redo(&options, &unlock(true)), Err(Errno::AGAIN));
    on_one_reactor(&options, async |house| {
        let holder = house.client.lock_owner(&volume).await;
        assert_eq!(holder, Ok(Some(next)));
    });
}
