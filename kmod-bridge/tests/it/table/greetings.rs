//! The first bytes of a client, and the oldest way to choose an export.

use archipelago_nbd::wire::ReplyMode;

use super::row::{Demand, Row, Stage, announced, option};

fn row(name: &str, stage: Stage, says: &[u8], demand: Demand) -> Row {
    Row {
        name: format!("greeting: {name}"),
        stage,
        says: says.to_vec(),
        demand,
    }
}

pub fn rows() -> Vec<Row> {
    [flags(), oldest_way()].concat()
}

/// "The server MUST drop the connection if the client sets an unknown flag."
fn flags() -> Vec<Row> {
    let close = || Demand::Ends(Vec::new());
    let mut rows = Vec::new();
    for flags in [4_u32, 7, 1 << 16, 1 << 31, u32::MAX] {
        let name = format!("the flags {flags:#x}");
        rows.push(row(&name, Stage::Greeted, &flags.to_be_bytes(), close()));
    }
    let nonsense: [(&str, &[u8]); 5] = [
        ("a browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a secure shell", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        (
            "a TLS client",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ),
        ("an echo of the greeting", b"NBDMAGICIHAVEOPT\x00\x03"),
        ("ones", &[0xff; 64]),
    ];
    for (name, says) in nonsense {
        rows.push(row(name, Stage::Greeted, says, close()));
    }
    // Only fixed newstyle allows other options; who does not say it is served all the same, as a server may.
    for flags in [0, 1, 2, 3] {
        let name = format!("a list with the flags {flags}");
        let listed = Demand::Replies(vec![2, 2, 2, 2, 2, 1]);
        rows.push(row(&name, Stage::Flags(flags), &option(3, &[]), listed));
    }
    rows
}

fn oldest_way() -> Vec<Row> {
    let close = || Demand::Ends(Vec::new());
    let mut rows = Vec::new();
    let mut add = |name: &str, stage, says: &[u8], demand| {
        rows.push(row(&format!("by {name}"), stage, says, demand));
    };
    // The zeroes are left out for who agreed to do without them.
    for (flags, zeroes) in [(0, 124), (1, 124), (2, 0), (3, 0)] {
        let name = format!("name, with the flags {flags}");
        let says = option(1, b"disk");
        add(&name, Stage::Flags(flags), &says, Demand::Old(zeroes));
    }
    let now = Stage::Flags(3);
    add("an unknown name", now, &option(1, b"nowhere"), close());
    add("no name", now, &option(1, b""), close());
    add("a path", now, &option(1, b"../disk"), close());
    add("a name with a zero", now, &option(1, b"disk\0"), close());
    add("bytes", now, &option(1, b"\xff\xfe"), close());
    add("a name of 4096", now, &option(1, &[b'n'; 4096]), close());
    add("a name of 4097", now, &option(1, &[b'n'; 4097]), close());
    let endless = announced(1, u32::MAX, b"disk");
    add("a name without end", now, &endless, close());
    let structured = Stage::Options(ReplyMode::Structured);
    add(
        "name, with chunks",
        structured,
        &option(1, b"disk"),
        Demand::Old(0),
    );
    let extended = Stage::Options(ReplyMode::Extended);
    add(
        "name, with extended headers",
        extended,
        &option(1, b"disk"),
        close(),
    );
    rows
}
