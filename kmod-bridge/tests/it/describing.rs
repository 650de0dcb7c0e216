//! nbdinfo and qemu-nbd: what is there, and what it can do.

use archipelago_front::{MemDisk, MemDisks};
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::ReplyMode;

use crate::support::{refused, run, serve, serve_with, shell};

#[test]
fn nbdinfo_sees_all_that_an_export_can_do() {
    let served = serve(ServerOptions::default());
    let told = run("nbdinfo", &["--json", &served.uri("disk")]);
    for expected in [
        r#""protocol": "newstyle-fixed""#,
        r#""structured": true"#,
        r#""description": "in memory""#,
        r#""export-size": 67108864"#,
        r#""base:allocation""#,
        r#""is_read_only": false"#,
        r#""can_cache": true"#,
        r#""can_df": true"#,
        r#""can_fast_zero": true"#,
        r#""can_flush": true"#,
        r#""can_fua": true"#,
        r#""can_multi_conn": true"#,
        r#""can_trim": true"#,
        r#""can_zero": true"#,
        r#""block_size_minimum": 1"#,
        r#""block_size_preferred": 4096"#,
        r#""block_size_maximum": 33554432"#,
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
}

#[test]
fn exports_are_found_by_name_over_unix_and_tcp() {
    let served = serve(ServerOptions::default());
    for uri in [served.uri("a b&c@d"), served.tcp_uri("a b&c@d")] {
        assert_eq!(run("nbdinfo", &["--size", &uri]), "1048576\n");
    }
    assert_eq!(run("nbdinfo", &["--size", &served.uri("empty")]), "0\n");
    run("nbdinfo", &["--is", "read-only", &served.uri("frozen")]);
}

#[test]
fn nbdinfo_and_qemu_nbd_list_all_exports() {
    let served = serve(ServerOptions::default());
    let listed = run("nbdinfo", &["--list", "--json", &served.uri("")]);
    let socket = served.socket();
    let qemu = run("qemu-nbd", &["--list", "-k", socket.to_str().unwrap()]);
    for name in ["disk", "frozen", "empty", "a b&c@d"] {
        assert!(
            listed.contains(&format!(r#""export-name": "{name}""#)),
            "{listed}"
        );
        assert!(qemu.contains(&format!("export: '{name}'")), "{qemu}");
    }
    assert!(qemu.contains("exports available: 4"), "{qemu}");
}

#[test]
fn the_map_shows_what_was_written_and_what_was_trimmed() {
    let served = serve(ServerOptions::default());
    let uri = served.uri("disk");
    shell(&format!(
        "h.connect_uri('{uri}'); h.pwrite(b'x' * 1048576, 4194304); h.trim(65536, 4194304 + 65536)"
    ));
    let map = run("nbdinfo", &["--map", "--json", &uri]);
    let spaceless: String = map.split_whitespace().collect();
    for (offset, length, kind) in [
        (0u64, 4194304u64, 3),
        (4194304, 65536, 0),
        (4259840, 65536, 3),
        (4325376, 917504, 0),
    ] {
        let extent = format!(r#""offset":{offset},"length":{length},"type":{kind},"#);
        assert!(spaceless.contains(&extent), "{extent} in {map}");
    }
}

#[test]
fn an_unknown_export_is_an_error_with_a_reason() {
    let served = serve(ServerOptions::default());
    let uri = served.uri("nowhere");
    let script = format!(
        "try:\n h.connect_uri('{uri}')\n print('connected')\nexcept nbd.Error as e:\n print(e.string)"
    );
    let said = shell(&script);
    assert!(said.contains("no export named 'nowhere'"), "{said}");
}

#[test]
fn info_then_another_export_then_go() {
    let served = serve(ServerOptions::default());
    let socket = served.socket();
    let script = format!(
        "h.set_opt_mode(True); h.connect_unix('{}'); h.set_export_name('empty'); h.opt_info(); \
         print(h.get_size()); h.set_export_name('disk'); h.add_meta_context('base:allocation'); \
         h.opt_go(); print(h.get_size(), h.can_meta_context('base:allocation'))",
        socket.display()
    );
    assert_eq!(shell(&script), "0\n67108864 True\n");
}

#[test]
fn a_client_may_ask_for_less() {
    let served = serve(ServerOptions::default());
    let socket = served.socket();
    for (prepare, told) in [
        ("h.set_request_structured_replies(False)", "False"),
        ("h.set_handshake_flags(0)", "False"),
        (
            "h.set_handshake_flags(nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE)",
            "True",
        ),
        ("pass", "True"),
    ] {
        let script = format!(
            "{prepare}\nh.set_export_name('disk')\nh.connect_unix('{}')\n\
             h.pwrite(b'abc', 1)\nassert h.pread(5, 0) == b'\\0abc\\0'\n\
             print(h.get_structured_replies_negotiated())",
            socket.display()
        );
        assert_eq!(shell(&script).trim(), told, "{prepare}");
    }
}

#[test]
fn a_server_may_offer_less() {
    for mode_max in [ReplyMode::Simple, ReplyMode::Structured] {
        let options = ServerOptions {
            mode_max,
            ..ServerOptions::default()
        };
        let served = serve(options);
        let info = run("qemu-img", &["info", &served.uri("disk")]);
        assert!(info.contains("64 MiB"), "{info}");
        let told = run("nbdinfo", &["--json", &served.uri("disk")]);
        let structured = format!(r#""structured": {}"#, mode_max != ReplyMode::Simple);
        assert!(told.contains(&structured), "{told}");
    }
}

#[test]
fn what_changed_since_a_snapshot_is_a_map_of_its_own() {
    let served = serve_with(ServerOptions::default(), |_| {
        let exports = MemDisks::new();
        let disk = MemDisk::new(1 << 20);
        disk.put(0, &[1; 65536]);
        disk.snapshot("monday".parse().unwrap());
        disk.put(8192, &[2; 4096]);
        exports.insert("disk".parse().unwrap(), disk);
        exports
    });
    let uri = served.uri("disk");
    let map = "--map=archipelago:changed-since:monday";
    let told = run("nbdinfo", &["--json", map, &uri]);
    let spaceless: String = told.split_whitespace().collect();
    for (offset, length, kind) in [(0, 8192, 0), (8192, 4096, 1), (12_288, 1_036_288, 0)] {
        let extent = format!(r#""offset":{offset},"length":{length},"type":{kind}"#);
        assert!(spaceless.contains(&extent), "{extent} in {told}");
    }
    // Both contexts of one request.
    let said = shell(&format!(
        "h.add_meta_context('base:allocation')\n\
         h.add_meta_context('archipelago:changed-since:monday')\n\
         h.connect_uri('{uri}')\n\
         h.block_status(131072, 0, lambda context, offset, extents, error: print(context, extents))"
    ));
    assert_eq!(
        said,
        "base:allocation [65536, 0, 65536, 3]\n\
         archipelago:changed-since:monday [8192, 0, 4096, 1, 118784, 0]\n"
    );
    let wrong = refused(
        "nbdinfo",
        &["--map=archipelago:changed-since:tuesday", &uri],
    );
    assert!(wrong.contains("context"), "{wrong}");
}
