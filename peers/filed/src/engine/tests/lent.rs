//! Payloads that are lent (LOAN-1, LOAN-2, TRANSFER-2, TRANSFER-3).

use std::ops::Range;
use std::rc::Rc;

use archipelago_runtime::{Handle, LentBytes, Station};
use archipelago_store::{ObjectName, Scope, Store};
use xseg::{Errno, OpCode, flags};

use super::{House, in_a_house};

const OBJECT: &str = "v/1";
const LEN: usize = 40_000;

fn numbers(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|at| (at * 7 + at / 256) as u8)
        .collect()
}

/// Somebody on the same reactor, who lends.
struct Lender<'a> {
    handle: Handle,
    station: Rc<Station>,
    house: &'a House,
}

/// What became of a request: its result, what of it is in the buffer, and the buffer's bytes.
struct Done {
    result: Result<u64, Errno>,
    in_buffer: Vec<Range<u64>>,
    buffer: Vec<u8>,
}

impl<'a> Lender<'a> {
    fn new(house: &'a House) -> Self {
        let handle = house.engine.handle.clone();
        let station = house.lender.clone();
        Self {
            handle,
            station,
            house,
        }
    }

    /// Asks for the object's bytes from `offset` on, with a buffer of nothing but 0xee.
    async fn ask(
        &self,
        (op, flags): (OpCode, u32),
        offset: u64,
        own: &LentBytes,
        ranges: &[Range<usize>],
        begins_anew: bool,
    ) -> Done {
        let memory = own.lend(ranges);
        let len = memory.len();
        let buffer = self.station.buffer(65536).await.unwrap();
        buffer.data().fill(0xee);
        let loan = self.handle.lend(buffer.data(), memory).unwrap();
        if begins_anew {
            let all = buffer.data().part(0, len as u64).unwrap();
            self.handle.lent(all).unwrap().begin_anew();
        }
        let mut draft = self.station.draft(op).await.unwrap();
        draft.set_target(OBJECT.as_bytes()).unwrap();
        draft.set_flags(flags);
        draft.set_extent(offset, len as u64);
        draft.attach(buffer, len as u64).unwrap();
        let filed = self.handle.station().id();
        let reply = self.station.call(draft, filed).await.unwrap();
        let mut bytes = vec![0; len];
        reply.data().unwrap().read(0, &mut bytes).unwrap();
        Done {
            result: reply.result(),
            in_buffer: loan.end().await.unwrap_or_default(),
            buffer: bytes,
        }
    }

    async fn write(&self, bytes: &[u8]) {
        let name = ObjectName::new(OBJECT.as_bytes()).unwrap();
        let client = &self.house.client;
        client.write(Scope(1), &name, 0, bytes).await.unwrap();
    }

    async fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let name = ObjectName::new(OBJECT.as_bytes()).unwrap();
        let mut bytes = vec![0; len];
        let read = self.house.client.read(&name, offset, &mut bytes).await;
        assert_eq!(read, Ok(len));
        bytes
    }
}

