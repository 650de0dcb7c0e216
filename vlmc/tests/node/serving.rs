//! The NBD server of a node: its settings, its encryption, and the sockets that outlive its hosts.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::nbd::Client;
use crate::support::{Node, must, until};

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn supervisor(node: &Node) -> i32 {
    let status = node.archipelago(&["--json", "status"]).json();
    status["supervisor_pid"].as_i64().unwrap() as i32
}

/// Does it succeed?
fn can(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.unwrap().status.success()
}

#[test]
fn the_nbd_servers_settings_are_what_clients_get() {
    let settings =
        "[nbd]\nlist = false\nmemory_max = \"64 MiB\"\nstall_timeout = 5\nhandshake_timeout = 5\n";
    let node = Node::started(settings);
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let uri = node.uri("disk");
    assert_eq!(must("nbdinfo", &["--size", &uri]), "67108864\n");
    assert!(!can("nbdinfo", &["--list", &uri]), "names are not told");
    // Requests of 32 MiB, the longest there are: each by itself is half of what all may have.
    let (image, back) = (node.path("image"), node.path("back"));
    std::fs::write(&image, vec![9; 64 << 20]).unwrap();
    let [image, back] = [&image, &back].map(|path| path.to_str().unwrap());
    let large = ["--request-size=33554432", "--requests=4"];
    must("nbdcopy", &[large[0], large[1], image, &uri]);
    must("nbdcopy", &[large[0], large[1], &uri, back]);
    must("cmp", &[image, back]);
}

