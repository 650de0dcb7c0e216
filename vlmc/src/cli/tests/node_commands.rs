//! `archipelago`: what it asks for, what it says.

use std::fs;

use super::fake_node::FakeNode;
use super::*;

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
        ("restart", "restart Scope { role: None, is_forced: false"),
        ("restart -f", "restart Scope { role: None, is_forced: true"),
        ("log-level mapperd 3", "log-level mapperd 3"),
        ("host main", "host main"),
        ("supervise", "supervise None"),
        ("supervise --host front", "supervise Some(\"front\")"),
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
        ("start mapperd", false),
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
        ("start --json", true),
        ("quickstart --json", false),
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
fn a_command_that_is_missing_is_asked_for_and_hidden_ones_are_not_offered() {
    let dir = tempfile::tempdir().expect("a directory");
    for line in [
        "archipelago --json",
        "archipelago --json config",
        "archipelago -u",
    ] {
        let ran = archipelago_with(line, dir.path(), &mut FakeNode::default());
        assert_eq!(ran.exit_code, 2, "{line}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("supervise"), "{said}");
        if line.contains("--json") {
            let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one object");
            let error = &json["error"];
            assert_eq!(error["code"], "invalid", "{said}");
            let words = ["message", "remedy"].map(|key| error[key].as_str().unwrap_or_default());
            assert!(
                words
                    .iter()
                    .all(|text| !text.is_empty() && !text.contains('\n')),
                "{said}"
            );
        }
    }
}
