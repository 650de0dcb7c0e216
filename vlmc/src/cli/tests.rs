//! Whole command lines against a fake node: what is asked of it, what comes out.
//!
//! Texts that people and scripts rely on are in `golden/`; `UPDATE_GOLDEN=1` rewrites them.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use archipelago_protocol::{
    ErrorCode, GcAnswer, GcOrphan, ListAnswer, LockInfo, VolumeInfo, VolumeName, VolumeRef,
};
use serde_json::Value;

use super::*;
use crate::config::{Config, Environment};

/// Answers with fixed volumes, or with an error; remembers what it was asked.
#[derive(Default)]
struct Fake {
    asked: Vec<String>,
    error: Option<ErrorReport>,
}

impl Fake {
    fn did(&mut self, what: impl std::fmt::Debug) -> Result<(), ErrorReport> {
        self.asked.push(format!("{what:?}"));
        self.error.clone().map_or(Ok(()), Err)
    }
}

fn lock(volume: &str) -> LockInfo {
    LockInfo {
        volume: volume.into(),
        node: "alpha".into(),
        deployment: "d0".into(),
        since: 1_000_000_000,
        token: 7,
        is_ours: true,
    }
}

fn volume(name: &str, size: u64) -> VolumeInfo {
    VolumeInfo {
        name: name.into(),
        id: "00112233445566778899aabbccddeeff".into(),
        size,
        is_snapshot: name.contains("snap"),
        object_bytes: 4 << 20,
        grain_bytes: 64 << 10,
        parent: name.contains("clone").then(|| "snap-1".into()),
        created: 951_782_400,
        lock: name.starts_with("vm").then(|| lock(name)),
        is_open: name.starts_with("vm"),
    }
}

fn attachment() -> Attachment {
    Attachment {
        volume: "vm".into(),
        kind: "nbd".into(),
        device: None,
        socket: Some("/run/a,b/nbd.sock".into()),
        uri: Some("nbd+unix:///vm?socket=/run/a,b/nbd.sock".into()),
        is_read_only: true,
        clients: 2,
    }
}

impl Volumes for Fake {
    fn map(&mut self, request: &MapRequest) -> Result<Attachment, ErrorReport> {
        self.did(("map", request)).map(|()| attachment())
    }
    fn unmap(&mut self, device: &str) -> Result<(), ErrorReport> {
        self.did(("unmap", device))
    }
    fn attachments(&mut self) -> Result<Vec<Attachment>, ErrorReport> {
        self.did("attachments").map(|()| vec![attachment()])
    }
    fn create(&mut self, request: &CreateRequest) -> Result<VolumeInfo, ErrorReport> {
        self.did(("create", request))
            .map(|()| volume("vm", 1 << 30))
    }
    fn snapshot(&mut self, volume: &VolumeName, snapshot: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("snapshot", volume.as_str(), snapshot.as_str()))
    }
    fn remove(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport> {
        self.did(("remove", volume.to_string()))
    }
    fn gc(&mut self, what: Collecting, _: &mut Progress) -> Result<GcAnswer, ErrorReport> {
        self.did(("gc", what)).map(|()| GcAnswer {
            is_done: true,
            looked_at: 9,
            found: 3,
            bytes: 8192,
            orphans: vec![GcOrphan {
                object: "page/x".into(),
                bytes: 4096,
            }],
            notes: vec!["content is not judged".into()],
        })
    }
    fn remove_hash(&mut self, hash: &str) -> Result<(), ErrorReport> {
        self.did(("remove_hash", hash))
    }
    fn list(&mut self) -> Result<ListAnswer, ErrorReport> {
        let volumes = [
            ("vm-2", 1536 << 20),
            ("snap-1", 10 << 30),
            ("clone", 1 << 50),
            ("\u{e9}", 512),
        ];
        self.did("list").map(|()| ListAnswer {
            volumes: volumes.map(|(name, size)| volume(name, size)).to_vec(),
            ..ListAnswer::default()
        })
    }
    fn info(&mut self, name: &VolumeRef) -> Result<VolumeInfo, ErrorReport> {
        self.did(("info", name.to_string()))
            .map(|()| volume("vm", 1 << 30))
    }
    fn open(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("open", volume.as_str()))
    }
    fn close(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("close", volume.as_str()))
    }
    fn lock(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("lock", volume.as_str()))
    }
    fn unlock(&mut self, volume: &VolumeName, breaking: Breaking) -> Result<(), ErrorReport> {
        self.did(("unlock", volume.as_str(), breaking))
    }
    fn rename(&mut self, volume: &VolumeName, new_name: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("rename", volume.as_str(), new_name.as_str()))
    }
    fn resize(&mut self, request: &ResizeRequest) -> Result<(), ErrorReport> {
        self.did(("resize", request))
    }
    fn hash(
        &mut self,
        snapshot: &VolumeRef,
        progress: &mut Progress,
    ) -> Result<String, ErrorReport> {
        progress.report(1, 2);
        self.did(("hash", snapshot.to_string()))
            .map(|()| "ab".repeat(32))
    }
    fn clone_volume(&mut self, request: &CloneRequest) -> Result<VolumeInfo, ErrorReport> {
        self.did(("clone", request))
            .map(|()| volume("clone", 1 << 30))
    }
    fn locks(&mut self) -> Result<Vec<LockInfo>, ErrorReport> {
        self.did("locks")
            .map(|()| vec![lock("vm-2"), lock("vm-10")])
    }
    fn children(&mut self, of: &VolumeRef) -> Result<Vec<VolumeInfo>, ErrorReport> {
        self.did(("children", of.to_string()))
            .map(|()| vec![volume("clone", 1 << 30)])
    }
}

