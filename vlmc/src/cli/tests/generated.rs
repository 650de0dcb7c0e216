//! Manual pages and completions.

use std::ffi::OsString;
use std::fs;

use super::fake_node::FakeNode;
use super::*;

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
