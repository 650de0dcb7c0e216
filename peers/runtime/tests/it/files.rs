//! Files: by io_uring, and by threads.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_runtime::{Memory, SyncScope};
use xseg::Errno;

use crate::support::{AT_ONCE, client, each_way};

fn file() -> Rc<OwnedFd> {
    Rc::new(tempfile::tempfile().unwrap().into())
}

#[test]
fn what_was_written_to_a_file_is_read_back_and_memory_comes_back_whole() {
    // MEMORY-1
    each_way(|handle| async move {
        let file = file();
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let (done, memory) = handle.write_all_at(&file, 7, bytes.clone().into()).await;
        assert_eq!((done, memory.len()), (Ok(()), 100_000));
        assert_eq!(memory.into_bytes(), Some(bytes.clone()));
        for scope in [SyncScope::Data, SyncScope::All] {
            assert_eq!(handle.fsync(&file, scope).await, Ok(()));
        }
        let part = Memory::from(vec![0; 100]).part(10..30);
        let (done, memory) = handle.read_at(&file, 1007, part).await;
        assert_eq!((done, memory.len()), (Ok(20), 20));
        let read = memory.into_bytes().unwrap();
        assert_eq!(read[10..30], bytes[1000..1020]);
        assert!(read[..10].iter().chain(&read[30..]).all(|byte| *byte == 0));
    });
}

#[test]
fn a_read_across_the_end_of_a_file_is_short_and_one_behind_it_is_empty() {
    each_way(|handle| async move {
        let file = file();
        let (done, _) = handle.write_at(&file, 0, vec![9; 10].into()).await;
        assert_eq!(done, Ok(10));
        let (done, memory) = handle.read_full_at(&file, 4, vec![0; 100].into()).await;
        assert_eq!((done, memory.len()), (Ok(6), 100));
        let (done, _) = handle.read_at(&file, 10, vec![0; 100].into()).await;
        assert_eq!(done, Ok(0));
    });
}

#[test]
fn errors_of_files_are_the_kernels_both_ways() {
    each_way(|handle| async move {
        let read_only: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let (done, memory) = handle
            .write_all_at(&Rc::new(read_only), 0, vec![1; 3].into())
            .await;
        assert_eq!(done, Err(Errno::BADF));
        assert_eq!(memory.into_bytes(), Some(vec![1; 3]));
        let full: OwnedFd = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
            .into();
        let (done, _) = handle
            .write_all_at(&Rc::new(full), 0, vec![1; 3].into())
            .await;
        assert_eq!(done, Err(Errno::NOSPC)); // F21
        let directory: OwnedFd = std::fs::File::open("/tmp").unwrap().into();
        let (done, _) = handle
            .read_at(&Rc::new(directory), 0, vec![0; 3].into())
            .await;
        assert_eq!(done, Err(Errno::ISDIR));
    });
}

#[test]
fn buffers_and_data_of_the_segment_are_read_and_written_where_they_lie() {
    // W1
    each_way(|handle| async move {
        let (file, station) = (file(), handle.station());
        let buffer = station.buffer(4096).await.unwrap();
        buffer.data().write(100, b"archipelago").unwrap();
        let data = buffer.data().part(100, 11).unwrap();
        let (done, _) = handle.write_all_at(&file, 0, station.memory(data)).await;
        assert_eq!(done, Ok(()));
        buffer.data().fill(0);
        let memory = Memory::from(buffer).part(50..61);
        let (done, memory) = handle.read_full_at(&file, 0, memory).await;
        assert_eq!(done, Ok(11));
        let mut read = [0; 11];
        let buffer = memory.into_buffer().unwrap();
        buffer.data().read(50, &mut read).unwrap();
        assert_eq!(&read, b"archipelago");
    });
}

#[test]
#[should_panic(expected = "another segment")]
fn data_of_another_segment_are_no_memory_of_this_one() {
    // MEMORY-1: this segment would not keep the other one mapped.
    let other = crate::support::segment();
    let port = other.bind(0, &xseg::BindOptions::default()).unwrap();
    let buffer = port.buffer(1).unwrap();
    let reactor = crate::support::reactor(&crate::support::segment(), 0, xseg::WaitMethod::Futex);
    drop(reactor.handle().station().memory(buffer.data()));
}

#[test]
fn more_operations_at_a_time_than_the_queue_has_entries_all_end() {
    // OPERATION-1: no place is used twice.
    for way in crate::support::ways() {
        let segment = crate::support::segment();
        let options = archipelago_runtime::ReactorOptions::default()
            .wait_method(way)
            .ring_entries(8);
        let reactor = crate::support::reactor_with(&segment, 0, &options);
        crate::support::run(reactor, |handle| async move {
            let file = file();
            let writers: Vec<_> = (0..500_u64)
                .map(|number| {
                    let (handle, file) = (handle.clone(), file.clone());
                    let own = handle.clone();
                    own.spawn(async move {
                        let bytes = number.to_le_bytes().to_vec();
                        handle.write_all_at(&file, number * 8, bytes.into()).await.0
                    })
                })
                .collect();
            for writer in writers {
                assert_eq!(writer.await, Ok(()));
            }
            let (done, memory) = handle.read_full_at(&file, 0, vec![0; 4000].into()).await;
            assert_eq!(done, Ok(4000));
            let read = memory.into_bytes().unwrap();
            for (number, word) in read.chunks(8).enumerate() {
                assert_eq!(word, (number as u64).to_le_bytes());
            }
        });
    }
}

#[test]
fn an_operation_that_is_given_up_keeps_its_file_and_memory_until_it_has_ended() {
    // OPERATION-1
    each_way(|handle| async move {
        let (file, segment) = (file(), handle.station().segment().clone());
        let asker = client(&handle, &segment);
        for round in 0..50_u64 {
            let memory = Memory::from(asker.buffer(4096).await.unwrap());
            let mut write = Box::pin(handle.write_at(&file, round * 4096, memory));
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(write.as_mut().poll(context).is_ready())
            });
            polled.await;
            drop(write);
        }
        // All 64 buffers come back sooner or later.
        let mut all = Vec::new();
        for _ in 0..64 {
            all.push(asker.buffer(4096).await.unwrap());
        }
        assert_eq!(all.len(), 64);
        assert_eq!(Rc::strong_count(&file), 1);
        assert!(asker.try_draft(AT_ONCE).is_ok());
    });
}
