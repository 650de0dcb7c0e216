//! A guest that does what it is told, command by command.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use archipelago_guest::{Guest, Running};

/// Takes a line, runs it, tells how it ended.
const SCRIPT: &str = r#"
number=0
while read -r command; do
    number=$((number + 1))
    (eval "$command") </dev/null >/tmp/said 2>&1
    status=$?
    cat /tmp/said
    echo "[status $status of command $number]"
done
"#;

/// Of a guest that is measured in: as much as all of it may take.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);

pub struct Shell {
    running: Running,
    /// How many commands it was given.
    given: u32,
    /// How much of what it said was taken for an answer.
    taken_bytes: usize,
}

/// A guest to measure in, with what measures.
pub fn in_guest() -> Guest {
    Guest::new().program("fio").quiet().deadline(DEADLINE)
}

impl Shell {
    pub fn start(guest: &Guest) -> Result<Self> {
        let running = guest.start(SCRIPT).context("a guest to measure in")?;
        Ok(Self {
            running,
            given: 0,
            taken_bytes: 0,
        })
    }

    /// What a command of one line says, if it succeeds.
    pub fn run(&mut self, command: &str) -> Result<String> {
        let begun = Instant::now();
        self.given += 1;
        self.running.say(&format!("{command}\n"))?;
        let end = format!(" of command {}]\n", self.given);
        self.running.wait_for(&end)?;
        let all = self.running.output();
        let said = &all[self.taken_bytes..];
        let (status, answer) =
            status_and_answer(said, &end).context("the guest speaks of something else")?;
        self.taken_bytes = all.len();
        if status != "0" {
            let console = self.running.console();
            bail!(
                "status {status} of {command} in the guest, after {:?}: {answer}{console}",
                begun.elapsed()
            );
        }
        Ok(answer.to_owned())
    }
}

fn status_and_answer<'a>(said: &'a str, end: &str) -> Option<(&'a str, &'a str)> {
    let (answer, status) = said.strip_suffix(end)?.rsplit_once("[status ")?;
    Some((status, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_from_what_a_command_says() {
        let said = "one\n[status 7 of command 1]\n[status 1 of command 2]\n";
        assert_eq!(
            status_and_answer(said, " of command 2]\n"),
            Some(("1", "one\n[status 7 of command 1]\n"))
        );
        assert_eq!(status_and_answer(said, " of command 3]\n"), None);
    }

    #[test]
    fn a_guest_does_as_it_is_told_and_says_what_fails() {
        let mut shell = Shell::start(&in_guest()).unwrap();
        assert_eq!(shell.run("echo one; echo two >&2").unwrap(), "one\ntwo\n");
        let error = shell.run("echo three; exit 3").unwrap_err().to_string();
        assert!(
            error.contains("status 3") && error.contains("three"),
            "{error}"
        );
        assert_eq!(shell.run("true").unwrap(), "");
    }
}
