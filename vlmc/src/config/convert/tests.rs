//! Historic files as they were, and files as nobody should write them.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::{Config, Environment, PortRange, RoleSettings, load_text};

fn environment() -> Environment {
    Environment {
        uid: 1000,
        etc_dir: "/nowhere".into(),
        passwd_file: "/nowhere".into(),
        group_file: "/nowhere".into(),
        config_home: "/nowhere".into(),
        state_home: "/nowhere".into(),
        runtime_dir: None,
    }
}

fn converted(text: &str) -> Converted {
    convert("old.conf", text, "new.toml", &environment()).unwrap_or_else(|error| panic!("{error}"))
}

/// The new file, loaded.
fn loaded(text: &str) -> (Config, Converted) {
    let converted = converted(text);
    assert!(
        converted.problems.is_empty(),
        "{}\n{:?}",
        converted.toml,
        converted.problems
    );
    let config = load_text("new.toml", &converted.toml, &environment()).expect("no problems");
    (config, converted)
}

fn refused(text: &str) -> String {
    let result = convert("old.conf", text, "new.toml", &environment());
    result.expect_err("refused").to_string()
}

const PYTHON: &str = r#"
# The shape of the guide
SEGMENT_PORTS = 2048; SEGMENT_DYNPORTS = 0x400
SEGMENT_SIZE = 1024L   # MiB
XSEGBD_START = 0
XSEGBD_END = \
    499
VTOOL_START, = 1003,
"#;

const PYTHON_ROLES: &str = r#"
"""A remark
over two lines"""
SEGMENT_PORTS = 2048
SEGMENT_DYNPORTS = 0x400
SEGMENT_SIZE = 1024L   # MiB
XSEGBD_START = 0
XSEGBD_END = \
    499
VTOOL_START = 1003 ; VTOOL_END = 1022
BLKTAP_ENABLED = None
roles = [('blockerb', 'file_blocker'),
         ("blockerm", u'rados_blocker'),  # maps
         ('mapperd', 'mapperd'), ('vlmcd', 'vlmcd'),
]
blockerb = {
    'portno_start': 1000, 'portno_end': 1000,
    'log_level': 3, 'nr_ops': 64, 'nr_threads': 64,
    'archip_dir': '/srv/'
                  'archip/blocks',
    'fdcache': 512, 'direct': True, 'umask': 0o027, 'unique_str': 'x',
}
blockerm = {'portno_start': 1002, 'portno_end': 1002, 'pool': 'maps', 'archip_dir': '/x'}
mapperd = {'portno_start': 1001, 'portno_end': 1001, 'blockerb_port': 1000, 'blockerm_port': 1002}
vlmcd = {'portno_start': 500, 'portno_end': 999, 'blocker_port': 1000, 'mapper_port': 1001, 'umask': 007}
"#;

#[test]
fn the_python_form_of_the_guide_loads_as_what_it_said() {
    let (config, converted) = loaded(PYTHON_ROLES);
    assert_eq!(
        (config.segment.ports, config.segment.dynports),
        (2048, 1024)
    );
    assert_eq!(config.segment.size_bytes, 1 << 30);
    assert_eq!(config.bridges, PortRange { start: 0, end: 499 });
    assert_eq!(
        config.tools,
        PortRange {
            start: 1003,
            end: 1022
        }
    );
    let names: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["blockerb", "blockerm", "mapperd", "vlmcd"]);
    let blockerb = config.role("blockerb").expect("there");
    assert_eq!(
        (blockerb.umask, blockerb.log_level, blockerb.nr_ops),
        (0o027, 3, 64)
    );
    let RoleSettings::FileBlocker {
        archip_dir, direct, ..
    } = &blockerb.settings
    else {
        panic!("a file blocker");
    };
    assert_eq!(
        (archip_dir.as_path(), *direct),
        (Path::new("/srv/archip/blocks"), true)
    );
    let RoleSettings::RadosBlocker { pool, cephx_id, .. } =
        &config.role("blockerm").expect("there").settings
    else {
        panic!("a RADOS blocker");
    };
    assert_eq!((pool.as_str(), cephx_id), ("maps", &None));
    assert_eq!(
        config.role("vlmcd").expect("there").ports,
        PortRange {
            start: 500,
            end: 999
        }
    );
    assert_eq!(config.role("vlmcd").expect("there").umask, 0o007);
    // CONV-2
    let dropped = converted.dropped.join("\n");
    for expected in [
        "BLKTAP_ENABLED = None (line 11): blktap is gone",
        "unique_str",
        "a rados_blocker has no such setting",
    ] {
        assert!(dropped.contains(expected), "{expected}\n{dropped}");
        assert!(converted.toml.contains(expected), "{}", converted.toml);
    }
}

