//! Clients that are slow or silent: cut off where somebody waits for them, left alone where nobody does.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode, command_flags};

use crate::support::{RawClient, Served, connect, serve};

/// A server that does not wait for long.
fn serve_hastily() -> Served {
    serve(ServerOptions {
        stall_timeout: Duration::from_millis(50),
        ..ServerOptions::default()
    })
}

fn client(served: &Served) -> RawClient {
    connect(served).go("disk", ReplyMode::Structured)
}

#[test]
fn half_a_request_ends_the_connection_after_a_while_and_silence_does_not() {
    // INPUT-1, F76
    let served = serve_hastily();
    let mut idle = client(&served);
    let magic = 0x2560_9513_u32.to_be_bytes();
    for len in [1, 3, 4] {
        let mut half = client(&served);
        half.write(&magic[..len]);
        assert!(half.is_closed(), "{len} bytes of a header");
    }
    let mut refused = client(&served);
    refused.flagged(command_flags::REQ_ONE, CommandCode::WRITE, 1, 0, 70_000);
    refused.write(&[1; 20_000]);
    assert!(refused.is_closed(), "half of what is skipped");
    let mut written = client(&served);
    written.request(CommandCode::WRITE, 1, 0, 70_000);
    assert!(written.is_closed(), "nothing of a write");
    // All of them took longer than a client may be silent within a request.
    idle.request(CommandCode::FLUSH, 1, 0, 0);
    assert!(idle.chunk().is_last);
}

#[test]
fn a_client_that_takes_nothing_of_its_answers_is_cut_off() {
    // OUTBOX-4, F75
    let served = serve_hastily();
    let mut deaf = client(&served);
    deaf.request(CommandCode::WRITE, 1, 0, 1 << 20);
    deaf.write(&vec![1; 1 << 20]);
    assert!(deaf.chunk().is_last);
    let mut others = client(&served);
    while served.connections() < 2 {
        std::thread::yield_now();
    }
    for cookie in 0..64 {
        deaf.request(CommandCode::READ, cookie, 0, 1 << 20);
    }
    // It is gone from the server's side before it takes the first byte.
    while served.connections() > 1 {
        others.request(CommandCode::FLUSH, 2, 0, 0);
        assert!(others.chunk().is_last);
    }
    let mut rest = Vec::new();
    let _ended = deaf.stream.read_to_end(&mut rest); // an end, or a reset
    assert!(
        rest.len() < 32 << 20,
        "{} bytes were kept for it",
        rest.len()
    );
}

/// What the kernel says of the server's side of a connection: the timer that runs, and when it ends.
fn timer(served: &Served, client: &TcpStream) -> (u32, u64) {
    let port = |port: u16| format!("0100007F:{port:04X}");
    let local = port(served.tcp_port);
    let remote = port(client.local_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect());
    let row: Vec<&str> = rows
        .into_iter()
        .find(|row: &Vec<&str>| row[1] == local && row[2] == remote)
        .expect("the connection is there");
    let (kind, when) = row[5].split_once(':').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    (number(kind) as u32, number(when))
}

#[test]
fn the_machine_of_an_idle_tcp_client_is_asked_whether_it_is_there() {
    let served = serve(ServerOptions::default());
    let mut client = TcpStream::connect(("127.0.0.1", served.tcp_port)).unwrap();
    client.read_exact(&mut [0; 18]).unwrap();
    let (keepalive, hundredths) = timer(&served, &client);
    assert_eq!(keepalive, 2);
    assert!(
        hundredths <= 6000,
        "{hundredths}: the kernel's own idea is two hours"
    );
}
