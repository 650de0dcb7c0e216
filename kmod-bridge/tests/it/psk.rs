//! Pre-shared keys, with the programs that people use: GnuTLS' clients against our OpenSSL.
#![cfg(feature = "tls-psk")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archipelago_front::MemDisks;
use archipelago_nbd::wire::ReplyMode;
use archipelago_nbd::{ServerOptions, Tls, TlsError};
use tempfile::TempDir;

use crate::support::{Served, connect, disks, image, refused, run, serve_at, text};

const ALICE: &str = "alice:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const BOB: &str = "bob:00112233445566778899aabbccddeeff";
/// The same user with another key.
const FALSE_ALICE: &str = "alice:1f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const CAROL: &str = "carol:00112233445566778899aabbccddeeff";

/// In a directory of its own, under the name that QEMU looks for.
fn keys(lines: &[&str]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.psk");
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    (directory, path)
}

/// On an address that other machines can reach: nothing is said in the clear.
fn serve_off_host(tls: Tls) -> Served {
    let options = ServerOptions {
        tls: Some(tls),
        handshake_timeout: Duration::from_secs(2),
        ..ServerOptions::default()
    };
    serve_at("0.0.0.0:0", options, disks as fn(&_) -> MemDisks)
}

fn tcp(served: &Served, user: &str, keys: &Path) -> String {
    let port = served.tcp_port;
    format!(
        "nbds://{user}@127.0.0.1:{port}/disk?tls-psk-file={}",
        keys.display()
    )
}

fn unix(served: &Served, user: &str, keys: &Path) -> String {
    let (socket, keys) = (served.socket(), keys.display());
    format!(
        "nbds+unix://{user}@/disk?socket={}&tls-psk-file={keys}",
        socket.display()
    )
}

#[test]
fn libnbd_is_let_in_with_its_users_key_and_nobody_else_is() {
    // PSK-2, EXPOSURE-1
    let (_ours, file) = keys(&[ALICE, BOB]);
    let served = serve_off_host(Tls::load_shared_keys(&file).unwrap());
    for uri in [tcp(&served, "alice", &file), unix(&served, "bob", &file)] {
        assert_eq!(run("nbdinfo", &["--size", &uri]), "67108864\n");
        let protocol = run("nbdinfo", &[&uri]);
        assert!(protocol.contains("with TLS"), "{protocol}");
    }
    let (_other, wrong) = keys(&[FALSE_ALICE, CAROL]);
    for user in ["alice", "carol"] {
        refused("nbdinfo", &["--size", &tcp(&served, user, &wrong)]);
        refused("nbdinfo", &["--size", &unix(&served, user, &wrong)]);
    }
    // In the clear, and with TLS that knows no keys.
    refused("nbdinfo", &["--size", &served.tcp_uri("disk")]);
    let without = format!("nbds://127.0.0.1:{}/disk", served.tcp_port);
    refused("nbdinfo", &["--size", &without]);
    // None of them disturbed those who are welcome.
    run("nbdinfo", &["--size", &tcp(&served, "alice", &file)]);
}

