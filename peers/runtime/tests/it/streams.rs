//! Pipes and sockets: by io_uring, and by the polling thread.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{DriverCommand, Handle, Memory};
use xseg::{Errno, WaitMethod};

use crate::support::{each_way, reactor, run, segment, ways};

fn pair() -> (Rc<OwnedFd>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Rc::new(ours.into()), theirs)
}

async fn give_up<T>(handle: &Handle, future: impl Future<Output = T>) {
    let early = handle.timeout(Duration::from_millis(3), future).await;
    assert!(early.is_err(), "there was nothing to come");
}

#[test]
fn bytes_go_through_a_pipe_and_its_end_is_seen() {
    each_way(|handle| async move {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (reader, writer) = (Rc::new(reader), Rc::new(writer));
        let reading = handle.spawn({
            let (handle, reader) = (handle.clone(), reader.clone());
            async move {
                let (first, memory) = handle.read(&reader, vec![0; 10].into()).await;
                let (second, _) = handle.read(&reader, vec![0; 10].into()).await;
                (first, memory.into_bytes().unwrap(), second)
            }
        });
        handle.sleep(Duration::from_millis(2)).await; // it waits by now
        let (done, _) = handle.write(&writer, b"abc".to_vec().into()).await;
        assert_eq!(done, Ok(3));
        handle.sleep(Duration::from_millis(2)).await;
        drop(writer);
        let (first, bytes, second) = reading.await;
        assert_eq!((first, &bytes[..3], second), (Ok(3), &b"abc"[..], Ok(0)));
    });
}

#[test]
fn connections_are_accepted_and_carry_bytes_both_ways() {
    each_way(|handle| async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener: Rc<OwnedFd> = Rc::new(listener.into());
        let client = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5)); // the accept waits by now
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"question").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let socket = Rc::new(handle.accept(&listener).await.unwrap());
        let (done, memory) = handle.recv_full(&socket, vec![0; 8].into()).await;
        assert_eq!(done, Ok(8));
        assert_eq!(memory.into_bytes().unwrap(), b"question");
        let header = Memory::from(b"the ".to_vec());
        let payload = Memory::from(b"[answer]".to_vec()).part(1..7);
        let (done, header, payload) = handle.send_vectored_all(&socket, header, payload).await;
        assert_eq!((done, header.len(), payload.len()), (Ok(()), 4, 6));
        drop(socket);
        assert_eq!(client.join().unwrap(), "the answer");
    });
}

#[test]
fn sends_that_are_larger_than_the_socket_takes_at_once_arrive_whole() {
    each_way(|handle| async move {
        let (ours, mut theirs) = pair();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let header: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
        let payload: Vec<u8> = (0..700_000_u32).map(|n| (n % 241) as u8).collect();
        let (done, _, _) = handle
            .send_vectored_all(&ours, header.clone().into(), payload.clone().into())
            .await;
        assert_eq!(done, Ok(()));
        let (done, _) = handle.send_all(&ours, payload.clone().into()).await;
        assert_eq!(done, Ok(()));
        drop(ours);
        let expected = [header, payload.clone(), payload].concat();
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn a_receive_that_is_given_up_takes_no_bytes_from_the_next_one() {
    // POLLER-1
    each_way(|handle| async move {
        let (ours, mut theirs) = pair();
        give_up(&handle, handle.recv(&ours, vec![0; 10].into())).await;
        give_up(&handle, handle.readable(&ours)).await;
        handle.sleep(Duration::from_millis(2)).await; // the cancellation is through
        theirs.write_all(b"late").unwrap();
        let (done, memory) = handle.recv(&ours, vec![0; 10].into()).await;
        assert_eq!(done, Ok(4));
        assert_eq!(memory.into_bytes().unwrap()[..4], *b"late");
        assert_eq!(Rc::strong_count(&ours), 1);
    });
}

#[test]
fn an_accept_that_is_given_up_leaves_the_connection_to_the_next_one() {
    // OPERATION-2
    each_way(|handle| async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener: Rc<OwnedFd> = Rc::new(listener.into());
        give_up(&handle, handle.accept(&listener)).await;
        handle.sleep(Duration::from_millis(2)).await;
        // The kernel may not have given it up yet: then the first connection is still that one's, and is closed.
        let mut accepting = Box::pin(handle.accept(&listener));
        let mut streams = Vec::new();
        let accepted = loop {
            streams.push(TcpStream::connect(address).unwrap());
            let within = Duration::from_millis(20);
            if let Ok(accepted) = handle.timeout(within, accepting.as_mut()).await {
                break accepted;
            }
        };
        accepted.unwrap();
        drop((accepting, streams));
        // One that comes in the very moment in which it is given up is closed, not leaked.
        let mut accepting = Box::pin(handle.accept(&listener));
        give_up(&handle, accepting.as_mut()).await;
        let stream: Rc<OwnedFd> = Rc::new(TcpStream::connect(address).unwrap().into());
        std::thread::sleep(Duration::from_millis(5)); // nobody looks at what the kernel has done meanwhile
        drop(accepting);
        drop(listener);
        let (ended, _) = handle.recv(&stream, vec![0; 1].into()).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    });
}

#[test]
fn a_descriptor_that_does_not_block_is_waited_for_all_the_same() {
    each_way(|handle| async move {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours: Rc<OwnedFd> = Rc::new(ours.into());
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            theirs.write_all(b"x").unwrap();
            theirs
        });
        handle.writable(&ours).await.unwrap();
        let (done, _) = handle.recv(&ours, vec![0; 10].into()).await;
        assert_eq!(done, Ok(1));
        drop(writer.join().unwrap());
        handle.readable(&ours).await.unwrap();
        let (done, _) = handle.recv(&ours, vec![0; 10].into()).await;
        assert_eq!(done, Ok(0));
    });
}

#[test]
fn a_send_to_somebody_who_is_gone_is_an_error_and_no_signal() {
    each_way(|handle| async move {
        let (ours, theirs) = pair();
        drop(theirs);
        let (done, memory) = handle.send_all(&ours, vec![1; 10].into()).await;
        assert_eq!((done, memory.len()), (Err(Errno::PIPE), 10));
        let (done, ..) = handle
            .send_vectored_all(&ours, vec![1].into(), vec![2].into())
            .await;
        assert_eq!(done, Err(Errno::PIPE));
    });
}

#[test]
fn a_command_is_what_the_driver_makes_of_it_and_one_that_it_does_not_know_is_refused() {
    /// How many bytes wait in a socket (Linux 6.7).
    const BYTES_WAITING: u32 = 0;
    for way in ways() {
        let segment = segment();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"seven b").unwrap();
        let ours: Rc<OwnedFd> = Rc::new(ours.into());
        let file: Rc<OwnedFd> = Rc::new(tempfile::tempfile().unwrap().into());
        let (waiting, refused) = run(reactor(&segment, 0, way), |handle| async move {
            let command = |number| DriverCommand {
                number,
                ..DriverCommand::default()
            };
            let waiting = handle.command(&ours, command(BYTES_WAITING)).await;
            (waiting, handle.command(&file, command(99)).await)
        });
        assert_eq!(refused, Err(Errno::OPNOTSUPP));
        // A kernel of before 6.7 has rings, but none of this.
        let is_known = way != WaitMethod::Futex && waiting != Err(Errno::OPNOTSUPP);
        assert!(!is_known || waiting == Ok(7), "{waiting:?}");
    }
}