struct Ran {
    stdout: String,
    stderr: String,
    exit_code: u8,
    asked: Vec<String>,
}

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// Runs a `vlmc` command line as `main` would.
fn vlmc_with(words: Vec<OsString>, mut fake: Fake) -> Ran {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut output = Output {
        stdout: &mut stdout,
        stderr: &mut stderr,
        is_json: false,
        is_coloured: false,
    };
    let exit_code = match parse::<VlmcArgs>(words, &mut output) {
        Ok(args) => output.finish(vlmc::run(args.command, &mut fake)),
        Err(exit_code) => exit_code,
    };
    Ran {
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
        exit_code,
        asked: fake.asked,
    }
}

fn vlmc(line: &str) -> Ran {
    vlmc_with(words(line), Fake::default())
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/cli/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; now it is:\n{text}");
}

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
    let cases: [(&[&str], &str); 18] = [
        (&["create", "vm"], "required"),
        (&["create", "vm", "--size", "0"], "at least one sector"),
        (&["create", "vm", "--size=-1"], "negative"),
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
        let line = || {
            let program = std::iter::once(OsString::from("vlmc"));
            program
                .chain(arguments.iter().map(OsString::from))
                .collect::<Vec<_>>()
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
    }
    let long = vlmc(&format!("vlmc info {}", "x".repeat(256)));
    assert!(long.stderr.contains("256 bytes"), "{}", long.stderr);
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

/// OUT-2
#[test]
fn what_others_wrote_cannot_play_with_the_terminal() {
    let error = Some(ErrorReport::new(
        ErrorCode::Failed,
        "bad \x1b[2J name",
        "\rdo",
    ));
    let ran = vlmc_with(
        words("vlmc list"),
        Fake {
            error,
            ..Fake::default()
        },
    );
    assert!(!ran.stderr.contains(['\x1b', '\r']), "{:?}", ran.stderr);
    assert!(ran.stderr.contains("\\u{1b}"), "{:?}", ran.stderr);
}

#[test]
fn colours_come_only_to_terminals_whose_user_wants_them() {
    let with = |is_terminal: bool, set: &[(&str, &str)]| {
        wants_colour(is_terminal, |name| {
            let found = set.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        })
    };
    assert!(with(true, &[("TERM", "xterm")]));
    assert!(!with(false, &[("TERM", "xterm")]));
    assert!(!with(true, &[("TERM", "dumb")]));
    assert!(!with(true, &[("TERM", "xterm"), ("NO_COLOR", "1")]));
    assert!(with(true, &[("TERM", "xterm"), ("NO_COLOR", "")]));
    assert!(with(false, &[("CLICOLOR_FORCE", "1")]));
    assert!(!with(false, &[("CLICOLOR_FORCE", "0")]));
}

/// A reader that goes away is no failure; a full disk is one.
#[test]
fn a_closed_pipe_is_quiet_and_a_failed_write_is_not() {
    struct Broken(std::io::ErrorKind);
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let exit_code = |kind| {
        let mut output = Output {
            stdout: &mut Broken(kind),
            stderr: &mut Vec::new(),
            is_json: false,
            is_coloured: false,
        };
        output.finish(Ok(Answer::new(Value::Null, "text")))
    };
    assert_eq!(exit_code(std::io::ErrorKind::BrokenPipe), 0);
    assert_eq!(exit_code(std::io::ErrorKind::StorageFull), 1);
}

#[test]
fn progress_is_one_line_that_vanishes_and_nothing_where_nobody_looks() {
    use std::sync::{Arc, Mutex};
    #[derive(Clone)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("held by nobody").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared(Arc::default());
    let mut progress = Progress::on("hash", Some(Box::new(shared.clone())));
    for done in 0..=1000 {
        progress.report(done, 4000);
    }
    progress.report(0, 0);
    drop(progress);
    let text = String::from_utf8(shared.0.lock().expect("free").clone()).expect("text");
    assert_eq!(text.matches('\r').count(), 28, "{text:?}");
    assert!(text.ends_with("100 %\r\x1b[K"), "{text:?}");
    Progress::on("hash", None).report(1, 2);
}

/// Answers for `archipelago`.
#[derive(Default)]
struct FakeNode {
    asked: Vec<String>,
    is_broken: bool,
}

impl FakeNode {
    fn roles(&self, config: &Config, state: RoleState) -> Vec<RoleStatus> {
        let role = |role: &crate::config::RoleConfig| RoleStatus {
            role: role.name.clone(),
            kind: role.kind().name().into(),
            host: "main".into(),
            state: if self.is_broken && role.name == "mapperd" {
                RoleState::Failed
            } else {
                state
            },
            pid: (state == RoleState::Running).then_some(4321),
            uptime_seconds: (state == RoleState::Running).then_some(3700),
            restarts: 0,
            inflight: None,
            log_level: (state == RoleState::Running).then_some(role.log_level),
            message: (self.is_broken && role.name == "mapperd").then(|| "died 5 times".into()),
        };
        config.roles.iter().map(role).collect()
    }
}

impl Node for FakeNode {
    fn start(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("start {scope:?}"));
        Ok(self.roles(config, RoleState::Running))
    }
    fn stop(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("stop {scope:?}"));
        Ok(self.roles(config, RoleState::Stopped))
    }
    fn restart(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("restart {scope:?}"));
        Ok(self.roles(config, RoleState::Running))
    }
    fn status(&mut self, config: &Config) -> Result<NodeStatus, ErrorReport> {
        Ok(NodeStatus {
            supervisor_pid: Some(4320),
            segment: "/dev/shm/archipelago".into(),
            roles: self.roles(config, RoleState::Running),
            attached: vec!["vm".into()],
        })
    }
    fn quickstart(&mut self, _: &Config) -> Result<Vec<String>, ErrorReport> {
        Ok(vec!["Next: vlmc map vm".into()])
    }
    fn doctor(&mut self, _: &Config) -> Result<Vec<Finding>, ErrorReport> {
        let grade = if self.is_broken {
            Grade::Bad
        } else {
            Grade::Note
        };
        Ok(vec![Finding {
            check: "memlock".into(),
            grade,
            message: "64 KiB".into(),
            remedy: "raise it".into(),
        }])
    }
    fn log_level(&mut self, _: &Config, role: &str, level: u8) -> Result<(), ErrorReport> {
        self.asked.push(format!("log-level {role} {level}"));
        Ok(())
    }
    fn host(&mut self, _: &Config, name: &str) -> Result<(), ErrorReport> {
        self.asked.push(format!("host {name}"));
        Ok(())
    }
    fn supervise(&mut self, _: &Config, file: Option<&Path>) -> Result<(), ErrorReport> {
        self.asked.push(format!("supervise {file:?}"));
        Ok(())
    }
}

