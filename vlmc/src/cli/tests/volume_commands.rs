//! `vlmc`: what it asks for, what it says.

use archipelago_protocol::ErrorCode;
use serde_json::Value;

use super::fake_volumes::Fake;
use super::*;

/// The usages of the admin guide, word for word, and what they ask of the node.
#[test]
fn every_usage_of_the_guide_asks_for_what_it_says() {
    let cases = [
        ("vlmc map vm", "kind: Auto"),
        ("vlmc unmap /dev/xsegbd1", "(\"unmap\", \"/dev/xsegbd1\")"),
        (
            "vlmc create vm --snap s --size 10",
            "size: Some(VolumeSize(10485760))",
        ),
        (
            "vlmc create vm --snap s",
            "source: Snapshot(VolumeRef { volume: None, name: VolumeName(\"s\") }), size: None",
        ),
        (
            "vlmc create vm --size 1G",
            "source: Blank, size: Some(VolumeSize(1073741824))",
        ),
        ("vlmc snapshot vm s", "(\"snapshot\", \"vm\", \"s\")"),
        ("vlmc remove vm", "(\"remove\", \"vm\")"),
        ("vlmc rm v@s", "(\"remove\", \"v@s\")"),
        ("vlmc list", "\"list\""),
        ("vlmc ls", "\"list\""),
        ("vlmc info vm", "(\"info\", \"vm\")"),
        ("vlmc open vm", "(\"open\", \"vm\")"),
        ("vlmc close vm", "(\"close\", \"vm\")"),
        ("vlmc lock vm", "(\"lock\", \"vm\")"),
        ("vlmc unlock vm", "OwnOnly"),
        ("vlmc unlock -f vm", "Anybodys"),
        ("vlmc unlock --fence vm", "Fenced"),
        ("vlmc unlock -f --fence vm", "Fenced"),
        ("vlmc unlock --force-unsafe vm", "Anyway"),
        ("vlmc evict-node alpha", "(\"evict_node\", \"alpha\")"),
        ("vlmc rename a b", "(\"rename\", \"a\", \"b\")"),
        ("vlmc resize a -s 5", "allow_shrink: false"),
        ("vlmc hash s", "(\"hash\", \"s\")"),
        (
            "vlmc clone s c --size 2T",
            "size: Some(VolumeSize(2199023255552))",
        ),
        ("vlmc locks", "\"locks\""),
        ("vlmc children s", "(\"children\", \"s\")"),
        ("vlmc showmapped", "\"attachments\""),
        (
            "vlmc map vm -ro --type nbd",
            "is_read_only: true, kind: Nbd",
        ),
        (
            "vlmc -c /x --timeout 5 map --read-only vm",
            "is_read_only: true",
        ),
        (
            "vlmc create vm --size 1 --object-size 64K",
            "object_bytes: Some(65536)",
        ),
    ];
    for (line, expected) in cases {
        let ran = vlmc(line);
        assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""), "{line}");
        assert_eq!(ran.asked.len(), 1, "{line}");
        assert!(ran.asked[0].contains(expected), "{line}: {:?}", ran.asked);
    }
    let hash = "AB".repeat(32);
    let ran = vlmc(&format!("vlmc create vm --from-hash {hash}"));
    assert!(
        ran.asked[0].contains(&hash.to_lowercase()),
        "{:?}",
        ran.asked
    );
    let ran = vlmc(&format!("vlmc remove --hash {hash}"));
    let expected = format!("{:?}", ("remove_hash", hash.to_lowercase()));
    assert_eq!(ran.asked, [expected]);
}

#[test]
fn a_collection_tells_what_it_found_and_whether_that_is_gone() {
    for (line, mode, word) in [
        ("vlmc gc", "ForGood", "given back"),
        ("vlmc gc --dry-run", "DryRun", "would be given back"),
    ] {
        let ran = vlmc(line);
        assert!(ran.asked[0].contains(mode), "{:?}", ran.asked);
        let text = "page/x (4 KiB)\n... and 2 more\nNote: content is not judged\n";
        assert!(ran.stdout.starts_with(text), "{}", ran.stdout);
        let last = format!("Objects that nothing names: 3; 8 KiB {word}\n");
        assert!(ran.stdout.ends_with(&last), "{}", ran.stdout);
    }
}