fn got(own: &LentBytes, ranges: &[Range<usize>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for range in ranges {
        let mut part = vec![0; range.len()];
        own.read(range.start, &mut part);
        bytes.extend(part);
    }
    bytes
}

const READ: (OpCode, u32) = (OpCode::READ, 0);
const WRITE: (OpCode, u32) = (OpCode::WRITE, flags::LENT);

/// With the page cache and past it, in pieces that devices take and in others.
fn each_way(test: &impl AsyncFn(&Lender<'_>, &[Range<usize>], bool)) {
    let pages = [8192..16_384, 0..4096];
    let odd = [5000..5100, 0..3996, 8192..12_288];
    for direct in [false, true] {
        for (ranges, is_cut) in [(&pages[..], true), (&odd[..], false)] {
            in_a_house(
                |options| options.direct = direct,
                async |house| test(&Lender::new(house), ranges, is_cut || !direct).await,
            );
        }
    }
}

#[test]
fn what_is_read_lands_in_lent_memory_or_in_the_buffer_and_it_is_told_where() {
    each_way(&async |lender, ranges, is_cut| {
        lender.write(&numbers(0, LEN)).await;
        let own = LentBytes::new(LEN);
        let done = lender.ask(READ, 4096, &own, ranges, true).await;
        let len = ranges.iter().map(Range::len).sum::<usize>();
        assert_eq!(done.result, Ok(len as u64));
        let wanted = numbers(4096, len);
        // Past the page cache what is cut otherwise goes by the buffer, which is cut well.
        let by_buffer = done.in_buffer == [0..len as u64, 0..0][..1];
        assert_eq!(by_buffer, !is_cut);
        match by_buffer {
            true => assert!(done.buffer == wanted),
            false => {
                assert!(done.in_buffer.is_empty(), "{:?}", done.in_buffer);
                assert!(got(&own, ranges) == wanted);
                assert!(done.buffer.iter().all(|byte| *byte == 0xee));
            }
        }
    });
}

/// LOAN-1
#[test]
fn nothing_lands_where_nobody_will_look_for_it() {
    each_way(&async |lender, ranges, _| {
        lender.write(&numbers(0, LEN)).await;
        let own = LentBytes::new(LEN);
        let done = lender.ask(READ, 0, &own, ranges, false).await;
        assert!(done.buffer == numbers(0, done.buffer.len()));
        assert!(got(&own, ranges).iter().all(|byte| *byte == 0));
    });
}

/// TRANSFER-3
#[test]
fn what_ends_too_early_did_not_land() {
    each_way(&async |lender, ranges, _| {
        lender.write(&numbers(0, LEN)).await;
        let own = LentBytes::new(LEN);
        let (offset, len) = (LEN as u64 - 100, got(&own, ranges).len() as u64);
        let done = lender.ask(READ, offset, &own, ranges, true).await;
        assert_eq!(done.result, Ok(100));
        assert_eq!(done.in_buffer, [0..len, 0..0][..1]);
    });
}

/// LOAN-2
#[test]
fn what_is_lent_is_written_and_not_what_is_in_the_buffer() {
    each_way(&async |lender, ranges, _| {
        lender.write(&[1; LEN]).await;
        let own = LentBytes::new(LEN);
        own.write(0, &numbers(0, LEN));
        let wanted = got(&own, ranges);
        let done = lender.ask(WRITE, 8192, &own, ranges, false).await;
        assert_eq!(done.result, Ok(wanted.len() as u64));
        assert!(lender.read(8192, wanted.len()).await == wanted);
        assert_eq!(lender.read(8191, 1).await, [1]);
        let behind = 8192 + wanted.len();
        assert_eq!(lender.read(behind as u64, 1).await, [1]);
    });
}

/// TRANSFER-2: whatever becomes of lent memory, the store is as well as it was.
#[test]
fn memory_that_is_taken_back_fails_its_write_and_no_scope() {
    each_way(&async |lender, ranges, _| {
        lender.write(&[1; LEN]).await;
        let own = LentBytes::new(LEN);
        own.take_back();
        let done = lender.ask(WRITE, 8192, &own, ranges, false).await;
        assert_eq!(done.result, Err(Errno::INVAL));
        assert_eq!(lender.read(8192, 4096).await, [1; 4096]);
        lender.house.client.sync(Scope(0)).await.unwrap();
        // What is read goes to the buffer then.
        let done = lender.ask(READ, 8192, &own, ranges, true).await;
        assert_eq!(done.result, Ok(done.buffer.len() as u64));
        assert!(done.buffer.iter().all(|byte| *byte == 1));
        assert!(got(&own, ranges).iter().all(|byte| *byte == 0));
    });
}

/// LOAN-2: garbage is never written.
#[test]
fn a_write_that_says_lent_and_finds_no_loan_is_refused_and_fails_no_scope() {
    in_a_house(
        |_| {},
        async |house| {
            let lender = Lender::new(house);
            lender.write(&[1; 4096]).await;
            let buffer = lender.station.buffer(65536).await.unwrap();
            let mut draft = lender.station.draft(OpCode::WRITE).await.unwrap();
            draft.set_target(OBJECT.as_bytes()).unwrap();
            draft.set_flags(flags::LENT);
            draft.set_handle(1);
            draft.set_extent(0, 4096);
            draft.attach(buffer, 4096).unwrap();
            let filed = lender.handle.station().id();
            let reply = lender.station.call(draft, filed).await.unwrap();
            assert_eq!(reply.result(), Err(Errno::INVAL));
            let mut draft = lender.station.draft(OpCode::WRITE).await.unwrap();
            draft.set_target(b"v/2").unwrap();
            draft.set_flags(flags::LENT);
            draft.set_extent(0, 4096);
            let buffer = lender.station.buffer(65536).await.unwrap();
            draft.attach(buffer, 4096).unwrap();
            let reply = lender.station.call(draft, filed).await.unwrap();
            assert_eq!(reply.result(), Err(Errno::INVAL));
            let nothing = ObjectName::new(b"v/2").unwrap();
            let stat = house.client.stat(&nothing).await;
            assert!(stat.is_err(), "nothing is made for it: {stat:?}");
            assert_eq!(lender.read(0, 4096).await, [1; 4096]);
            house.client.sync(Scope(1)).await.unwrap();
        },
    );
}
