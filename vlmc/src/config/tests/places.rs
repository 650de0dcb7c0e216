//! Places: directories, looked at by those who need them, and pools.

use super::*;

#[test]
fn unusable_directories_are_named_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = environment(dir.path());
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("file"), "").expect("written");
    let text = format!(
        "run_dir = \"{}\"\nlog_dir = \"{}\"\n[role.blockerb]\narchip_dir = \"{}\"\n",
        at("file"),
        at("fresh"),
        at("missing/deep"),
    );
    let config = load_text("a.toml", &text, &environment).unwrap_or_else(|error| panic!("{error}"));
    let problems: Vec<String> = directories::check(&config, &environment)
        .iter()
        .map(Problem::to_string)
        .collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("a.toml:1: run_dir: ") && problems[0].contains("not a directory")
    );
    assert!(problems[1].starts_with("a.toml:4: role.blockerb.archip_dir: "));
    assert!(problems[1].contains("mkdir -p"), "{problems:?}");
    let refused = directories::prepare(&config, &environment)
        .expect_err("unusable")
        .to_string();
    assert!(refused.contains("run_dir"), "{refused}");
}

#[test]
fn the_directory_of_the_nbd_socket_is_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = environment(dir.path());
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let text = format!("[nbd]\nsocket = \"{}/nbd.sock\"", file.display());
    let config = load_text("a.toml", &text, &environment).unwrap_or_else(|error| panic!("{error}"));
    let problems = directories::check(&config, &environment);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let text = problems[0].to_string();
    assert!(
        text.starts_with("a.toml:2: nbd.socket: ") && text.contains("not a directory"),
        "{text}"
    );
}

#[test]
fn two_blockers_do_not_share_a_namespace_of_a_pool() {
    let both = "roles = [[\"blockerb\", \"rados_blocker\"], [\"blockerm\", \"rados_blocker\"]]\n\
                [role.blockerb]\npool = \"one\"\n[role.blockerm]\npool = \"one\"\n";
    assert!(with_text(both).is_ok());
    let error = with_text(&format!("{both}namespace = \"blockerb\"")).expect_err("shared");
    let text = error.to_string();
    assert!(text.contains("blockerb of the pool one"), "{text}");
}

/// The directory of sockets in a place that anybody may write to must not be somebody else's trap.
#[test]
fn a_run_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let environment = environment(dir.path());
    let run = dir.path().join("open");
    fs::create_dir(&run).expect("made");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).expect("opened");
    let text = format!("run_dir = \"{}\"", run.display());
    let config = load_text("a.toml", &text, &environment).expect("fine as such");
    let refused = directories::prepare(&config, &environment)
        .expect_err("open to all")
        .to_string();
    assert!(refused.contains("can be written by others"), "{refused}");

    let link = dir.path().join("link");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("closed");
    std::os::unix::fs::symlink(&run, &link).expect("linked");
    let text = format!("run_dir = \"{}\"", link.display());
    let config = load_text("a.toml", &text, &environment).expect("fine as such");
    assert!(directories::prepare(&config, &environment).is_err());
}

#[test]
fn shared_keys_are_for_programs_that_were_built_with_them_and_for_no_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = super::environment(dir.path());
    let load = |text: &str| load_text("a.toml", text, &environment);
    let alone = load("[nbd]\ntls_psk_file = \"/etc/archipelago/keys.psk\"");
    if cfg!(feature = "tls-psk") {
        let config = alone.unwrap_or_else(|error| panic!("{error}"));
        let shown = show_toml(&config);
        let again = load(&shown).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.nbd, config.nbd);
    } else {
        let refused = alone.expect_err("refused").to_string();
        assert!(
            refused.contains("a.toml:2: nbd.tls_psk_file: "),
            "{refused}"
        );
        assert!(refused.contains("--features tls-psk"), "{refused}");
    }
    let both = "[nbd]\ntls_psk_file = \"/k\"\ntls_certificate = \"/c\"\ntls_key = \"/d\"";
    let refused = load(both).expect_err("refused").to_string();
    assert!(refused.contains("beside certificates"), "{refused}");
}
