//! Encrypted connections with the clients that people use, and those that must not get in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use archipelago_nbd::{ServerOptions, Tls, TlsError, TlsFiles};

use crate::support::certificates::Certificates;
use crate::support::{
    Served, begin_shell, disks, image, refused, run, serve, serve_at, shell, text,
};

const STARTTLS: &[u8] = b"IHAVEOPT\0\0\0\x05\0\0\0\0";
/// Its acknowledgement.
const BEGIN: &[u8] = b"\x00\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x05\0\0\0\x01\0\0\0\0";

fn options(files: TlsFiles) -> ServerOptions {
    ServerOptions {
        tls: Some(Tls::load(files).unwrap()),
        ..ServerOptions::default()
    }
}

/// A server that other machines could reach.
fn serve_off_host(options: ServerOptions) -> Served {
    serve_at("0.0.0.0:0", options, disks)
}

fn tcp(served: &Served, certificates: &Path) -> String {
    let (port, certificates) = (served.tcp_port, text(certificates));
    format!("nbds://127.0.0.1:{port}/disk?tls-certificates={certificates}")
}

fn unix(served: &Served, certificates: &Path) -> String {
    let (socket, certificates) = (served.socket(), text(certificates).to_owned());
    let socket = text(&socket);
    format!("nbds+unix:///disk?socket={socket}&tls-certificates={certificates}")
}