fn archipelago_with(line: &str, dir: &Path, node: &mut FakeNode) -> Ran {
    let environment = Environment {
        uid: rustix::process::geteuid().as_raw().max(1),
        etc_dir: dir.join("etc"),
        passwd_file: dir.join("passwd"),
        group_file: dir.join("group"),
        config_home: dir.join("config"),
        state_home: dir.join("state"),
        runtime_dir: Some(dir.join("run")),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut output = Output {
        stdout: &mut stdout,
        stderr: &mut stderr,
        is_json: false,
        is_coloured: false,
    };
    let exit_code = match parse::<ArchipelagoArgs>(words(line), &mut output) {
        Ok(args) => output.finish(archipelago::run(args, &environment, node)),
        Err(exit_code) => exit_code,
    };
    Ran {
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
        exit_code,
        asked: std::mem::take(&mut node.asked),
    }
}

#[test]
fn archipelago_asks_for_what_the_guide_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = [
        (
            "start",
            "start Scope { role: None, is_forced: false, is_user_only: false }",
        ),
        ("-u start", "is_user_only: true"),
        (
            "start mapperd --user",
            "start Scope { role: Some(\"mapperd\"), is_forced: false, is_user_only: true }",
        ),
        (
            "stop -f vlmcd",
            "stop Scope { role: Some(\"vlmcd\"), is_forced: true",
        ),
        ("restart", "restart Scope { role: None, is_forced: true"),
        ("log-level mapperd 3", "log-level mapperd 3"),
        ("host main", "host main"),
        ("supervise", "supervise None"),
    ];
    for (line, expected) in cases {
        let ran = archipelago_with(
            &format!("archipelago {line}"),
            dir.path(),
            &mut FakeNode::default(),
        );
        assert_eq!(ran.exit_code, 0, "{line}: {}", ran.stderr);
        assert!(ran.asked[0].contains(expected), "{line}: {:?}", ran.asked);
    }
    let mut text = String::new();
    for (line, is_broken) in [
        ("start", false),
        ("stop", false),
        ("status", false),
        ("status", true),
        ("start", true),
        ("start nobody", false),
        ("doctor", true),
        ("doctor", false),
        ("quickstart", false),
        ("log-level mapperd 4", false),
        ("config check", false),
        ("status --json", true),
    ] {
        let mut node = FakeNode {
            is_broken,
            ..FakeNode::default()
        };
        let ran = archipelago_with(&format!("archipelago {line}"), dir.path(), &mut node);
        text.push_str(&format!(
            "$ archipelago {line} # exit code {}\n{}{}",
            ran.exit_code, ran.stdout, ran.stderr
        ));
    }
    golden("archipelago.txt", &text);
}

