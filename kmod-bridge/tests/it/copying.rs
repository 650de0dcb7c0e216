//! Whole disks there and back: nbdcopy, qemu-img, qemu-io, fio. What was written is what is read.

use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::ReplyMode;

use crate::support::{Served, image, run, run_in, serve, text};

const MODES: [ReplyMode; 3] = [
    ReplyMode::Simple,
    ReplyMode::Structured,
    ReplyMode::Extended,
];

fn serve_mode(mode_max: ReplyMode) -> Served {
    serve(ServerOptions {
        mode_max,
        ..ServerOptions::default()
    })
}

#[test]
fn nbdcopy_there_and_back() {
    for mode in MODES {
        let served = serve_mode(mode);
        let directory = tempfile::tempdir().unwrap();
        let (image, back) = (image(directory.path()), directory.path().join("back"));
        let uri = served.uri("disk");
        run("nbdcopy", &["--flush", text(&image), &uri]);
        run("nbdcopy", &["--request-size=4194304", &uri, text(&back)]);
        run("cmp", &[text(&image), text(&back)]);
        run(
            "nbdcopy",
            &["--synchronous", &served.tcp_uri("frozen"), text(&back)],
        );
        run("cmp", &[text(&image), text(&back)]);
    }
}

#[test]
fn nbdcopy_in_the_largest_requests() {
    for mode in MODES {
        let served = serve_mode(mode);
        let directory = tempfile::tempdir().unwrap();
        let (image, back) = (image(directory.path()), directory.path().join("back"));
        let uri = served.uri("disk");
        let large = "--request-size=33554432";
        run("nbdcopy", &[large, "--requests=4", text(&image), &uri]);
        run("nbdcopy", &[large, "--requests=4", &uri, text(&back)]);
        run("cmp", &[text(&image), text(&back)]);
    }
}

#[test]
fn qemu_img_converts_and_compares() {
    for mode in MODES {
        let served = serve_mode(mode);
        let directory = tempfile::tempdir().unwrap();
        let image = image(directory.path());
        let uri = served.uri("disk");
        let raw = ["-f", "raw", "-O", "raw"];
        run(
            "qemu-img",
            &[&["convert", "-n"], &raw[..], &[text(&image), &uri]].concat(),
        );
        let compared = run(
            "qemu-img",
            &["compare", "-f", "raw", "-F", "raw", text(&image), &uri],
        );
        assert!(compared.contains("identical"), "{compared}");
        let back = directory.path().join("back");
        run(
            "qemu-img",
            &[&["convert"], &raw[..], &[&uri, text(&back)]].concat(),
        );
        run("cmp", &[text(&image), text(&back)]);
        let map = run("qemu-img", &["map", "-f", "raw", "--output=json", &uri]);
        assert_eq!(map.contains(r#""data": false"#), mode != ReplyMode::Simple);
    }
}

#[test]
fn qemu_io_writes_zeroes_trims_and_flushes() {
    for mode in MODES {
        let served = serve_mode(mode);
        let commands = [
            "write -P 0x5a 0 8M",
            "write -f -P 0x5b 100 4001",
            "flush",
            "write -z 1M 1M",
            "write -z -u 2M 64k",
            "write -z -n -u 3M 64k",
            "discard 4M 1M",
            "read -P 0x5a 0 100",
            "read -P 0x5b 100 4001",
            "read -P 0 1M 1M",
            "read -P 0 2M 64k",
            "read -P 0 3M 64k",
            "read -P 0 4M 1M",
            "read -P 0x5a 5M 3M",
            "read -P 0 8M 56M",
        ];
        let uri = served.uri("disk");
        let mut arguments = vec!["-f", "raw", "-d", "unmap"];
        for command in commands {
            arguments.extend(["-c", command]);
        }
        arguments.push(&uri);
        let said = run("qemu-io", &arguments);
        assert!(!said.contains("fail") && !said.contains("rror"), "{said}");
    }
}

#[test]
fn qemu_io_cannot_write_to_a_read_only_export() {
    let served = serve(ServerOptions::default());
    let uri = served.uri("frozen");
    let read = ["-r", "-f", "raw", "-c", "read -P 0 0 64k", &uri];
    assert!(!run("qemu-io", &read).contains("rror"));
}

#[test]
fn fio_verifies_what_it_wrote() {
    let served = serve(ServerOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("--uri={}", served.uri("disk"));
    run_in(
        directory.path(),
        "fio",
        &[
            "--name=verify",
            "--ioengine=nbd",
            &uri,
            "--rw=randrw",
            "--bsrange=512-128k",
            "--blockalign=512",
            "--iodepth=32",
            "--size=16m",
            "--io_size=16m",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--randseed=1",
        ],
    );
}

#[test]
fn qemu_img_benches_reads_and_writes_at_depth() {
    for mode in MODES {
        let served = serve_mode(mode);
        let uri = served.uri("disk");
        let shape = [
            "-f", "raw", "-c", "2000", "-d", "32", "-s", "4096", "-S", "12288",
        ];
        for direction in [&["--pattern=90", "-w", "--flush-interval=100"][..], &[]] {
            let arguments = [&["bench"], &shape[..], direction, &[&uri]].concat();
            let said = run("qemu-img", &arguments);
            assert!(said.contains("Run completed"), "{said}");
        }
        let checks = [
            "-f",
            "raw",
            "-r",
            "-c",
            "read -P 90 12288 4096",
            "-c",
            "read -P 0 4096 8192",
        ];
        let said = run("qemu-io", &[&checks[..], &[&uri]].concat());
        assert!(!said.contains("fail") && !said.contains("rror"), "{said}");
    }
}

#[test]
fn nbdcopy_with_four_connections_there_and_back() {
    for mode in MODES {
        let served = serve_mode(mode);
        let directory = tempfile::tempdir().unwrap();
        let (image, back) = (image(directory.path()), directory.path().join("back"));
        let uri = served.uri("disk");
        let four = ["--connections=4", "--threads=4", "--requests=16"];
        run(
            "nbdcopy",
            &[&four[..], &["--flush", text(&image), &uri]].concat(),
        );
        run("nbdcopy", &[&four[..], &[&uri, text(&back)]].concat());
        run("cmp", &[text(&image), text(&back)]);
    }
}