#[test]
fn whole_disks_go_there_and_back_by_shared_keys() {
    let (_ours, file) = keys(&[ALICE]);
    let served = serve_off_host(Tls::load_shared_keys(&file).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let (image, back) = (image(directory.path()), directory.path().join("back"));
    let uri = tcp(&served, "alice", &file);
    run(
        "nbdcopy",
        &["--flush", "--connections=4", text(&image), &uri],
    );
    run("nbdcopy", &["--request-size=4194304", &uri, text(&back)]);
    run("cmp", &[text(&image), text(&back)]);
}

/// QEMU's arguments for an image that needs a key.
fn qemu(served: &Served, user: &str, keys: &Path) -> [String; 3] {
    let port = served.tcp_port;
    [
        format!(
            "--object=tls-creds-psk,id=tls0,dir={},username={user},endpoint=client",
            keys.parent().unwrap().display()
        ),
        "--image-opts".to_owned(),
        format!("driver=nbd,host=127.0.0.1,port={port},export=disk,tls-creds=tls0"),
    ]
}

#[test]
fn qemu_is_let_in_with_its_users_key_and_not_with_another() {
    // PSK-2
    let (_ours, file) = keys(&[ALICE]);
    let served = serve_off_host(Tls::load_shared_keys(&file).unwrap());
    let [object, options, disk] = qemu(&served, "alice", &file);
    let info = run("qemu-img", &["info", &object, &options, &disk]);
    assert!(info.contains("64 MiB"), "{info}");
    let io = ["-c", "write -P 7 1M 3M", "-c", "read -P 7 1M 3M"];
    let done = run(
        "qemu-io",
        &[&[&object[..], &options, &disk], &io[..]].concat(),
    );
    assert!(!done.contains("failed"), "{done}");
    let port = served.tcp_port.to_string();
    let list = ["--list", "--bind=127.0.0.1", "--port", &port];
    let listed = run(
        "qemu-nbd",
        &[&list[..], &[&object, "--tls-creds=tls0"]].concat(),
    );
    assert!(listed.contains("export: 'disk'"), "{listed}");
    let (_other, wrong) = keys(&[FALSE_ALICE, CAROL]);
    for user in ["alice", "carol"] {
        let [object, options, disk] = qemu(&served, user, &wrong);
        refused("qemu-img", &["info", &object, &options, &disk]);
    }
    refused("qemu-img", &["info", &served.tcp_uri("disk")]);
}

#[test]
fn a_client_that_knows_only_the_older_tls_is_let_in_by_its_key_as_well() {
    // PSK-2
    let (_ours, file) = keys(&[ALICE]);
    let served = serve_off_host(Tls::load_shared_keys(&file).unwrap());
    let (_other, wrong) = keys(&[FALSE_ALICE, CAROL]);
    let older = |user: &str, keys: &Path| {
        let [object, options, disk] = qemu(&served, user, keys);
        [
            format!("{object},priority=NORMAL:-VERS-TLS1.3"),
            options,
            disk,
        ]
    };
    let [object, options, disk] = older("alice", &file);
    let io = ["-c", "write -P 7 1M 3M", "-c", "read -P 7 1M 3M"];
    let done = run(
        "qemu-io",
        &[&[&object[..], &options, &disk], &io[..]].concat(),
    );
    assert!(!done.contains("failed"), "{done}");
    for user in ["alice", "carol"] {
        let [object, options, disk] = older(user, &wrong);
        refused("qemu-img", &["info", &object, &options, &disk]);
    }
}

#[test]
fn users_come_and_go_while_the_server_runs() {
    let (_ours, file) = keys(&[ALICE]);
    let tls = Tls::load_shared_keys(&file).unwrap();
    let served = serve_off_host(tls.clone());
    let (_both, both) = keys(&[ALICE, BOB]);
    let uri = |user| tcp(&served, user, &both);
    refused("nbdinfo", &["--size", &uri("bob")]);
    std::fs::write(&file, "alice\n").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Users { .. })));
    run("nbdinfo", &["--size", &uri("alice")]);
    std::fs::write(&file, BOB).unwrap();
    tls.reload().unwrap();
    run("nbdinfo", &["--size", &uri("bob")]);
    refused("nbdinfo", &["--size", &uri("alice")]);
}

#[test]
fn what_is_no_tls_ends_that_connection_and_no_other() {
    // TLS-1, F81
    let (_ours, file) = keys(&[ALICE]);
    let served = serve_off_host(Tls::load_shared_keys(&file).unwrap());
    for nonsense in [&[0; 64][..], b"GET / HTTP/1.0\r\n\r\n", &[0x16, 3, 1, 0, 0]] {
        let mut client = connect(&served);
        client.option(5, &[]);
        assert_eq!(client.option_reply(), 1);
        client.write(nonsense);
        // An alert may come first.
        while !client.is_closed() {}
    }
    // What is sent along with STARTTLS does not count.
    let mut hasty = connect(&served);
    let mut both = Vec::new();
    both.extend(b"IHAVEOPT\0\0\0\x05\0\0\0\0IHAVEOPT\0\0\0\x03\0\0\0\0");
    hasty.write(&both);
    while !hasty.is_closed() {}
    let mut plain = connect(&served).go("disk", ReplyMode::Simple);
    plain.request(archipelago_nbd::wire::CommandCode::FLUSH, 1, 0, 0);
    assert_eq!(plain.reply(0).error, 0);
    run("nbdinfo", &["--size", &tcp(&served, "alice", &file)]);
}