#[test]
fn config_commands_show_what_is_wrong_and_never_overwrite() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |line: &str| {
        archipelago_with(
            &format!("archipelago {line}"),
            dir.path(),
            &mut FakeNode::default(),
        )
    };
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("bad.toml"), "timeout = 0\nsegmnt = 1\n").expect("written");
    let ran = run(&format!("config check -c {}", path("bad.toml")));
    assert_eq!(ran.exit_code, 2);
    assert!(
        ran.stderr.contains("bad.toml:1: timeout") && ran.stderr.contains("bad.toml:2: segmnt"),
        "{}",
        ran.stderr
    );
    let ran = run("status -c /no/such/file --json");
    assert_eq!(ran.exit_code, 3);
    assert!(ran.stdout.contains("\"not-found\""), "{}", ran.stdout);

    let shown = run("config show").stdout;
    fs::write(path("shown.toml"), shown).expect("written");
    assert_eq!(
        run(&format!("config check -c {}", path("shown.toml"))).exit_code,
        0
    );

    fs::write(
        path("old.conf"),
        "SEGMENT_SIZE = 512\nBLKTAP_ENABLED = True\n",
    )
    .expect("written");
    let line = format!(
        "config convert {} -o {}",
        path("old.conf"),
        path("new.toml")
    );
    let ran = run(&line);
    assert_eq!(ran.exit_code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("Dropped: BLKTAP_ENABLED"),
        "{}",
        ran.stdout
    );
    let new = fs::read_to_string(path("new.toml")).expect("written");
    assert!(new.contains("SEGMENT_SIZE = 512"), "{new}");
    let again = run(&line);
    assert_eq!(again.exit_code, 4, "{}", again.stderr);
    fs::write(path("odd.conf"), "import os\n").expect("written");
    let ran = run(&format!("config convert {}", path("odd.conf")));
    assert_eq!(ran.exit_code, 2);
    assert!(ran.stderr.contains("nothing is executed"), "{}", ran.stderr);
}

