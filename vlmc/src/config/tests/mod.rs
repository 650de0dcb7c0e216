//! The configuration as a whole: files in, a configuration or all its mistakes out.

mod places;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::directories;
use super::*;

/// A user's environment in a directory of the test's own.
fn environment(dir: &Path) -> Environment {
    let passwd_file = dir.join("passwd");
    let group_file = dir.join("group");
    fs::write(&passwd_file, "root:x:0:0::/:\narchipelago:x:990:991::/:\n").expect("written");
    fs::write(&group_file, "disk:x:6:\narchipelago:x:991:\n").expect("written");
    Environment {
        uid: 1000,
        etc_dir: dir.join("etc"),
        passwd_file,
        group_file,
        config_home: dir.join("config"),
        state_home: dir.join("state"),
        runtime_dir: Some(dir.join("run")),
    }
}

fn with_text(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("a directory");
    load_text("a.toml", text, &environment(dir.path()))
}

/// All messages about a text.
fn messages(text: &str) -> String {
    with_text(text).expect_err("it is wrong").to_string()
}

#[test]
fn no_file_at_all_is_a_whole_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut environment = environment(dir.path());
    let config = load(None, &environment).expect("defaults");
    assert_eq!(config.segment.name, "archipelago-1000");
    assert_eq!(config.run_dir, dir.path().join("run/archipelago"));
    assert_eq!(config.hosts.len(), 1);
    assert_eq!(
        config.hosts[0].roles,
        ["blockerb", "blockerm", "mapperd", "vlmcd"]
    );
    let RoleSettings::FileBlocker { archip_dir, .. } = &config.roles[0].settings else {
        panic!("a file blocker");
    };
    assert_eq!(*archip_dir, dir.path().join("state/archipelago/blocks"));
    let vlmcd = config.role("vlmcd").expect("there");
    let expected = RoleSettings::Vlmcd {
        blocker_port: 1000,
        mapper_port: 1001,
    };
    assert_eq!(vlmcd.settings, expected);
    assert!(directories::check(&config, &environment).is_empty());
    directories::prepare(&config, &environment).expect("made");
    assert!(dir.path().join("state/archipelago/maps").is_dir());

    environment.uid = 0;
    let config = load(None, &environment).expect("defaults");
    assert_eq!(config.segment.name, "archipelago");
    assert_eq!(config.run_dir, PathBuf::from("/run/archipelago"));
    assert_eq!(
        config.user,
        Some(Account {
            name: "archipelago".into(),
            id: 990
        })
    );
    let RoleSettings::FileBlocker { archip_dir, .. } = &config.roles[1].settings else {
        panic!("a file blocker");
    };
    assert_eq!(*archip_dir, PathBuf::from("/var/lib/archipelago/maps"));
}

/// Every name of the guide, and a value that is not the default.
const GUIDE: &str = r#"
        SEGMENT_PORTS = 4096
        SEGMENT_DYNPORTS = 2048
        SEGMENT_SIZE = 512
        XSEGBD_START = 0
        XSEGBD_END = 99
        VTOOL_START = 1500
        VTOOL_END = 1600
        GROUP = "disk"
        UMASK = 0o027
        roles = [["one", "file_blocker"], ["two", "rados_blocker"], ["three", "mapperd"], ["four", "vlmcd"]]
        [role.one]
        portno_start = 200
        portno_end = 201
        log_level = 3
        nr_ops = 64
        nr_threads = 8
        archip_dir = "/srv/one"
        lock_dir = "/srv/locks"
        fdcache = 1024
        direct = true
        sync = "syncfs"
        lease = "9s"
        umask = "077"
        logfile = "/tmp/one.log"
        [role.two]
        portno_start = 210
        pool = "rbd"
        cephx_id = "me"
        namespace = "here"
        ceph_conf = "/srv/ceph.conf"
        on_backend_loss = "error"
        backend_timeout = "90s"
        [role.three]
        portno_start = 220
        blockerb_port = 201
        blockerm_port = 210
        [role.four]
        portno_start = 300
        portno_end = 400
        blocker_port = 200
        mapper_port = 220
    "#;