#[test]
fn libnbd_copies_there_and_back_through_tls() {
    // TLS-2, TLS-3
    let certificates = Certificates::new();
    let served = serve(options(certificates.files()));
    let directory = tempfile::tempdir().unwrap();
    let (image, back) = (image(directory.path()), directory.path().join("back"));
    let uris = [
        tcp(&served, certificates.directory.path()),
        unix(&served, certificates.directory.path()),
    ];
    for uri in &uris {
        let told = run("nbdinfo", &["--json", uri]);
        assert!(told.contains(r#""TLS": true"#), "{told}");
        assert!(told.contains(r#""structured": true"#), "{told}");
        run("nbdcopy", &["--flush", text(&image), uri]);
        let largest = "--request-size=33554432";
        run("nbdcopy", &[largest, "--requests=4", uri, text(&back)]);
        run("cmp", &[text(&image), text(&back)]);
        let map = run("nbdinfo", &["--map", uri]);
        assert!(map.contains("hole"), "{map}");
    }
    // What may be encrypted need not be on this machine.
    let plain = run("nbdinfo", &["--json", &served.tcp_uri("disk")]);
    assert!(plain.contains(r#""TLS": false"#), "{plain}");
    let without = serve(ServerOptions::default());
    refused("nbdinfo", &[&unix(&without, certificates.directory.path())]);
}

#[test]
fn qemu_copies_and_compares_through_tls_with_certificates_on_both_sides() {
    let certificates = Certificates::new();
    let served = serve_off_host(options(certificates.mutual()));
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path());
    let credentials = format!(
        "tls-creds-x509,id=tls,endpoint=client,dir={}",
        text(certificates.directory.path())
    );
    let port = served.tcp_port;
    let disk = format!(
        "driver=raw,file.driver=nbd,file.host=127.0.0.1,file.port={port},file.export=disk,file.tls-creds=tls,file.tls-hostname=localhost"
    );
    let object = ["--object", &credentials];
    let target = [
        "--target-image-opts",
        "-n",
        "-f",
        "raw",
        text(&image),
        &disk,
    ];
    run("qemu-img", &[&["convert"], &object[..], &target].concat());
    let file = format!("driver=raw,file.driver=file,file.filename={}", text(&image));
    let compare = ["--image-opts", &file, &disk];
    let said = run("qemu-img", &[&["compare"], &object[..], &compare].concat());
    assert!(said.contains("identical"), "{said}");
    let list = [
        "--list",
        "-b",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "--tls-creds",
        "tls",
        "--tls-hostname",
        "localhost",
    ];
    let listed = run("qemu-nbd", &[&object[..], &list].concat());
    assert!(listed.contains("export: 'disk'"), "{listed}");
}

#[test]
fn who_shows_no_certificate_or_a_strange_one_is_not_let_in() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let served = serve_off_host(options(certificates.mutual()));
    let with = certificates.directory.path();
    assert_eq!(
        run("nbdinfo", &["--size", &tcp(&served, with)]),
        "67108864\n"
    );
    refused("nbdinfo", &[&tcp(&served, certificates.anonymous().path())]);
    // A client of another authority, which trusts this server.
    let strange = certificates.anonymous();
    for name in ["client-cert.pem", "client-key.pem"] {
        std::fs::copy(others.path(name), strange.path().join(name)).unwrap();
    }
    refused("nbdinfo", &[&tcp(&served, strange.path())]);
    // And one that does not trust it.
    refused("nbdinfo", &[&tcp(&served, others.directory.path())]);
    assert_eq!(
        run("nbdinfo", &["--size", &tcp(&served, with)]),
        "67108864\n"
    );
}

fn greeted(served: &Served) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", served.tcp_port)).unwrap();
    let patience = Some(Duration::from_secs(60));
    client.set_read_timeout(patience).unwrap();
    client.read_exact(&mut [0; 18]).unwrap();
    client.write_all(&3_u32.to_be_bytes()).unwrap();
    client
}

#[test]
fn other_machines_get_nothing_in_the_clear() {
    // EXPOSURE-1, HANDSHAKE-5, F81
    let certificates = Certificates::new();
    let served = serve_off_host(options(certificates.files()));
    let plain = served.tcp_uri("disk");
    for arguments in [&["--size", &plain][..], &["--list", &plain]] {
        refused("nbdinfo", arguments);
    }
    let script = format!(
        "h.set_handshake_flags(0)\ntry:\n h.connect_uri('{plain}')\nexcept nbd.Error:\n print('refused')"
    );
    assert_eq!(shell(&script), "refused\n");
    // The unix socket of the same server is for this machine.
    run("nbdinfo", &["--size", &served.uri("disk")]);
    run(
        "nbdinfo",
        &["--size", &tcp(&served, certificates.anonymous().path())],
    );
}

#[test]
fn what_was_sent_in_the_clear_behind_starttls_is_never_an_option() {
    // TLS-1, F81
    let certificates = Certificates::new();
    let served = serve_off_host(options(certificates.files()));
    let mut client = greeted(&served);
    let list = b"IHAVEOPT\0\0\0\x03\0\0\0\0";
    client.write_all(&[STARTTLS, list].concat()).unwrap();
    let mut said = Vec::new();
    let _ended = client.read_to_end(&mut said); // an end, or a reset
    assert!(said.starts_with(BEGIN), "{said:?}");
    // An alert at most: no name of an export.
    assert!(said.len() < BEGIN.len() + 20, "{said:?}");
}

#[test]
fn a_client_that_stops_within_the_tls_handshake_is_sent_away() {
    // GREETING-1
    let certificates = Certificates::new();
    let served = serve(ServerOptions {
        handshake_timeout: Duration::from_millis(50),
        ..options(certificates.files())
    });
    for silent in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = greeted(&served);
        client.write_all(STARTTLS).unwrap();
        let mut begun = [0; 20];
        client.read_exact(&mut begun).unwrap();
        assert_eq!(begun, BEGIN);
        client.write_all(silent).unwrap();
        let mut said = Vec::new();
        client.read_to_end(&mut said).unwrap();
        assert!(said.is_empty(), "{said:?}");
    }
}

#[test]
fn a_drain_lets_encrypted_clients_go_when_they_have_their_answers() {
    // SERVER-1, TLS-2
    let certificates = Certificates::new();
    let mut served = serve(options(certificates.files()));
    let uri = tcp(&served, certificates.directory.path());
    let script = format!(
        "h.set_uri_allow_local_file(True)\nh.connect_uri('{uri}')\nh.pwrite(b'x' * 33554432, 0)\n\
         assert h.pread(33554432, 0) == b'x' * 33554432\nprint('ready', flush=True)\n\
         while not h.aio_is_closed() and not h.aio_is_dead(): h.poll(-1)\n"
    );
    let mut client = begin_shell(&script);
    let mut ready = String::new();
    let mut said = BufReader::new(client.stdout.take().unwrap());
    said.read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    served.drain()();
    assert!(client.wait().is_ok()); // it sees the end
}

#[test]
fn files_that_do_not_work_are_refused_with_their_names() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let good = certificates.mutual();
    let empty = certificates.path("empty");
    std::fs::write(&empty, "nothing\n").unwrap();
    let broken = certificates.path("broken");
    let text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    std::fs::write(&broken, text).unwrap();
    let missing = certificates.path("missing");
    let load = |files: TlsFiles| Tls::load(files).unwrap_err();
    for (path, is_nothing) in [(&missing, false), (&empty, true)] {
        for files in [
            TlsFiles {
                certificates: path.clone(),
                ..good.clone()
            },
            TlsFiles {
                key: path.clone(),
                ..good.clone()
            },
            TlsFiles {
                client_authorities: Some(path.clone()),
                ..good.clone()
            },
        ] {
            let error = load(files);
            assert_eq!(
                matches!(error, TlsError::Nothing { .. }),
                is_nothing,
                "{error}"
            );
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
    let other_key = TlsFiles {
        key: others.files().key,
        ..good.clone()
    };
    assert!(matches!(load(other_key), TlsError::Unusable { .. }));
    let authorities = TlsFiles {
        client_authorities: Some(broken),
        ..good.clone()
    };
    assert!(matches!(load(authorities), TlsError::Authorities { .. }));
}

#[test]
fn renewed_certificates_are_read_while_the_server_runs() {
    let (certificates, renewed) = (Certificates::new(), Certificates::new());
    let tls = Tls::load(certificates.files()).unwrap();
    let served = serve_off_host(ServerOptions {
        tls: Some(tls.clone()),
        ..ServerOptions::default()
    });
    let old = tcp(&served, certificates.directory.path());
    let new = tcp(&served, renewed.directory.path());
    run("nbdinfo", &["--size", &old]);
    std::fs::write(certificates.path("server-key.pem"), "half of a key").unwrap();
    tls.reload().unwrap_err();
    run("nbdinfo", &["--size", &old]);
    for name in ["server-key.pem", "server-cert.pem"] {
        std::fs::copy(renewed.path(name), certificates.path(name)).unwrap();
    }
    tls.reload().unwrap();
    run("nbdinfo", &["--size", &new]);
    refused("nbdinfo", &["--size", &old]);
}