/// F95: names and sizes are refused before anything is asked of anybody.
#[test]
fn what_makes_no_sense_ends_with_exit_code_2_and_its_own_message() {
    let cases: [(&[&str], &str); 20] = [
        (&["create", "vm"], "required"),
        (&["create", "vm", "--size", "0"], "at least one sector"),
        (&["create", "vm", "--size=-1"], "negative"),
        (&["create", "vm", "--size", "-1"], "negative"),
        (&["resize", "vm", "-s", "-5G"], "negative"),
        (&["create", "vm", "--size", "12Q"], "unknown unit"),
        (
            &["create", "vm", "--size", "99999999999999999999"],
            "beyond",
        ),
        (&["create", "vm", "--size", "1.5G"], "fraction"),
        (&["create", "a/b", "--size", "1"], "contains '/'"),
        (&["create", "v@s", "--size", "1"], "contains '@'"),
        (&["create", "..", "--size", "1"], "directory's own"),
        (&["create", "", "--size", "1"], "empty"),
        (&["create", "a\nb", "--size", "1"], "cannot be printed"),
        (
            &["create", "vm", "--snap", "s", "--from-hash", "x"],
            "64 hexadecimal digits",
        ),
        (&["remove"], "required"),
        (&["remove", "--hash", "12"], "64 hexadecimal digits"),
        (&["info", "a@b@c"], "more than one '@'"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["--timeout", "0", "list"], "0 is not in 1..=86400"),
        (
            &["create", "vm", "--size", "1", "--object-size", "3M"],
            "power of two",
        ),
    ];
    for (arguments, expected) in cases {
        let line = || -> Vec<OsString> {
            let all = ["vlmc"].iter().chain(arguments);
            all.map(OsString::from).collect()
        };
        let ran = vlmc_with(line(), Fake::default());
        assert_eq!(
            (ran.exit_code, ran.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(
            ran.stderr.contains(expected),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.asked.is_empty(), "{arguments:?}");

        // OUT-1: as JSON, the same on stdout and nothing on stderr.
        let mut with_json = line();
        with_json.push("--json".into());
        let ran = vlmc_with(with_json, Fake::default());
        assert_eq!(
            (ran.exit_code, ran.stderr.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        let json: Value = serde_json::from_str(&ran.stdout).expect("one object");
        assert_eq!(json["error"]["code"], "invalid");
        let message = json["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!message.contains('\n'), "{arguments:?}: {message}");
        let remedy = json["error"]["remedy"].as_str().unwrap_or_default();
        assert!(
            !remedy.is_empty() && !remedy.contains('\n'),
            "{arguments:?}"
        );
    }
    let long = vlmc(&format!("vlmc info {}", "x".repeat(256)));
    assert!(long.stderr.contains("256 bytes"), "{}", long.stderr);
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    let slip = vlmc("vlmc --json lst");
    let json: Value = serde_json::from_str(&slip.stdout).expect("one object");
    let remedy = json["error"]["remedy"].as_str().unwrap_or_default();
    assert!(remedy.contains("'list'"), "{json}");
}

/// OUT-1
#[test]
fn with_json_every_command_writes_one_object_and_every_error_too() {
    let lines = [
        "map vm --print qemu",
        "unmap /dev/x",
        "showmapped",
        "create vm --size 1",
        "snapshot vm s",
        "remove vm",
        "list",
        "list -q",
        "info vm",
        "open vm",
        "close vm",
        "lock vm",
        "unlock vm",
        "unlock -f vm",
        "unlock --fence vm",
        "unlock --force-unsafe vm",
        "evict-node alpha",
        "evict-node beta",
        "rename a b",
        "resize a -s 1",
        "hash s",
        "clone s c",
        "locks",
        "children s",
    ];
    for line in lines {
        let ran = vlmc(&format!("vlmc --json {line}"));
        assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""), "{line}");
        assert_eq!(ran.stdout.lines().count(), 1, "{line}");
        let json: Value = serde_json::from_str(&ran.stdout).expect(line);
        assert!(
            json.is_object() && json.get("error").is_none(),
            "{line}: {json}"
        );
        for code in ErrorCode::all() {
            let error = Some(ErrorReport::new(code, "no", "yes"));
            let fake = Fake {
                error,
                ..Fake::default()
            };
            let ran = vlmc_with(words(&format!("vlmc {line} --json")), fake);
            assert_eq!((ran.exit_code, ran.stderr.as_str()), (code.exit_code(), ""));
            let json: Value = serde_json::from_str(&ran.stdout).expect(line);
            let expected = serde_json::json!({"error": {"code": code.name(), "message": "no", "remedy": "yes"}});
            assert_eq!(json, expected);
        }
    }
}

#[test]
fn texts_for_people_are_as_agreed() {
    let lines = [
        "list",
        "list -q",
        "info vm",
        "showmapped",
        "locks",
        "children s",
        "create vm --size 1",
        "snapshot vm s",
        "open vm",
        "close vm",
        "lock vm",
        "unlock vm",
        "unlock -f vm",
        "unlock --fence vm",
        "unlock --force-unsafe vm",
        "evict-node alpha",
        "evict-node beta",
        "rename a b",
        "remove vm",
        "resize a -s 1",
        "hash s",
        "clone s c",
        "map vm",
        "map vm --print nbd-uri",
        "map vm --print qemu",
        "map vm --print libvirt-xml",
        "list --json",
        "info vm --json",
        "map vm --json",
        "showmapped --json",
        "locks --json",
    ];
    let mut text = String::new();
    for line in lines {
        let ran = vlmc(&format!("vlmc {line}"));
        text.push_str(&format!("$ vlmc {line}\n{}", ran.stdout));
    }
    let error = Some(ErrorReport::new(
        ErrorCode::Locked,
        "volume vm is locked by beta since 2001-09-09T01:46:40Z",
        "close it there, or break the lock with `vlmc unlock -f vm`",
    ));
    let ran = vlmc_with(
        words("vlmc open vm"),
        Fake {
            error,
            ..Fake::default()
        },
    );
    text.push_str(&format!(
        "$ vlmc open vm # exit code {}\n{}",
        ran.exit_code, ran.stderr
    ));
    golden("vlmc.txt", &text);
}

#[test]
fn help_is_as_agreed_and_names_all_exit_codes() {
    let help = |mut command: clap::Command| {
        let names: Vec<String> = command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set())
            .map(|sub| sub.get_name().to_owned())
            .collect();
        command = command.term_width(100);
        command.build();
        let mut text = command.render_long_help().to_string();
        for name in names {
            let sub = command.find_subcommand_mut(&name).expect("listed");
            text.push_str(&format!("\n=== {name}\n{}", sub.render_help()));
        }
        text
    };
    for program in complete::Program::ALL {
        let text = help(program.command());
        for code in ErrorCode::all() {
            assert!(text.contains(code.name()), "{code}");
        }
        golden(&format!("{}-help.txt", program.name()), &text);
    }
    let ran = vlmc("vlmc --help");
    assert_eq!((ran.exit_code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains("Usage: vlmc"));
    assert!(vlmc("vlmc --version").stdout.starts_with("vlmc "));
    assert_eq!(vlmc("vlmc").exit_code, 2);
}