#[test]
fn manual_pages_and_completions_come_from_the_same_definitions() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = FakeNode::default();
    let ran = archipelago_with(
        &format!("archipelago man {}", dir.path().display()),
        dir.path(),
        &mut node,
    );
    for page in [
        "vlmc.1",
        "vlmc-create.1",
        "archipelago.1",
        "archipelago-config-convert.1",
        "archipelago.toml.5",
    ] {
        assert!(
            ran.stdout.contains(&format!("/{page}")),
            "{page}\n{}",
            ran.stdout
        );
        assert!(fs::metadata(dir.path().join(page)).expect(page).len() > 100);
    }
    let page = fs::read_to_string(dir.path().join("archipelago.toml.5")).expect("written");
    assert!(page.contains("Also VTOOL_START. Derived."), "{page}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = archipelago_with(
            &format!("archipelago completions {shell}"),
            dir.path(),
            &mut node,
        );
        assert_eq!(ran.exit_code, 0, "{}", ran.stderr);
        assert!(
            ran.stdout.contains("vlmc") && ran.stdout.contains("archipelago"),
            "{shell}"
        );
    }
}

#[test]
fn tab_completes_the_names_of_volumes_and_of_roles() {
    complete::provide(complete::Words {
        volumes: || vec!["vm-1".into(), "vm-2".into(), "other".into()],
        roles: || vec!["mapperd".into(), "vlmcd".into()],
    });
    let complete = |program: complete::Program, line: &str| {
        let words = words(line)
            .into_iter()
            .chain(line.ends_with(' ').then(OsString::new));
        let words: Vec<OsString> = words.collect();
        let index = words.len() - 1;
        let found = clap_complete::engine::complete(&mut program.command(), words, index, None);
        let found = found.expect("candidates");
        let names = found
            .iter()
            .map(|word| word.get_value().to_string_lossy().into_owned());
        names.collect::<Vec<String>>()
    };
    assert_eq!(
        complete(complete::Program::Vlmc, "vlmc info vm"),
        ["vm-1", "vm-2"]
    );
    assert_eq!(
        complete(complete::Program::Vlmc, "vlmc create new --snap o"),
        ["other"]
    );
    assert_eq!(
        complete(complete::Program::Archipelago, "archipelago stop v"),
        ["vlmcd"]
    );
    assert!(complete(complete::Program::Vlmc, "vlmc sh").contains(&"showmapped".to_owned()));
}
