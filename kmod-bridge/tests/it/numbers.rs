//! Many connections.

use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{RawClient, connect, greet, serve};

#[test]
fn two_hundred_connections_are_served_side_by_side() {
    let served = serve(ServerOptions::default());
    let mut clients: Vec<RawClient> = (0..200)
        .map(|_| connect(&served).go("disk", ReplyMode::Simple))
        .collect();
    for round in 0..3 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.request(CommandCode::WRITE, round, index as u64 * 4096, 4096);
            client.write(&[index as u8; 4096]);
        }
        for client in &mut clients {
            let reply = client.reply(0);
            assert_eq!((reply.cookie, reply.error), (round, 0));
        }
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let other = 199 - index;
        client.request(CommandCode::READ, 9, other as u64 * 4096, 4096);
        assert_eq!(client.reply(4096).data, [other as u8; 4096]);
    }
}

#[test]
fn beyond_the_limit_connections_wait_for_their_turn() {
    // ACCEPT-1, F77
    let served = serve(ServerOptions {
        connections_max: 3,
        ..ServerOptions::default()
    });
    let first: Vec<RawClient> = (0..3)
        .map(|_| connect(&served).go("disk", ReplyMode::Simple))
        .collect();
    let socket = served.socket();
    let mut waiting = std::os::unix::net::UnixStream::connect(socket).unwrap();
    waiting.set_nonblocking(true).unwrap();
    let mut byte = [0];
    std::thread::sleep(std::time::Duration::from_millis(50));
    let early = std::io::Read::read(&mut waiting, &mut byte);
    assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    waiting.set_nonblocking(false).unwrap();
    std::io::Read::read_exact(&mut waiting, &mut byte).unwrap();
    assert_eq!(&byte, b"N");
    drop(waiting);
    let mut client = connect(&served).go("disk", ReplyMode::Simple);
    client.request(CommandCode::READ, 1, 0, 512);
    assert_eq!(client.reply(512).error, 0);
}

#[test]
fn silent_strangers_leave_room_for_those_who_know_what_they_want() {
    // HALL-1, F77
    let served = serve(ServerOptions {
        connections_max: 8,
        handshake_timeout: std::time::Duration::from_secs(3600),
        ..ServerOptions::default()
    });
    let mut early = connect(&served).go("disk", ReplyMode::Simple);
    let mut strangers: Vec<RawClient> = (0..9).map(|_| greet(&served)).collect();
    let mut late = connect(&served).go("disk", ReplyMode::Simple);
    for client in [&mut early, &mut late] {
        client.request(CommandCode::READ, 1, 0, 512);
        assert_eq!(client.reply(512).error, 0);
    }
    assert!(strangers[0].is_closed(), "the first one had to go");
    // Of eight, two are those who are served, and of the others two at the most may stay.
    while served.connections() > 4 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
