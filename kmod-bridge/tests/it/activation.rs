//! Sockets that listen before the server is there: the test binary is started as systemd starts a service, with descriptors
//! from 3 on.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use archipelago_front::{MemDisk, MemDisks};
use archipelago_nbd::{Server, ServerOptions, activated};
use archipelago_runtime::{Reactor, ReactorOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

use crate::support::run;

const ENTRY: &str = "ARCHIPELAGO_NBD_TEST_ACTIVATED";

/// The server runs here, until it is killed; in the test run itself it is a test that has nothing to do.
#[test]
fn entry() {
    if std::env::var_os(ENTRY).is_none() {
        return;
    }
    let listeners = match activated() {
        Ok(listeners) => listeners,
        Err(error) => {
            eprintln!("refused: {error}");
            std::process::exit(3);
        }
    };
    eprintln!("{} sockets", listeners.len());
    let segment = CreateOptions::new(Geometry::new(1, 1, 8).unwrap());
    let segment = segment.create_private().unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let exports = MemDisks::new();
    exports.insert("disk".parse().unwrap(), MemDisk::new(7 << 20));
    let server = Server::new(&reactor.handle(), exports, ServerOptions::default()).unwrap();
    let count = listeners.len();
    for listener in listeners {
        server.listen(listener).unwrap();
    }
    if count > 0 {
        reactor.block_on(std::future::pending::<()>());
    }
}

/// Starts it with `environment`, and with these as its descriptors 3 and 4.
fn start(environment: &str, three: Stdio, four: Stdio) -> Child {
    let script = format!(
        "exec 3<&0 4>&1 0</dev/null 1>/dev/null; {environment} exec \"$0\" --exact activation::entry --nocapture"
    );
    Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(ENTRY, "1")
        .stdin(three)
        .stdout(four)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_server_serves_the_sockets_that_it_was_started_with() {
    // ACTIVATION-1
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("nbd.sock");
    let unix: OwnedFd = UnixListener::bind(&socket).unwrap().into();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let tcp: OwnedFd = tcp.into();
    let environment = "LISTEN_PID=$$ LISTEN_FDS=2";
    let mut server = start(environment, unix.into(), tcp.into());
    // They listen already: nobody has to wait for the server to be there.
    let unix = format!("nbd+unix:///disk?socket={}", socket.display());
    let sizes =
        [unix, format!("nbd://127.0.0.1:{port}/disk")].map(|uri| run("nbdinfo", &["--size", &uri]));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(sizes, ["7340032\n", "7340032\n"]);
}

#[test]
fn what_is_no_listening_socket_is_refused_with_its_number() {
    // ACTIVATION-1
    let ours = "LISTEN_PID=$$";
    for (environment, said) in [
        (
            format!("{ours} LISTEN_FDS=1"),
            "refused: descriptor 3 of LISTEN_FDS is no",
        ),
        (format!("{ours} LISTEN_FDS=9"), "refused: descriptor 3 of"),
        (
            format!("{ours} LISTEN_FDS=many"),
            "refused: LISTEN_FDS is \"many\"",
        ),
        (
            format!("{ours} LISTEN_FDS=1000"),
            "refused: LISTEN_FDS is 1000",
        ),
        ("LISTEN_PID=1 LISTEN_FDS=1".to_owned(), "0 sockets"),
        (String::new(), "0 sockets"),
    ] {
        let server = start(&environment, Stdio::null(), Stdio::null());
        let output = server.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(said), "{environment}: {told}");
    }
    // A socket that does not listen, and a number that is not open.
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let one: OwnedFd = one.into();
    let server = start(&format!("{ours} LISTEN_FDS=1"), one.into(), Stdio::null());
    let output = server.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("descriptor 3 of LISTEN_FDS is no"), "{told}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener: OwnedFd = listener.into();
    let closed = format!("exec 4>&-; {ours} LISTEN_FDS=2");
    let server = start(&closed, listener.into(), Stdio::null());
    let output = server.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("descriptor 4 of LISTEN_FDS=2 is not open"),
        "{told}"
    );
}
