//! What QEMU is told from outside, by its own protocol (QMP).

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::GuestError;

/// A connection to the socket that [`Guest::qmp`](crate::Guest::qmp) names.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    pub fn connect(socket: &Path) -> Result<Self, GuestError> {
        let stream = UnixStream::connect(socket).map_err(GuestError::file(socket))?;
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        let greeting = monitor.hear("(greeting)")?;
        if greeting["QMP"].is_object() {
            monitor.execute("qmp_capabilities", &json!({}))?;
            return Ok(monitor);
        }
        Err(failed("(greeting)", &greeting))
    }

    /// Returns what is answered, when it is done. Events that come before are not kept.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, GuestError> {
        let line = json!({ "execute": command, "arguments": arguments });
        let sent = writeln!(self.stream.get_mut(), "{line}");
        sent.map_err(|error| failed(command, &error))?;
        loop {
            let mut answer = self.hear(command)?;
            if !answer["error"].is_null() {
                return Err(failed(command, &answer));
            }
            if !answer["return"].is_null() {
                return Ok(answer["return"].take());
            }
        }
    }

    fn hear(&mut self, command: &str) -> Result<Value, GuestError> {
        let mut line = String::new();
        let heard = self.stream.read_line(&mut line);
        heard.map_err(|error| failed(command, &error))?;
        serde_json::from_str(&line).map_err(|error| failed(command, &error))
    }
}

fn failed(command: &str, said: &dyn Display) -> GuestError {
    GuestError::Monitor {
        command: command.to_owned(),
        said: said.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// What a monitor is told by somebody who says these lines, one for each that he hears, and one before.
    fn told(lines: &'static [&'static str]) -> Result<Value, GuestError> {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let other = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for line in lines {
                writeln!(stream.get_mut(), "{line}").unwrap();
                if !line.contains("event") {
                    stream.read_line(&mut String::new()).unwrap();
                }
            }
        });
        let answer = Monitor::connect(&socket).and_then(|mut it| it.execute("stop", &json!({})));
        other.join().unwrap();
        answer
    }

    const GREETING: &str = r#"{"QMP": {"version": {}}}"#;
    const DONE: &str = r#"{"return": {}}"#;

    #[test]
    fn events_are_passed_over() {
        let answer = told(&[GREETING, DONE, r#"{"event": "STOP"}"#, r#"{"return": 7}"#]);
        assert_eq!(answer.unwrap(), json!(7));
    }

    #[test]
    fn a_refusal_and_an_end_are_errors_that_name_the_command() {
        let refused = told(&[GREETING, DONE, r#"{"error": {"desc": "not now"}}"#]).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("stop") && said.contains("not now"), "{said}");
        let ended = told(&[GREETING, DONE]).unwrap_err().to_string();
        assert!(ended.contains("stop"), "{ended}");
        let strange = told(&[DONE]).unwrap_err().to_string();
        assert!(strange.contains("greeting"), "{strange}");
    }
}