const INI: &str = "\
# shipped
[ARCHIPELAGO]
USER=nobody-here
BLKTAP_ENABLED = True
umask: 0o007
[XSEG]
SEGMENT_PORTS = 2048
segment_dynports = 1024 ; static below
SEGMENT_SIZE = 512
VTOOL_START=1003
VTOOL_END=1022
[PEERS]
ROLES = blockerb blockerm
  mapperd vlmcd poold
ORDER = any
[blockerb]
type = file_blocker
portno_start=1000
portno_end = 1000
NR_OPS = 64
nr_threads = 64
archip_dir=/srv/100%%/blocks
direct = on
pithos-migrate = False
umask = 027
[blockerm]
type = file_blocker
portno_start = 1002
portno_end = 1002
archip_dir = /srv/maps
umask = 7
prefix = 1
[mapperd]
type = mapperd
portno_start = 1001
portno_end = 1001
blockerb_port = 1000
blockerm_port = 1002
[vlmcd]
type = vlmcd
portno_start = 500
portno_end = 999
blocker_port = 1000
mapper_port = 1001
[poold]
type = poold
portno_start = 1
portno_end = 200
logging_conf = /etc/archipelago/logging.conf
[leftover]
a = b
";

#[test]
fn the_ini_form_loads_as_what_it_said() {
    let (config, converted) = loaded(&INI.replace("USER=nobody-here\n", ""));
    assert_eq!(config.umask, 0o007);
    assert_eq!(config.segment.size_bytes, 512 << 20);
    assert_eq!(config.roles.len(), 4);
    let blockerb = config.role("blockerb").expect("there");
    assert_eq!((blockerb.umask, blockerb.nr_ops), (0o027, 64));
    let RoleSettings::FileBlocker {
        archip_dir, direct, ..
    } = &blockerb.settings
    else {
        panic!("a file blocker");
    };
    assert_eq!(
        (archip_dir.as_path(), *direct),
        (Path::new("/srv/100%/blocks"), true)
    );
    assert_eq!(config.role("blockerm").expect("there").umask, 0o007);
    // CONV-2
    let dropped = converted.dropped.join("\n");
    let roles_line = INI.lines().position(|line| line.starts_with("ROLES"));
    // One line less than in the text: a user was taken out.
    let roles_line = roles_line.expect("there");
    for expected in [
        "BLKTAP_ENABLED",
        "ORDER",
        &format!("the role poold (line {roles_line})"),
        "the settings of poold",
        "the settings of leftover",
        "pithos-migrate",
        "prefix",
    ] {
        assert!(dropped.contains(expected), "{expected}\n{dropped}");
        assert!(converted.toml.contains(expected), "{}", converted.toml);
    }
}

#[test]
fn what_does_not_fit_this_machine_is_said_with_lines_of_the_new_file() {
    let converted = converted(INI);
    let problems: Vec<String> = converted.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("new.toml:2: user: there is no user"),
        "{problems:?}"
    );
}

