//! Operations that nobody waits for, on a real cluster.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use archipelago_ceph::{Cluster as Daemons, ClusterOptions, NODE_ID};
use archipelago_runtime::Memory;
use rustix::io::Errno;

use super::*;
use crate::engine::wait;
use crate::options::RadosdOptions;

const DAEMONS: [&str; 4] = ["osd.0", "osd.1", "osd.2", "mon.a"];
const PIECE_BYTES: usize = 1 << 20;

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

fn is_under_way(flight: &mut (impl Future + Unpin)) -> bool {
    let waker = Waker::from(Arc::new(Nobody));
    let polled = std::pin::Pin::new(flight).poll(&mut Context::from_waker(&waker));
    matches!(polled, Poll::Pending)
}

fn each(
    cluster: &Daemons,
    tell: impl Fn(&Daemons, &str) -> Result<(), archipelago_ceph::ClusterError>,
) {
    for daemon in DAEMONS {
        tell(cluster, daemon).expect("it is there");
    }
}

/// LIBRADOS-1, LIBRADOS-2, LIBRADOS-3.
#[test]
fn what_an_operation_is_about_is_kept_until_its_end() {
    let daemons = ClusterOptions::default().start().expect("a cluster");
    daemons.create_pool("blocks").expect("a pool");
    let mut options = RadosdOptions::new("blocks", "flights");
    options.conf = Some(daemons.conf());
    options.cephx_id = Some(NODE_ID.into());
    let cluster = Cluster::connect(&options).expect("it is up");
    let open = || Pool::open(&cluster, "blocks", c"flights").expect("it is there");
    let (pool, other) = (open(), open());
    let write = |pool: &std::rc::Rc<Pool>, byte: u8| {
        let mut memory = Memory::from(vec![byte; PIECE_BYTES]);
        let writing = pool.writing().write_memory(&mut memory, 0);
        pool.change(c"o.a", writing)
    };
    let read = |pool: &std::rc::Rc<Pool>| {
        let memory = Memory::from(vec![0; PIECE_BYTES]);
        pool.read(c"o.a", 0, memory)
    };
    assert_eq!(wait(write(&pool, 1)).result, Ok(0));

    each(&daemons, Daemons::pause);
    let (mut reading, mut writing) = (read(&pool), write(&pool, 2));
    assert!(is_under_way(&mut reading) && is_under_way(&mut writing));
    drop(reading);
    drop(writing);
    let mut asking = pool.look(c"o.a", pool.asking().stat().attributes());
    assert!(is_under_way(&mut asking));
    drop(asking);
    assert_eq!(pool.left_alone(), 3);
    // One ends with all its operations in the middle.
    let mut reading = read(&other);
    assert!(is_under_way(&mut reading));
    drop(reading);
    drop(other);
    each(&daemons, Daemons::resume);

    // In the order in which they were sent: by now those before are over.
    let read = wait(read(&pool));
    assert_eq!(read.result, Ok(PIECE_BYTES));
    assert_eq!(read.kept.into_bytes(), Some(vec![2; PIECE_BYTES]));
    while pool.left_alone() > 0 {
        std::thread::sleep(Duration::from_millis(1));
        let looked = wait(pool.look(c"o.none", pool.asking().stat()));
        assert_eq!(looked.result, Err(Errno::NOENT));
    }
}

#[test]
fn a_failure_is_a_failure_whatever_its_number() {
    for (code, errno) in [(-2, Errno::NOENT), (-4095, Errno::from_raw_os_error(4095))] {
        assert_eq!(super::flight::errno(code), errno);
    }
    for odd in [-4096, i32::MIN, 0, 7] {
        assert_eq!(super::flight::errno(odd), Errno::IO);
    }
}