#[test]
fn every_setting_of_the_guide_acts_under_its_own_name() {
    let config = with_text(GUIDE).unwrap_or_else(|error| panic!("{error}"));
    let segment = &config.segment;
    assert_eq!(
        (segment.ports, segment.dynports, segment.size_bytes),
        (4096, 2048, 512 << 20)
    );
    assert_eq!(config.bridges, PortRange { start: 0, end: 99 });
    assert_eq!(
        config.tools,
        PortRange {
            start: 1500,
            end: 1600
        }
    );
    assert_eq!(config.group.as_ref().map(|group| group.id), Some(6));
    assert_eq!(config.umask, 0o027);
    let one = config.role("one").expect("there");
    assert_eq!(
        (one.log_level, one.nr_ops, one.nr_threads, one.umask),
        (3, 64, 8, 0o077)
    );
    assert_eq!(one.logfile, PathBuf::from("/tmp/one.log"));
    let expected = RoleSettings::FileBlocker {
        archip_dir: "/srv/one".into(),
        lock_dir: "/srv/locks".into(),
        fdcache: 1024,
        direct: true,
        sync: SyncKind::Syncfs,
        lease: Duration::from_secs(9),
    };
    assert_eq!(one.settings, expected);
    let expected = RoleSettings::RadosBlocker {
        pool: "rbd".into(),
        cephx_id: Some("me".into()),
        namespace: "here".into(),
        ceph_conf: Some("/srv/ceph.conf".into()),
        on_backend_loss: BackendLoss::Error,
        backend_timeout: Duration::from_secs(90),
    };
    assert_eq!(config.role("two").expect("there").settings, expected);
    let expected = RoleSettings::Mapperd {
        blockerb_port: 201,
        blockerm_port: 210,
    };
    assert_eq!(config.role("three").expect("there").settings, expected);
    assert_eq!(
        config.role("four").expect("there").ports,
        PortRange {
            start: 300,
            end: 400
        }
    );
    assert_eq!(config.hosts[0].roles, ["one", "two", "three", "four"]);
}

/// F92
#[test]
fn all_mistakes_of_a_file_come_out_at_once_with_line_and_remedy() {
    let text = "timeout = 0\n\
                [segment]\n\
                prots = 5\n\
                size = \"12Q\"\n\
                [role.mapperd]\n\
                archip_dir = \"/x\"\n\
                nr_ops = \"many\"\n\
                [role.blocker]\n\
                nr_ops = 1\n\
                [nonsense]\n\
                a = 1\n";
    let found = messages(text);
    let lines: Vec<&str> = found.lines().collect();
    let expected = [
        ("a.toml:1: timeout: ", "1 s to 86400 s"),
        (
            "a.toml:3: segment.prots: unknown setting",
            "did you mean segment.ports?",
        ),
        ("a.toml:4: segment.size: ", "unknown unit"),
        (
            "a.toml:6: role.mapperd.archip_dir: a mapperd has no such setting",
            "remove it",
        ),
        (
            "a.toml:7: role.mapperd.nr_ops: is a text",
            "give a number from 1 to 65536",
        ),
        (
            "a.toml:9: role.blocker.nr_ops: there is no role blocker",
            "did you mean role.blockerb?",
        ),
        ("a.toml:11: nonsense.a: unknown setting", "config show"),
    ];
    assert_eq!(lines.len(), expected.len(), "{found}");
    for (line, (start, end)) in lines.iter().zip(expected) {
        assert!(line.starts_with(start) && line.contains(end), "{line}");
    }
}

