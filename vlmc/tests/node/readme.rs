//! What the README says is what happens: for root and for an ordinary user, on a machine that has nothing yet.
//!
//! Each user has namespaces of its own, with nothing in the directories where a node keeps things.

use std::process::{Command, Stdio};

use tempfile::TempDir;

const README: &str = include_str!("../../../README.md");

/// The fenced blocks of a kind, in order.
fn blocks(kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let parts = README.split(&fence).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}

/// The commands of the console blocks, as they are.
fn commands() -> String {
    let blocks = blocks("console").concat();
    let said = blocks.lines().filter_map(|line| line.strip_prefix("$ "));
    let commands: Vec<&str> = said.collect();
    assert!(commands.len() > 8, "{commands:?}");
    commands.join("\n")
}

/// Stands in for the build, and puts the programs of this one where that does: all of them, or the one that is named. Nothing else
/// does, so what the README forgets to build or to find is not there.
fn cargo() -> String {
    let programs = [
        env!("CARGO_BIN_EXE_archipelago"),
        env!("CARGO_BIN_EXE_vlmc"),
    ];
    let [archipelago, vlmc] = programs.map(|program| format!("'{program}'"));
    format!(
        r#"#!/bin/sh
mkdir -p target/release
case "$*" in
"build --release") ln -sf {archipelago} {vlmc} target/release ;;
"build --release --bin archipelago") ln -sf {archipelago} target/release ;;
"build --release --bin vlmc") ln -sf {vlmc} target/release ;;
*) echo "cargo $*: not known here" >&2; exit 1 ;;
esac
"#
    )
}

/// Runs a script as somebody who finds nothing.
#[track_caller]
fn run(who: Who, script: &str) -> String {
    let home = TempDir::new().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    // A machine that has no screen, and that is switched off as soon as it has its disk; without one (optional) its block
    // layer alone.
    let qemu = r#"#!/bin/sh
if [ -x /usr/bin/qemu-system-x86_64 ]; then
    echo quit | exec /usr/bin/qemu-system-x86_64 -display none -monitor stdio "$@"
fi
drive=${2#file=}
exec qemu-io -f raw -r -c "read 0 4k" "${drive%%,*}"
"#;
    std::fs::write(bin.join("qemu-system-x86_64"), qemu).unwrap();
    std::fs::write(bin.join("cargo"), cargo()).unwrap();
    for name in ["qemu-system-x86_64", "cargo"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join(name), mode).unwrap();
    }
    std::fs::create_dir(home.path().join("runtime")).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    std::fs::write(
        home.path().join("script"),
        format!("set -euo pipefail\n{script}\n"),
    )
    .unwrap();
    let alone = format!("{EMPTY}\nexec {} bash script", who.becomes());
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--"])
        .args(["bash", "-c", &alone])
        .current_dir(home.path())
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path().join("runtime"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}\n{errors}");
    said
}

/// Nothing of the machine's own node is to be seen, nor touched.
const EMPTY: &str =
    "set -e; for at in /run /var/lib /var/log /dev/shm /srv; do mount -t tmpfs none $at; done";

#[derive(Clone, Copy, Debug)]
enum Who {
    Root,
    Somebody,
}

impl Who {
    fn becomes(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Somebody => "unshare --user --map-user=1000 --map-group=1000 --",
        }
    }
}

#[test]
fn all_that_the_readme_has_one_type_works_for_root_and_for_others() {
    let image = "truncate --size 64M image.raw; mkfs.ext4 -q -F image.raw";
    // The copy is the image, and the node is gone at the end.
    let before = format!("{image}\ntrap 'archipelago stop --force >/dev/null' EXIT");
    let check = "archipelago status >/dev/null && exit 7 || true";
    let script = format!("{}\n{check}", commands());
    for who in [Who::Root, Who::Somebody] {
        let said = run(who, &format!("{before}\n{script}"));
        assert!(said.contains("what to do next"), "{said}");
        for name in ["disk", "monday", "twin"] {
            assert!(said.contains(name), "{said}");
        }
    }
}

#[test]
fn the_readmes_configuration_is_one() {
    let config = &blocks("toml")[0];
    let script = format!(
        "cargo build --release\nmkdir /srv/archip\ncat > own.toml <<'END'\n{config}END\ntarget/release/archipelago --config own.toml config check"
    );
    run(Who::Root, &script);
}

#[test]
fn the_readmes_commands_are_there() {
    let rows = README.lines().filter(|line| line.starts_with("| `"));
    let mut asked = 0;
    for row in rows {
        let named = row.split('|').nth(1).unwrap();
        let mut program = "";
        for words in named.split('`').skip(1).step_by(2) {
            let mut words = words.split_whitespace().peekable();
            if let Some(first @ ("archipelago" | "vlmc")) = words.peek().copied() {
                program = first;
                words.next();
            }
            let Some(command) = words.next().filter(|word| !word.starts_with('-')) else {
                continue;
            };
            let at = match program {
                "archipelago" => env!("CARGO_BIN_EXE_archipelago"),
                "vlmc" => env!("CARGO_BIN_EXE_vlmc"),
                _ => continue,
            };
            // `config check`, `show` and `convert` are commands of a command.
            let tries = [vec![command, "--help"], vec!["config", command, "--help"]];
            let is_there = tries.iter().any(|args| {
                let output = Command::new(at).args(args).output().unwrap();
                output.status.success()
            });
            assert!(is_there, "{program} {command}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
