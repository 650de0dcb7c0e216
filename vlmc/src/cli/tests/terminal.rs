//! What goes to a terminal, and what to a pipe.

use archipelago_protocol::ErrorCode;
use serde_json::Value;

use super::fake_volumes::Fake;
use super::*;

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

    let counted = Shared(Arc::default());
    let mut progress = Progress::on("gc", Some(Box::new(counted.clone())));
    for done in [0, 500, 500, 1000] {
        progress.count(done, "objects looked at");
    }
    drop(progress);
    let text = String::from_utf8(counted.0.lock().expect("free").clone()).expect("text");
    assert_eq!(text.matches('\r').count(), 4, "{text:?}");
    assert!(text.contains("\rgc: 500 objects looked at"), "{text:?}");
}
