//! Clients years younger than Debian 12's, which ask for extended headers: libnbd 1.22 and QEMU 10, or later.

use archipelago_front::{MemDisk, MemDisks};
use archipelago_guest::{Cache, Release};
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::ReplyMode;

use crate::support::{Served, image, serve, serve_with, text};

/// Runs a program of the newest release, which must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let cache = Cache::find(Release::Newest).unwrap_or_else(|error| panic!("{error}"));
    let command = cache.program(program);
    let mut command = command.unwrap_or_else(|error| panic!("{error}"));
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Longer than what a header of 32 bits can name.
const LARGE: u64 = 8 << 40;

fn serve_large() -> Served {
    serve_with(ServerOptions::default(), |_| {
        let exports = MemDisks::new();
        exports.insert("large".parse().unwrap(), MemDisk::new(LARGE));
        exports
    })
}

fn spaceless(said: &str) -> String {
    said.split_whitespace().collect()
}

#[test]
fn extended_headers_are_agreed_on_where_the_server_has_them() {
    for (mode_max, extended) in [
        (ReplyMode::Extended, true),
        (ReplyMode::Structured, false),
        (ReplyMode::Simple, false),
    ] {
        let options = ServerOptions {
            mode_max,
            ..ServerOptions::default()
        };
        let served = serve(options);
        let told = run("nbdinfo", &["--json", &served.uri("disk")]);
        let expected = format!(r#""extended": {extended}"#);
        assert!(told.contains(&expected), "{expected} in {told}");
        assert!(told.contains(r#""export-size": 67108864"#), "{told}");
    }
}

#[test]
fn a_hole_of_terabytes_is_one_extent() {
    let served = serve_large();
    let uri = served.uri("large");
    let extent = |offset: u64, length: u64, kind: u32| {
        format!(r#""offset":{offset},"length":{length},"type":{kind},"#)
    };
    let map = spaceless(&run("nbdinfo", &["--map", "--json", &uri]));
    assert!(map.contains(&extent(0, LARGE, 3)), "{map}");
    let at = LARGE - (1 << 40);
    let write = format!("write -P 7 {at} 1M");
    run("qemu-io", &["-f", "raw", "-c", &write, &uri]);
    let map = spaceless(&run("nbdinfo", &["--map", "--json", &uri]));
    for expected in [
        extent(0, at, 3),
        extent(at, 1 << 20, 0),
        extent(at + (1 << 20), (1 << 40) - (1 << 20), 3),
    ] {
        assert!(map.contains(&expected), "{expected} in {map}");
    }
    let told = run("qemu-img", &["map", "-f", "raw", "--output=json", &uri]);
    let told = spaceless(&told);
    let data = format!(r#""start":{at},"length":1048576,"depth":0,"present":true,"zero":false"#);
    assert!(told.contains(&data), "{data} in {told}");
}

#[test]
fn zeroes_and_discards_of_gigabytes_do_what_they_say() {
    let served = serve_large();
    let uri = served.uri("large");
    let io = |command: &str| {
        run(
            "qemu-io",
            &["-f", "raw", "-d", "unmap", "-c", command, &uri],
        )
    };
    io("write -P 7 1G 1M");
    io("write -P 8 6G 1M");
    io("write -z -u 512M 2047M");
    io("discard 4G 2047M");
    io("read -P 0 1G 1M");
    io("read -P 8 6G 1M");
    io("discard 5G 2047M");
    io("read -P 0 6G 1M");
    io("flush");
    let map = spaceless(&run("nbdinfo", &["--map", "--json", &uri]));
    assert!(map.contains(&format!(r#""offset":0,"length":{LARGE},"type":3"#)));
}

#[test]
fn images_are_copied_there_and_back() {
    for mode_max in [
        ReplyMode::Simple,
        ReplyMode::Structured,
        ReplyMode::Extended,
    ] {
        let served = serve(ServerOptions {
            mode_max,
            ..ServerOptions::default()
        });
        let directory = tempfile::tempdir().unwrap();
        let (image, back) = (image(directory.path()), directory.path().join("back"));
        let uri = served.uri("disk");
        run(
            "nbdcopy",
            &["--connections=4", "--flush", text(&image), &uri],
        );
        run("nbdcopy", &["--connections=4", &uri, text(&back)]);
        let same = ["compare", "-f", "raw", "-F", "raw", text(&image)];
        run("qemu-img", &[&same[..], &[text(&back)]].concat());
        let raw = ["-n", "-f", "raw", "-O", "raw"];
        let copy = [&["convert"], &raw[..], &[text(&image), &uri]].concat();
        run("qemu-img", &copy);
        run("qemu-img", &[&same[..], &[&uri]].concat());
    }
}