#[test]
fn nothing_is_executed_or_guessed() {
    let cases = [
        ("import os", "no assignment"),
        ("x = os.system('rm')", "cannot be read"),
        ("a = 1\nb = a", "line 2"),
        ("a = open('/etc/passwd')", "no literal"),
        ("a == 1", "no assignment"),
        ("a += 1", "cannot be read"),
        ("a = [1, 2", "missing"),
        ("a = 'open", "does not end"),
        ("a = f'{x}'", "prefix"),
        ("a = 1.5", "whole number"),
        ("a = 09", "whole number"),
        ("a = 0x", "whole number"),
        (
            "a = 99999999999999999999999999999999999999999999",
            "whole number",
        ),
        ("a = '\\x41'", "escape"),
        ("a = {1: 2}", "key 1"),
        ("roles = ['x']", "write pairs"),
        ("a = 1 2", "something follows"),
        (PYTHON, "line 8: no assignment"),
        ("FILED_IMAGES=/srv", "cannot be read"),
        ("[S]\na = %(b)s", "takes another setting's value"),
        ("[S]\na = 100%", "takes another setting's value"),
        ("[S\n", "does not end"),
        ("[S]\nword", "is no setting"),
        ("[S]\n= 1", "without a key"),
        ("[S]\na=1\n[S]\n", "second section"),
        ("[DEFAULT]\na=1", "section DEFAULT"),
    ];
    for (text, expected) in cases {
        let found = refused(text);
        assert!(
            found.starts_with("line ") && found.contains(expected),
            "{text}: {found}"
        );
    }
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(refused(&deep).contains("too deep"));
}

/// CONV-1
#[test]
fn names_and_values_cannot_break_out_of_their_place() {
    let texts = [
        "roles = [('a\"]\\n[x', 'mapperd')]",
        "SEGMENT_PORTS = 'x\\n[evil]'",
        "USER = 'a\\nb = 1'",
        "[A\"]\n\u{7f} = \u{1b}\n[PEERS]\nroles = A\" ../..\n",
        "'x'\nBLA\u{e9} = '''a\nb'''",
    ];
    for text in texts {
        assert_known(&converted(text));
    }
}

/// The new file is TOML, and what is wrong with it is no unknown name.
fn assert_known(converted: &Converted) {
    for problem in &converted.problems {
        let text = problem.to_string();
        let is_bad = text.contains("not TOML") || text.contains("unknown setting");
        assert!(!is_bad, "{text}\n{}", converted.toml);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// CONV-1
    #[test]
    fn any_text_is_converted_or_refused(
        text in "(\\[?[A-Za-z_\"'\\]]{0,9}[]=:]? ?(\\PC{0,12}|['\"({\\[0-9a-fox,:})\\]]{0,12})\n){0,6}",
    ) {
        if let Ok(converted) = convert("old", &text, "new", &environment()) {
            assert_known(&converted);
        }
    }

    #[test]
    fn what_python_said_in_numbers_and_texts_arrives(
        ports in 16u32..16384,
        size in 64u32..4096,
        dir in "/[a-zA-Z0-9 _.\u{e9}-]{1,20}x",
        octal in 0u32..0o777,
    ) {
        let text = format!(
            "SEGMENT_SIZE = {size}\nroles = [('b', 'file_blocker')]\n\
             b = {{'portno_start': 3, 'archip_dir': '{dir}', 'umask': 0o{octal:o}, 'nr_ops': 0x{ports:x}}}\n"
        );
        let (config, _) = loaded(&text);
        let role = config.role("b").expect("there");
        prop_assert_eq!(config.segment.size_bytes, u64::from(size) << 20);
        prop_assert_eq!((role.umask, role.nr_ops), (octal, ports));
        let RoleSettings::FileBlocker { archip_dir, .. } = &role.settings else {
            panic!("a file blocker");
        };
        prop_assert_eq!(archip_dir.to_str(), Some(dir.as_str()));
    }
}
