//! LOAN-1 to LOAN-3, with files, by io_uring and without.

use std::io::Write;
use std::os::fd::OwnedFd;

use xseg::{BindOptions, Buffer, CreateOptions, Geometry, WaitMethod};

use super::*;
use crate::kernel::LentBytes;
use crate::{Reactor, ReactorOptions, Station};

/// Runs it twice: with a ring, and with threads in its place.
fn on_reactors(test: impl AsyncFn(Handle, Rc<Station>)) {
    for method in [WaitMethod::Auto, WaitMethod::Futex] {
        let geometry = Geometry::new(1, 1, 8).unwrap();
        let geometry = geometry.with_buffers(65536, 4).unwrap();
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(0, &BindOptions::default()).unwrap();
        let options = ReactorOptions::default().wait_method(method);
        let reactor = Reactor::new(port, &options).unwrap();
        let handle = reactor.handle();
        let station = handle.station();
        reactor.block_on(test(handle, station));
    }
}

fn file(bytes: &[u8]) -> Rc<OwnedFd> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Rc::new(file.into())
}

fn numbers(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// Some bytes in three pieces, and their loan.
fn lend(handle: &Handle, buffer: &Buffer) -> (LentBytes, Loan) {
    let bytes = LentBytes::new(20_000);
    let memory = bytes.lend(&[4000..4100, 0..3000, 8192..16_384]);
    let loan = handle.lend(buffer.data(), memory).unwrap();
    (bytes, loan)
}

const LEN: u64 = 100 + 3000 + 8192;

#[test]
fn a_loan_is_found_by_its_buffers_data_and_only_while_it_lasts() {
    on_reactors(async |handle, station| {
        let (buffer, other) = (
            station.buffer(65536).await.unwrap(),
            station.buffer(65536).await.unwrap(),
        );
        let part = |from, len| buffer.data().part(from, len).unwrap();
        assert!(handle.lent(part(0, LEN)).is_none());
        let (_bytes, loan) = lend(&handle, &buffer);
        assert!(handle.lent(part(0, LEN)).is_some());
        assert!(handle.lent(part(LEN - 1, 1)).is_some());
        assert!(handle.lent(part(LEN - 1, 2)).is_none(), "not all of it");
        assert!(handle.lent(other.data().part(0, 1).unwrap()).is_none());
        let long = LentBytes::new(70_000).lend(&[0..1, 1..70_000]);
        assert!(handle.lend(other.data(), long).is_none(), "no room");
        let borrowed = handle.lent(part(0, LEN)).unwrap();
        drop(loan);
        assert!(handle.lent(part(0, LEN)).is_none());
        assert!(borrowed.memory().is_none());
        assert_eq!(borrowed.read(0, &mut [0; 4]), Err(Errno::CANCELED));
    });
}

#[test]
fn what_is_read_into_lent_memory_is_there_and_what_is_not_is_told() {
    on_reactors(async |handle, station| {
        let buffer = station.buffer(65536).await.unwrap();
        let (bytes, loan) = lend(&handle, &buffer);
        let (file, wanted) = (file(&numbers(50_000)), numbers(50_000));
        let data = buffer.data().part(0, LEN).unwrap();
        let all = handle.lent(data).unwrap();
        assert!(!all.is_known());
        all.begin_anew();
        assert!(all.is_known());
        // LOAN-1: all but 2000 bytes.
        for (from, len) in [(0, 3000), (5000, LEN - 5000)] {
            let part = all.part(from, len).unwrap();
            let memory = part.memory().unwrap();
            let (read, _) = handle.read_full_at(&file, from, memory).await;
            assert_eq!(read, Ok(len as usize));
            part.land();
        }
        let mut there = vec![0; 20_000];
        bytes.read(0, &mut there);
        assert_eq!(there[4000..4100], wanted[..100]);
        assert_eq!(there[..2900], wanted[100..3000]);
        assert_eq!(there[8192 + 1900..16_384], wanted[5000..LEN as usize]);
        assert_eq!(there[2900..3000], [0; 100]);
        // Some of it is read anew, into the buffer.
        all.part(6000, 10).unwrap().begin_anew();
        assert_eq!(loan.end().await.unwrap(), [3000..5000, 6000..6010]);
    });
}

#[test]
fn what_is_lent_is_written_and_a_copy_can_be_had() {
    on_reactors(async |handle, station| {
        let buffer = station.buffer(65536).await.unwrap();
        let (bytes, loan) = lend(&handle, &buffer);
        bytes.write(0, &numbers(20_000));
        let file = file(&[9; 300]);
        let data = buffer.data().part(50, 9000).unwrap();
        let part = handle.lent(data).unwrap();
        let (written, _) = handle
            .write_all_at(&file, 200, part.memory().unwrap())
            .await;
        assert_eq!(written, Ok(()));
        let (_, read) = handle.read_full_at(&file, 0, vec![0; 9300].into()).await;
        let read = read.into_bytes().unwrap();
        let mut wanted = numbers(20_000)[4050..4100].to_vec();
        wanted.extend(&numbers(20_000)[..3000]);
        wanted.extend(&numbers(20_000)[8192..8192 + 5950]);
        assert_eq!(
            (&read[..200], &read[200..9200]),
            (&[9; 200][..], &wanted[..])
        );
        let mut some = vec![0; 4000];
        part.read(20, &mut some).unwrap();
        assert_eq!(some, wanted[20..4020]);
        part.read_to(data).unwrap();
        data.read(100, &mut some).unwrap();
        assert_eq!(some, wanted[100..4100]);
        drop(loan);
    });
}

/// LOAN-3
#[test]
fn a_loan_ends_when_the_last_who_uses_it_has_left() {
    on_reactors(async |handle, station| {
        let buffer = station.buffer(65536).await.unwrap();
        let (_bytes, loan) = lend(&handle, &buffer);
        let borrowed = handle.lent(buffer.data().part(0, 10).unwrap()).unwrap();
        let memory = borrowed.memory().unwrap();
        let is_over = Rc::new(Cell::new(false));
        let told = is_over.clone();
        let ending = handle.spawn(async move {
            let missing = loan.end().await;
            told.set(true);
            missing
        });
        for _ in 0..10 {
            handle.yield_now().await;
        }
        assert!(!is_over.get());
        assert!(borrowed.memory().is_none(), "nobody begins");
        drop(memory);
        let missing = ending.await.unwrap();
        assert_eq!((missing.len(), missing[0].clone()), (1, 0..LEN));
    });
}

/// LOAN-4
#[test]
fn nothing_is_believed_of_memory_that_was_lost_while_it_was_lent() {
    on_reactors(async |handle, station| {
        let buffer = station.buffer(65536).await.unwrap();
        let (bytes, loan) = lend(&handle, &buffer);
        let data = buffer.data().part(0, LEN).unwrap();
        let all = handle.lent(data).unwrap();
        all.begin_anew();
        let memory = all.memory().unwrap();
        bytes.take_back();
        assert!(all.memory().is_none());
        assert_eq!(all.read(0, &mut [0; 10]), Err(Errno::FAULT));
        assert_eq!(all.read_to(data), Err(Errno::FAULT));
        let (read, memory) = handle
            .read_full_at(&file(&numbers(50_000)), 0, memory)
            .await;
        assert_eq!(read, Ok(LEN as usize));
        drop(memory);
        all.land();
        assert_eq!(loan.end().await, Err(Errno::FAULT));
    });
}

/// LOAN-2
#[test]
fn who_hands_payloads_on_takes_what_the_next_one_takes() {
    on_reactors(async |handle, _| {
        let geometry = Geometry::new(8, 1, 8).unwrap();
        let ports: Vec<PortId> = (0..8).filter_map(|port| geometry.port(port)).collect();
        assert!(!handle.takes_loans(ports[0]));
        let _first = handle.take_loans(ports[0], Some(ports[1]));
        assert!(!handle.takes_loans(ports[0]));
        let second = handle.take_loans(ports[1], None);
        assert!(handle.takes_loans(ports[0]) && handle.takes_loans(ports[1]));
        drop(second);
        assert!(!handle.takes_loans(ports[0]) && !handle.takes_loans(ports[1]));
        let _third = handle.take_loans(ports[2], Some(ports[3]));
        let _fourth = handle.take_loans(ports[3], Some(ports[2]));
        assert!(
            !handle.takes_loans(ports[2]),
            "nobody takes them in the end"
        );
    });
}