/// CFG-2
#[test]
fn ports_that_cannot_be_are_refused_with_who_has_them() {
    let cases = [
        (
            "[role.blockerm]\nportno_start = 1000",
            "blockerm has ports 1000, blockerb has ports 1000",
        ),
        (
            "[role.vlmcd]\nportno_end = 1000",
            "two roles cannot share one",
        ),
        (
            "[role.vlmcd]\nportno_start = 5000",
            "outside the segment, which has 2048",
        ),
        (
            "[role.mapperd]\nportno_start = 1500",
            "reach into the dynamic ones, which begin at 1024",
        ),
        (
            "[role.mapperd]\nportno_start = 9\nportno_end = 8",
            "end at 8, before they start at 9",
        ),
        (
            "[role.mapperd]\nportno_start = 99999",
            "99999 is out of range",
        ),
        (
            "[role.vlmcd]\nmapper_port = 1000",
            "port 1000 is blockerb's, a file_blocker, no mapperd: give the port of a mapperd: 1001 (mapperd)",
        ),
        (
            "[role.vlmcd]\nblocker_port = 1001",
            "is mapperd's, a mapperd, no blocker",
        ),
        ("[role.mapperd]\nblockerm_port = 7", "port 7 is no role's"),
        (
            "roles = [\"vlmcd\"]",
            "the role vlmcd needs a blocker, and there is none",
        ),
        ("roles = [\"x\"]", "the role x has no type"),
        ("roles = [[\"x\", \"mapperd\"]]", "the role x has no port"),
        ("roles = [[\"x\", \"maperd\"]]", "did you mean mapperd?"),
        ("roles = []", "names no role"),
        ("roles = [\"vlmcd\", \"vlmcd\"]", "vlmcd is there twice"),
        ("roles = [\"../x\"]", "is no name for a role"),
        ("roles = \"vlmcd\"", "is a text"),
        ("roles = [[[1]]]", "no pair"),
        (
            "XSEGBD_START = 400\nXSEGBD_END = 600",
            "ports 400-600 are kept for bridges, but vlmcd has 500",
        ),
        ("XSEGBD_END = 1010", "overlap"),
        ("SEGMENT_DYNPORTS = 2048", "leaves no dynamic port"),
        ("SEGMENT_SIZE = 0", "out of range"),
        ("SEGMENT_PORTS = 16384\nSEGMENT_SIZE = 16", "segment.size"),
        (
            "SEGMENT_PORTS = 2048\n[segment]\nports = 2048",
            "given twice",
        ),
        ("[segment]\nname = \"a/b\"", "plain file name"),
    ];
    for (text, expected) in cases {
        let found = messages(text);
        assert!(found.contains(expected), "{text}\n{found}");
        assert!(
            found.lines().any(|line| line.starts_with("a.toml:")),
            "{found}"
        );
    }
}

/// CFG-2
#[test]
fn the_port_of_the_nbd_server_is_nobody_elses() {
    let cases = [
        (
            "[role.vlmcd]\nportno_start = 0",
            "vlmcd has ports 0, and port 0 is the NBD server's (bridges.start)",
        ),
        (
            "XSEGBD_START = 1500\nXSEGBD_END = 1500",
            "the NBD server has port 1500, and the dynamic ones begin at 1024",
        ),
    ];
    for (text, expected) in cases {
        let found = messages(text);
        assert!(found.contains(expected), "{text}\n{found}");
        assert!(found.starts_with("a.toml:"), "{found}");
    }
    // Without a composer there is none.
    let text = "roles = [[\"b\", \"file_blocker\"]]\n[role.b]\nportno_start = 0";
    with_text(text).unwrap_or_else(|error| panic!("{error}"));
}