/// An authority of one's own, and a certificate for localhost, as openssl makes them.
fn certificates(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let script = "set -e; cd \"$0\"; exec 2>/dev/null
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj /CN=authority -keyout ca-key.pem -out ca-cert.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -subj /CN=localhost -keyout new-key.pem -out request.pem
        echo subjectAltName=DNS:localhost,IP:127.0.0.1 > extensions
        openssl x509 -req -in request.pem -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial \
            -days 2 -extfile extensions -out new-cert.pem
        mv new-key.pem key.pem; mv new-cert.pem cert.pem";
    must("sh", &["-c", script, directory.to_str().unwrap()]);
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn renewed_certificates_are_taken_when_the_supervisor_hangs_up_and_bad_ones_are_not() {
    let port = free_port();
    let node = Node::new("");
    let (own, others) = (node.path("pki"), node.path("renewed"));
    certificates(&own);
    certificates(&others);
    let text = std::fs::read_to_string(node.config()).unwrap();
    let text = format!(
        "{text}[nbd]\nlisten = \"127.0.0.1:{port}\"\ntls_certificate = \"{pki}/cert.pem\"\ntls_key = \"{pki}/key.pem\"\n",
        pki = own.display()
    );
    std::fs::write(node.config(), text).unwrap();
    node.archipelago(&["start"]).ok();
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let trusting = |authorities: &str, directory: &Path| {
        let authorities = node.path(authorities);
        std::fs::create_dir_all(&authorities).unwrap();
        let name = "ca-cert.pem";
        std::fs::copy(directory.join(name), authorities.join(name)).unwrap();
        let authorities = authorities.display();
        format!("nbds://localhost:{port}/disk?tls-certificates={authorities}")
    };
    let (old, new) = (
        trusting("trusts-own", &own),
        trusting("trusts-others", &others),
    );
    must("nbdinfo", &["--size", &old]);
    let mut stays = Client::connect(&node.path("run/nbd.sock"), "disk").unwrap();
    // As a renewal does it: another file of the name, which the host has never seen.
    std::fs::write(own.join("half"), "-----BEGIN").unwrap();
    std::fs::rename(own.join("half"), own.join("key.pem")).unwrap();
    signal(supervisor(&node), Signal::HUP);
    until("it says that it cannot", || {
        node.logs()
            .contains("certificates of the NBD export stay as they were")
    });
    let doctor = node.archipelago(&["doctor"]);
    assert!(doctor.stdout.contains("key.pem"), "{doctor:?}");
    must("nbdinfo", &["--size", &old]);
    for name in ["key.pem", "cert.pem"] {
        std::fs::rename(others.join(name), own.join(name)).unwrap();
    }
    signal(supervisor(&node), Signal::HUP);
    until("it takes the new ones", || {
        can("nbdinfo", &["--size", &new])
    });
    assert!(!can("nbdinfo", &["--size", &old]), "{}", node.logs());
    let flushed = stays.ask_all(&[crate::nbd::Ask::Flush]);
    assert!(matches!(flushed[..], [crate::nbd::Outcome::Done(_)]));
    stays.leave();
}

/// Connects again and again. Whoever was taken by a host that ends sees an end; nobody is refused.
fn knock(socket: &Path, until: &AtomicBool) -> (u32, u32) {
    let (mut greeted, mut ended) = (0, 0);
    while !until.load(Ordering::SeqCst) {
        let mut stream = UnixStream::connect(socket).expect("somebody listens");
        match stream.read_exact(&mut [0; 18]) {
            Ok(()) => greeted += 1,
            Err(error) => {
                let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(ends.contains(&error.kind()), "{error}");
                ended += 1;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    (greeted, ended)
}

#[test]
fn no_connection_is_refused_while_the_host_is_replaced() {
    // SOCKETS-1
    let node = Node::started("[hosts]\nisolate = true\n");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let (socket, over) = (node.path("run/nbd.sock"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let knocking = scope.spawn(|| knock(&socket, &over));
        for _ in 0..3 {
            let former = node.pid_of("vlmcd").unwrap();
            signal(former, Signal::KILL);
            until("another runs", || {
                node.pid_of("vlmcd").is_some_and(|pid| pid != former)
            });
            must("nbdinfo", &["--size", &node.uri("disk")]);
        }
        node.archipelago(&["restart", "vlmcd", "--force"]).ok();
        must("nbdinfo", &["--size", &node.uri("disk")]);
        over.store(true, Ordering::SeqCst);
        let (greeted, _) = knocking.join().unwrap();
        assert!(greeted > 0);
    });
    node.archipelago(&["stop"]).ok();
    let refused = UnixStream::connect(&socket).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Starts `archipelago COMMAND` as systemd starts a service that has a socket.
fn activate(node: &Node, listener: OwnedFd, command: &str) -> std::process::Child {
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_archipelago"), "--config"])
        .arg(node.config())
        .arg(command)
        .stdin(listener)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn sockets_that_the_node_was_started_with_are_served_by_every_host() {
    // SOCKETS-2, ACTIVATION-1
    for command in ["start", "supervise"] {
        let node = Node::new("");
        for directory in ["blocks", "maps", "run", "log"] {
            std::fs::create_dir_all(node.path(directory)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut child = activate(&node, listener.into(), command);
        // Nobody waits for the node: the socket does.
        let uri = |name: &str| format!("nbd://127.0.0.1:{port}/{name}");
        assert!(!can("nbdinfo", &["--size", &uri("none")]), "no such volume");
        until("it runs", || node.archipelago(&["status"]).code == 0);
        node.vlmc(&["create", "disk", "--size", "64"]).ok();
        for _ in 0..2 {
            assert_eq!(must("nbdinfo", &["--size", &uri("disk")]), "67108864\n");
            assert_eq!(
                must("nbdinfo", &["--size", &node.uri("disk")]),
                "67108864\n"
            );
            let former = node.pids()[0];
            signal(former, Signal::KILL);
            until("another runs", || {
                node.pids().first().is_some_and(|pid| *pid != former)
            });
        }
        must("nbdinfo", &["--size", &uri("disk")]);
        // Others than it has come too late, and whoever brings them is told.
        let late = TcpListener::bind("127.0.0.1:0").unwrap();
        let told = activate(&node, late.into(), "start").wait().unwrap();
        assert_eq!(told.code(), Some(5), "{command}");
        must("nbdinfo", &["--size", &uri("disk")]);
        node.archipelago(&["stop"]).ok();
        assert!(child.wait().unwrap().success(), "{command}");
    }
}

/// As docs/attach.md tells it.
#[cfg(feature = "tls-psk")]
#[test]
fn users_of_the_key_file_reach_a_volume_and_new_ones_are_taken_when_the_supervisor_hangs_up() {
    use std::os::unix::fs::PermissionsExt;
    let port = free_port();
    let node = Node::new("");
    let [server, client] = ["etc", "vm1"].map(|name| {
        std::fs::create_dir_all(node.path(name)).unwrap();
        node.path(name).join("keys.psk")
    });
    let secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    // Another file of the name each time, as whoever writes files with care does it.
    let write = |text: &str| {
        let new = server.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(new, &server).unwrap();
    };
    write(&format!("other:{secret}\n"));
    std::fs::write(&client, format!("vm1:{secret}\n")).unwrap();
    let text = std::fs::read_to_string(node.config()).unwrap();
    let text = format!(
        "{text}[nbd]\nlisten = \"0.0.0.0:{port}\"\ntls_psk_file = \"{}\"\n",
        server.display()
    );
    std::fs::write(node.config(), text).unwrap();
    node.archipelago(&["start"]).ok();
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let uri = format!(
        "nbds://vm1@127.0.0.1:{port}/disk?tls-psk-file={}",
        client.display()
    );
    let plain = format!("nbd://127.0.0.1:{port}/disk");
    assert!(!can("nbdinfo", &["--size", &uri]), "nobody knows vm1");
    assert!(!can("nbdinfo", &["--size", &plain]), "in the clear");
    write(&format!("other:{secret}\nvm1:{secret}\n"));
    signal(supervisor(&node), Signal::HUP);
    until("vm1 is known", || can("nbdinfo", &["--size", &uri]));
    let object = format!(
        "--object=tls-creds-psk,id=tls0,dir={},username=vm1,endpoint=client",
        node.path("vm1").display()
    );
    let disk = format!("driver=nbd,host=127.0.0.1,port={port},export=disk,tls-creds=tls0");
    let info = must("qemu-img", &["info", &object, "--image-opts", &disk]);
    assert!(info.contains("64 MiB"), "{info}");
    write("vm1:too-short\n");
    signal(supervisor(&node), Signal::HUP);
    until("it says that it cannot", || {
        node.logs().contains("line 1: a key has")
    });
    must("nbdinfo", &["--size", &uri]);
    let doctor = node.archipelago(&["doctor"]);
    assert!(doctor.stdout.contains("line 1: a key has"), "{doctor:?}");
}
