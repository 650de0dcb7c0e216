//! Programs that people use. One that is not installed fails the test: a green run means that they all were there.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PACKAGES: &[(&str, &str)] = &[
    ("nbdinfo", "libnbd-bin"),
    ("nbdcopy", "libnbd-bin"),
    ("nbdsh", "python3-libnbd and libnbd-bin"),
    ("qemu-img", "qemu-utils"),
    ("qemu-io", "qemu-utils"),
    ("qemu-nbd", "qemu-utils"),
    ("fio", "fio"),
];

fn command(program: &str, arguments: &[&str]) -> Command {
    // The packages' own Python knows their modules; another one that comes earlier in the path does not.
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", format!("/usr/bin:/bin:{path}"));
    command
}

fn output(directory: &Path, program: &str, arguments: &[&str]) -> Output {
    let ended = command(program, arguments).current_dir(directory).output();
    match ended {
        Ok(output) => output,
        Err(error) => {
            let known = PACKAGES.iter().find(|(name, _)| *name == program);
            let package = known.map_or("?", |(_, package)| package);
            panic!("{program}: {error}: install the Debian package {package}");
        }
    }
}

/// Runs a program that must succeed, and returns what it says.
pub fn run(program: &str, arguments: &[&str]) -> String {
    run_in(Path::new("/"), program, arguments)
}

pub fn run_in(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = output(directory, program, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Runs lines of Python that know the handle `h` of libnbd, not yet connected.
pub fn shell(script: &str) -> String {
    run("nbdsh", &["-c", script])
}

/// Runs a program that must fail, and returns what it says about that.
pub fn refused(program: &str, arguments: &[&str]) -> String {
    let output = output(Path::new("/"), program, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{program} {arguments:?}: {said}");
    said
}

/// Begins to run such lines.
pub fn begin_shell(script: &str) -> Child {
    let mut command = command("nbdsh", &["-c", script]);
    let begun = command.stdout(Stdio::piped()).spawn();
    begun.expect("nbdsh: install the Debian packages python3-libnbd and libnbd-bin")
}
