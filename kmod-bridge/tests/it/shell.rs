//! nbdsh: single commands, with libnbd's own checks switched off where the server's are to be seen.

use archipelago_nbd::ServerOptions;

use crate::support::{Served, serve, shell};

/// Connects to `export` without libnbd's strictness; `fails(name, call)` asserts an errno.
fn script(served: &Served, export: &str, lines: &[&str]) -> String {
    let mut script = format!(
        "import errno\n\
         def fails(name, call):\n try:\n  call()\n except nbd.Error as e:\n  \
         assert e.errno == name, e\n else:\n  raise SystemExit(name + ' expected')\n\
         h.set_strict_mode(0)\n\
         h.add_meta_context('base:allocation')\n\
         h.connect_uri('{}')\n",
        served.uri(export)
    );
    for line in lines {
        script.push_str(line);
        script.push('\n');
    }
    shell(&script)
}

#[test]
fn requests_outside_are_refused_and_the_connection_goes_on() {
    // F72, F73, F74
    let served = serve(ServerOptions::default());
    script(
        &served,
        "disk",
        &[
            "size = h.get_size()",
            "fails('EINVAL', lambda: h.pread(512, size))",
            "fails('EINVAL', lambda: h.pread(512, 2**63 - 1))",
            "fails('ENOSPC', lambda: h.pwrite(b'x' * 512, size - 511))",
            "fails('ENOSPC', lambda: h.zero(512, 2**63 - 1))",
            "fails('EINVAL', lambda: h.trim(512, size))",
            "fails('EINVAL', lambda: h.cache(512, size))",
            "fails('EINVAL', lambda: h.pread(512, 0, 1 << 9))",
            "fails('EINVAL', lambda: h.pwrite(b'x' * 512, 0, nbd.CMD_FLAG_DF))",
            "fails('EINVAL', lambda: h.block_status(0, 0, lambda *a: 0))",
            "h.pwrite(b'yes', size - 3, nbd.CMD_FLAG_FUA)",
            "assert h.pread(3, size - 3) == b'yes'",
        ],
    );
}

#[test]
fn nothing_changes_a_read_only_export_or_anything_on_a_read_only_server() {
    // F82
    for (export, read_only) in [("frozen", false), ("disk", true)] {
        let served = serve(ServerOptions {
            read_only,
            ..ServerOptions::default()
        });
        script(
            &served,
            export,
            &[
                "assert h.is_read_only()",
                "fails('EPERM', lambda: h.pwrite(b'x' * 512, 0))",
                "fails('EPERM', lambda: h.trim(512, 0))",
                "fails('EPERM', lambda: h.zero(512, 0))",
                "h.flush()",
                "assert h.pread(512, 0) == bytes(512)",
            ],
        );
    }
}

#[test]
fn a_fast_zero_that_is_not_fast_is_not_done() {
    let served = serve(ServerOptions::default());
    script(
        &served,
        "disk",
        &[
            "h.pwrite(b'x' * 8192, 0)",
            "both = nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE",
            "fails('ENOTSUP', lambda: h.zero(4096, 0, both))",
            "assert h.pread(1, 0) == b'x'",
            "h.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO)",
            "assert h.pread(4097, 0) == bytes(4096) + b'x'",
            "h.zero(100, 4096)",
            "assert h.pread(101, 4096) == bytes(100) + b'x'",
        ],
    );
}

#[test]
fn a_status_is_one_extent_where_one_was_asked_for() {
    let served = serve(ServerOptions::default());
    let said = script(
        &served,
        "disk",
        &[
            "h.pwrite(b'x' * 4096, 8192)",
            "def tell(context, offset, extents, error): print(context, offset, extents)",
            "h.block_status(65536, 0, tell)",
            "h.block_status(65536, 0, tell, nbd.CMD_FLAG_REQ_ONE)",
            "h.block_status(100, 8192 + 50, tell)",
        ],
    );
    assert_eq!(
        said,
        "base:allocation 0 [8192, 3, 4096, 0, 53248, 3]\n\
         base:allocation 0 [8192, 3]\n\
         base:allocation 8242 [100, 0]\n"
    );
}

#[test]
fn a_read_in_one_chunk_and_a_read_of_holes() {
    let served = serve(ServerOptions::default());
    let said = script(
        &served,
        "disk",
        &[
            "h.pwrite(b'x' * 4096, 4194304)",
            "def tell(data, offset, kind, error): print(offset, len(data), kind)",
            "h.pread_structured(4194304 + 4096, 0, tell, nbd.CMD_FLAG_DF)",
            "h.pread_structured(1048576, 0, tell)",
            "h.pread_structured(4096, 4194304, tell)",
        ],
    );
    let (data, hole) = (1, 2);
    assert_eq!(
        said,
        format!("0 4198400 {data}\n0 1048576 {hole}\n4194304 4096 {data}\n")
    );
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let served = serve(ServerOptions {
        requests_max: 4,
        ..ServerOptions::default()
    });
    script(
        &served,
        "disk",
        &[
            "cookies = [h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([i % 251] * 70000)), i * 70000) for i in range(500)]",
            "while h.aio_in_flight() > 0: h.poll(-1)",
            "for c in cookies: assert h.aio_command_completed(c)",
            "for i in range(500): assert h.pread(70000, i * 70000) == bytes([i % 251] * 70000)",
        ],
    );
}
