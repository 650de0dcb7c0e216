//! Who shares a reactor is told apart, and how much each logs is asked of the host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use archipelago_runtime::{Handle, LogLevels, Peer, Tenant};
use xseg::{Errno, Incoming, OpCode, PortId};

use crate::support::{client, each_way};

/// Notes for whom it works.
struct Noter {
    handle: Handle,
    seen: RefCell<Vec<Tenant>>,
}

impl Noter {
    fn note(&self) {
        self.seen.borrow_mut().push(Tenant::present());
    }
}

impl Peer for Noter {
    async fn handle(&self, request: Incoming) {
        self.note();
        self.handle.yield_now().await;
        self.note();
        let below = self.handle.blocking(Tenant::present).await;
        self.seen.borrow_mut().push(below);
        let task = self.handle.spawn(async { Tenant::present() });
        let below = task.await;
        self.seen.borrow_mut().push(below);
        request.answer(0);
    }

    fn notice(&self, notice: Incoming) {
        self.note();
        notice.answer(0);
    }
}

/// TENANT-1, TENANT-2
#[test]
fn tasks_and_handlers_work_for_whoever_began_them() {
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (one, two) = (handle.station(), client(&handle, &segment));
        let client = client(&handle, &segment);
        let stations = [one, two];
        let serve = |number: u16| {
            let noter = Rc::new(Noter {
                handle: handle.clone(),
                seen: RefCell::default(),
            });
            let station = &stations[usize::from(number) - 1];
            Tenant(number).within(|| handle.serve(station, 4, noter.clone()));
            noter
        };
        let noters = [serve(1), serve(2)];
        assert_eq!(Tenant::present(), Tenant::NOBODY);
        for _ in 0..2 {
            for station in &stations {
                for op in [OpCode::INFO, OpCode::RECALL] {
                    let draft = client.draft(op).await.unwrap();
                    client.call(draft, station.id()).await.unwrap();
                    assert_eq!(Tenant::present(), Tenant::NOBODY);
                }
            }
        }
        for (number, noter) in (1..).zip(noters) {
            assert_eq!(noter.seen.take(), [Tenant(number); 10]);
        }
    });
}

/// Also what a task does when it is dropped is done for its tenant.
#[test]
fn a_task_is_dropped_for_the_one_that_it_worked_for() {
    struct Dropped(Rc<Cell<Tenant>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(Tenant::present());
        }
    }
    let seen = Rc::new(Cell::new(Tenant::NOBODY));
    each_way(|handle| {
        let guard = Dropped(seen.clone());
        Tenant(7).within(|| {
            handle.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            })
        });
        async move { handle.yield_now().await }
    });
    assert_eq!(seen.get(), Tenant(7));
}

#[derive(Debug)]
struct Level(PortId, Cell<u64>);

impl LogLevels for Level {
    fn level(&self, port: PortId) -> Option<u64> {
        (port == self.0).then(|| self.1.get())
    }

    fn change(&self, port: PortId, level: u64) -> bool {
        let is_good = port == self.0 && level < 4;
        if is_good {
            self.1.set(level);
        }
        is_good
    }
}

#[test]
fn the_log_level_behind_a_port_is_told_and_changed_by_its_host() {
    each_way(|handle| async move {
        let segment = handle.station().segment().clone();
        let (server, client) = (handle.station(), client(&handle, &segment));
        let ask = async |to: PortId, args: [u64; 2]| {
            let mut draft = client.draft(OpCode::LOG_LEVEL).await.unwrap();
            draft.set_args([args[0], args[1], 0, 0]);
            let reply = client.call(draft, to).await.unwrap();
            reply.result().map(|_| reply.args()[0])
        };
        assert_eq!(ask(server.id(), [0, 0]).await, Err(Errno::OPNOTSUPP));
        let levels = Rc::new(Level(server.id(), Cell::new(2)));
        handle.answer_log_levels(levels.clone());
        assert_eq!(ask(server.id(), [0, 0]).await, Ok(2));
        assert_eq!(ask(server.id(), [1, 3]).await, Ok(3));
        assert_eq!(ask(server.id(), [1, 99]).await, Err(Errno::INVAL));
        assert_eq!(ask(client.id(), [0, 0]).await, Err(Errno::INVAL));
        assert_eq!(levels.1.get(), 3);
    });
}