/// CFG-3
#[test]
fn each_role_is_on_one_host() {
    let config =
        with_text("[hosts]\nz = [\"mapperd\", \"vlmcd\"]\na = [\"blockerm\", \"blockerb\"]");
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    // In the order of the first role of each.
    let names: Vec<&str> = config.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["a", "z"]);
    assert_eq!(
        config.host_of("vlmcd").map(|host| host.name.as_str()),
        Some("z")
    );
    let config = with_text("[hosts]\nisolate = true").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.hosts.len(), 4);
    assert!(
        config
            .hosts
            .iter()
            .all(|host| host.roles == [host.name.clone()])
    );

    // Who composes is lent to only by those who share its process.
    let apart = "[hosts]\na = [\"vlmcd\", \"mapperd\"]\nb = [\"blockerb\", \"blockerm\"]";
    for (text, has_files) in [
        ("", true),
        (apart, false),
        ("[hosts]\nisolate = true", false),
    ] {
        let config = with_text(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(config.has_files_beside_bridges(), has_files, "{text}");
    }

    // Who has all roles waits for nobody of its own machine, and may look longer.
    let looks = [
        ("", 50),
        ("[hosts]\nisolate = true", 5),
        ("[hosts]\nlook_us = 0", 0),
        ("[hosts]\nisolate = true\nlook_us = 7", 7),
    ];
    for (text, look_us) in looks {
        let config = with_text(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(config.look, Duration::from_micros(look_us), "{text}");
    }

    let cases = [
        ("[hosts]\nlook_us = 1001", "1001 is out of range"),
        ("[hosts]\na = [\"vlmcd\"]", "no host runs the role mapperd"),
        (
            "[hosts]\na = [\"vlmcd\", \"vlmcd\", \"mapperd\", \"blockerb\", \"blockerm\"]",
            "twice",
        ),
        (
            "[hosts]\na = [\"vlmcd\", \"mapperd\"]\nb = [\"vlmcd\", \"blockerb\", \"blockerm\"]",
            "already",
        ),
        ("[hosts]\na = [\"who\"]", "there is no role \"who\""),
        ("[hosts]\na = []", "runs no role"),
        (
            "[hosts]\nisolate = true\na = [\"vlmcd\"]",
            "already gives each role a process",
        ),
        ("[hosts]\nA = [\"vlmcd\"]", "no name for a host"),
        ("[hosts]\na = 1", "a list of names"),
    ];
    for (text, expected) in cases {
        let found = messages(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn other_wrong_values_name_the_way_out() {
    let cases = [
        ("user = \"nobody-of-this-name\"", "there is no user"),
        (
            "user = \"archipelago\"",
            "only root may start peers as archipelago",
        ),
        ("group = \"-x\"", "there is no group"),
        ("umask = 512", "permission bits"),
        ("umask = \"9\"", "permission bits"),
        ("run_dir = \"here\"", "begin it with /"),
        ("run_dir = \"/a/../b\"", "leave out .."),
        ("trash_ttl = \"1w\"", "no length of time"),
        ("timeout = 1.5", "a number with a fraction"),
        ("nbd = 1", "it is a section"),
        ("[nbd]\nlisten = \"localhost\"", "is no address"),
        (
            "[nbd]\nmemory_max = \"32 MiB\"",
            "nbd.memory_max: is out of range: give 64 MiB to 1 TiB",
        ),
        ("[nbd]\nstall_timeout = 0", "no length of time in range"),
        ("[nbd]\nhandshake_timeout = \"2h\"", "give 1 s to 3600 s"),
        ("[nbd]\nlist = \"no\"", "true or false, without quotes"),
        (
            "[role.blockerb]\ndirect = \"yes\"",
            "true or false, without quotes",
        ),
        (
            "[role.blockerb]\nsync = \"never\"",
            "auto, fdatasync, syncfs",
        ),
        ("[role.blockerb]\nlog_level = 4", "from 0 to 3"),
        (
            "[role.blockerb]\narchip_dir = \"/d\"\n[role.blockerm]\narchip_dir = \"/d\"",
            "directory too",
        ),
        ("a = ", "not TOML"),
        ("timeout = 30\ntimeout = 31", "not TOML"),
        (
            "timeout = 99999999999999999999999999999999999999999999",
            "too many digits",
        ),
    ];
    for (text, expected) in cases {
        let found = messages(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
    let long = format!("[nbd]\nsocket = \"/{}\"", "x".repeat(120));
    assert!(messages(&long).contains("too long for the path of a unix socket"));
}

#[test]
fn later_files_win_and_both_places_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = environment(dir.path());
    let config_dir = environment.config_dir();
    fs::create_dir_all(config_dir.join("conf.d")).expect("made");
    let write = |name: &str, text: &str| fs::write(config_dir.join(name), text).expect("written");
    write(
        "archipelago.toml",
        "timeout = 10\n\n[segment]\nports = 4096\n",
    );
    write("conf.d/20-b.toml", "timeout = 30\n");
    write("conf.d/10-a.toml", "\ntimeout = \"20s\"\n");
    write("conf.d/.hidden.toml", "broken");
    write("conf.d/note.txt", "broken");
    let config = load(None, &environment).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.timeout.as_secs(), config.segment.ports), (30, 4096));
    let origin = config.origins["timeout"].to_string();
    let order: Vec<usize> = [
        "20-b.toml:1, overrides",
        "archipelago.toml:1 and",
        "10-a.toml:2",
    ]
    .iter()
    .map(|part| {
        origin
            .find(part)
            .unwrap_or_else(|| panic!("{part} in {origin}"))
    })
    .collect();
    assert!(order.is_sorted(), "{origin}");

    let alone = load(Some(&config_dir.join("conf.d/10-a.toml")), &environment);
    assert_eq!(alone.expect("one file").segment.ports, 2048);
    let missing = load(Some(Path::new("/no/such.toml")), &environment).expect_err("missing");
    assert!(missing.to_string().contains("/no/such.toml"), "{missing}");
    let directory = load(Some(dir.path()), &environment).expect_err("a directory");
    assert!(
        directory.to_string().contains("not a plain file"),
        "{directory}"
    );
    write("conf.d/30.toml", "");
    fs::write(config_dir.join("conf.d/30.toml"), [0xff, 0xfe]).expect("written");
    let binary = load(None, &environment).expect_err("not text").to_string();
    assert!(binary.contains("30.toml:1: not UTF-8"), "{binary}");
}

#[test]
fn a_users_home_is_found_without_the_variable() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("passwd");
    fs::write(
        &file,
        "a:x:7:7:A, b:/home/a:/bin/sh\nb:x:8:8::relative:/bin/sh\nc:x:9\n",
    )
    .expect("written");
    assert_eq!(super::accounts::home(&file, 7), Some("/home/a".into()));
    for uid in [8, 9, 10] {
        assert_eq!(super::accounts::home(&file, uid), None);
    }
}

/// CFG-4
#[test]
fn what_is_shown_loads_as_the_same_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = environment(dir.path());
    let texts = [
        "",
        "[hosts]\nisolate = true",
        "[hosts]\nlook_us = 60",
        "[hosts]\nb = [\"mapperd\", \"vlmcd\"]\na = [\"blockerm\", \"blockerb\"]",
        "group = \"disk\"\ntrash_ttl = \"7d\"\n[segment]\nsize = \"1536M\"\n[nbd]\nlisten = \"[::1]:10809\"\nmemory_max = \"96M\"\nlist = false\nstall_timeout = \"2m\"",
        "XSEGBD_START = 7\nXSEGBD_END = 9\nrun_dir = \"/tmp/q\\\"uote\\\\\"",
        "roles = [[\"blockerb\", \"rados_blocker\"], \"mapperd\"]\n[role.blockerb]\ncephx_id = \"x\"",
    ];
    for text in texts {
        let config =
            load_text("a.toml", text, &environment).unwrap_or_else(|e| panic!("{text}\n{e}"));
        let shown = show_toml(&config);
        let again =
            load_text("b.toml", &shown, &environment).unwrap_or_else(|e| panic!("{shown}\n{e}"));
        let strip = |config: &Config| Config {
            origins: Default::default(),
            ..config.clone()
        };
        assert_eq!(strip(&again), strip(&config), "{shown}");
        let json = show_json(&config);
        assert!(json["settings"]["timeout"]["origin"].is_string());
    }
    let config = load_text("a.toml", "timeout = 9", &environment).expect("fine");
    assert!(show_toml(&config).contains("timeout = 9  # a.toml:1\n"));
    assert!(show_toml(&config).contains("ports = 2048  # default: built in\n"));
    assert_eq!(show_json(&config)["settings"]["timeout"]["value"], 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_a_configuration_or_a_list_of_mistakes(
        text in "(\\PC{0,20}\n|[\\[\\]a-z_.=\"0-9, {}\\-]{0,30}\n){0,6}",
    ) {
        if let Err(error) = with_text(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// CFG-2
    #[test]
    fn whatever_ports_are_given_what_loads_has_one_user_for_each(
        starts in prop::collection::vec(0u32..1100, 4),
        lengths in prop::collection::vec(0u32..300, 4),
        dynports in 1u32..2100,
    ) {
        let mut text = format!("SEGMENT_DYNPORTS = {dynports}\n");
        for (index, role) in ["blockerb", "blockerm", "mapperd", "vlmcd"].iter().enumerate() {
            let (start, end) = (starts[index], starts[index] + lengths[index]);
            text.push_str(&format!("[role.{role}]\nportno_start = {start}\nportno_end = {end}\n"));
        }
        if let Ok(config) = with_text(&text) {
            let mut users = vec![0; 2048];
            users[config.bridges.start as usize] = 1;
            for role in &config.roles {
                prop_assert!(role.ports.end < dynports && dynports < 2048);
                for port in role.ports.start..=role.ports.end {
                    users[port as usize] += 1;
                }
            }
            prop_assert!(users.iter().all(|count| *count <= 1));
        }
    }
}

/// P3: nothing of root's groups is left to a user without a configured one.
#[test]
fn a_user_without_a_configured_group_has_the_primary_one() {
    let config = with_text("user = \"archipelago\"");
    let refused = config.expect_err("only root becomes another").to_string();
    assert!(refused.contains("only root"), "{refused}");
    let dir = tempfile::tempdir().expect("a directory");
    let environment = Environment {
        uid: 0,
        ..environment(dir.path())
    };
    fs::write(&environment.group_file, "disk:x:6:\n").expect("written");
    let of = |text: &str| load_text("a.toml", text, &environment).expect("good");
    let config = of("user = \"archipelago\"");
    assert_eq!((config.group, config.primary_group), (None, Some(991)));
    let passwd = "root:x:0:0::/:\narchipelago:x:990::::\n";
    fs::write(&environment.passwd_file, passwd).expect("written");
    let refused = load_text("a.toml", "user = \"archipelago\"", &environment);
    let refused = refused.expect_err("no group").to_string();
    assert!(refused.contains("has no group"), "{refused}");
}
