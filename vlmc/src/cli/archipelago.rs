//! `archipelago`: a parsed command, done by a [`Node`], as an [`Answer`].

use std::path::Path;

use archipelago_protocol::{ErrorCode, format_bytes, rfc3339};
use serde_json::json;

use super::answer::Answer;
use super::archipelago_args::{ArchipelagoArgs, ArchipelagoCommand};
use super::clock::span;
use super::complete;
use super::config_command;
use super::error_report::ErrorReport;
use super::lock_answers::tenths;
use super::man;
use super::node::{Grade, Node, NodeStatus, Quickstart, RoleState, RoleStatus, Scope};
use super::table::Table;
use crate::config::{self, Config, Environment};

/// Does what the command line says.
pub fn run(
    args: ArchipelagoArgs,
    environment: &Environment,
    node: &mut dyn Node,
) -> Result<Answer, ErrorReport> {
    use ArchipelagoCommand as Command;
    let file = args.config.as_deref();
    let is_user_only = args.user;
    let scope = |role: Option<String>, is_forced: bool| Scope {
        role,
        is_forced,
        is_user_only,
    };
    match args.command {
        Command::Config(command) => config_command::run(&command, file, environment),
        Command::Completions { shell } => completions(shell),
        Command::Man { directory } => pages(&directory),
        Command::Start { role } => {
            let config = load_for(file, environment, role.as_deref())?;
            let roles = node.start(&config, &scope(role.clone(), false))?;
            Ok(changed(role.as_deref(), &roles, RoleState::Running))
        }
        Command::Stop { force, role } => {
            let config = load_for(file, environment, role.as_deref())?;
            let roles = node.stop(&config, &scope(role.clone(), force))?;
            Ok(changed(role.as_deref(), &roles, RoleState::Stopped))
        }
        Command::Restart { force, role } => {
            let config = load_for(file, environment, role.as_deref())?;
            let roles = node.restart(&config, &scope(role.clone(), force))?;
            Ok(changed(role.as_deref(), &roles, RoleState::Running))
        }
        Command::Status => status(&node.status(&load(file, environment)?)?),
        Command::Quickstart => {
            let done = node.quickstart(&load(file, environment)?)?;
            Ok(Answer::new(
                json!({ "quickstart": done }),
                quickstart(&done),
            ))
        }
        Command::Doctor => doctor(node, &load(file, environment)?),
        Command::LogLevel { role, level } => {
            let config = load_for(file, environment, Some(&role))?;
            node.log_level(&config, &role, level)?;
            Ok(Answer::new(
                json!({ "done": "log-level", "role": role, "level": level }),
                "",
            ))
        }
        Command::Reattach => {
            let attached = node.reattach(&load(file, environment)?, is_user_only)?;
            Ok(Answer::new(
                json!({ "done": "reattach", "attached": attached }),
                "",
            ))
        }
        Command::DeviceName { device } => {
            let volume = node.device_name(&load(file, environment)?, &device)?;
            Ok(Answer::new(json!({ "volume": volume }), volume.clone()))
        }
        Command::Host { name } => {
            node.host(&load(file, environment)?, &name)?;
            Ok(Answer::new(json!({ "done": "host", "host": name }), ""))
        }
        Command::Supervise { host } => {
            node.supervise(&load(file, environment)?, host.as_deref(), is_user_only)?;
            Ok(Answer::new(json!({ "done": "supervise" }), ""))
        }
    }
}

fn load(file: Option<&Path>, environment: &Environment) -> Result<Config, ErrorReport> {
    config::load(file, environment).map_err(|error| config_command::report(&error))
}

/// The same, and the role that the command names must be one.
fn load_for(
    file: Option<&Path>,
    environment: &Environment,
    role: Option<&str>,
) -> Result<Config, ErrorReport> {
    let config = load(file, environment)?;
    match role {
        Some(role) if config.role(role).is_none() => {
            let names: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
            let remedy = format!("name one of {}", names.join(", "));
            let message = format!("there is no role \"{}\"", role.escape_debug());
            Err(ErrorReport::new(ErrorCode::NotFound, message, remedy))
        }
        _ => Ok(config),
    }
}

fn quickstart(done: &Quickstart) -> String {
    let (volume, size) = (&done.volume, format_bytes(done.size));
    let made = if done.is_new {
        format!("made: the volume {volume}, {size}, thin")
    } else {
        format!("there already: the volume {volume}")
    };
    let mut text = format!(
        "running: {}\n{made}\n\nwhat to do next:\n",
        done.roles.join(", ")
    );
    for command in &done.next {
        text.push_str(&format!("  {command}\n"));
    }
    text
}

fn completions(shell: super::archipelago_args::Shell) -> Result<Answer, ErrorReport> {
    let script = complete::script(shell)
        .map_err(|error| ErrorReport::new(ErrorCode::Failed, error.to_string(), ""))?;
    let json = json!({ "shell": shell.name(), "script": script });
    Ok(Answer::new(json, script))
}

fn pages(directory: &Path) -> Result<Answer, ErrorReport> {
    let pages = man::write_pages(directory).map_err(|error| {
        let code = config_command::code_of(&error);
        let message = format!("cannot write to {}: {error}", directory.display());
        ErrorReport::new(code, message, "name a directory of your own")
    })?;
    let lines: Vec<String> = pages
        .iter()
        .map(|page| page.display().to_string())
        .collect();
    Ok(Answer::new(json!({ "pages": lines }), lines.join("\n")))
}

/// A line a role, and an exit code that says whether all of them are as they were to be.
fn changed(asked: Option<&str>, roles: &[RoleStatus], wanted: RoleState) -> Answer {
    let mut text = String::new();
    for role in roles {
        text.push_str(&format!("{:<23}{}\n", role.role, role.state.name()));
    }
    text.push_str(&messages(roles));
    let shared = asked.and_then(|role| shared(role, roles));
    if let Some(note) = &shared {
        text.push_str(&format!("{note}\n"));
    }
    let mut answer = Answer::new(json!({ "roles": roles, "note": shared }), text);
    if let Some(error) = not_as(wanted, roles) {
        answer.exit_code = error.code.exit_code();
        answer.json["error"] = error.to_json()["error"].take();
    }
    answer
}

/// The first role that is not as it was to be: the text has it among the others, scripts look for an error.
fn not_as(wanted: RoleState, roles: &[RoleStatus]) -> Option<ErrorReport> {
    let role = roles.iter().find(|role| role.state != wanted)?;
    let why = role.message.as_deref();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(ErrorReport::new(
        ErrorCode::Unavailable,
        format!("the role {} is {}{why}", role.role, role.state.name()),
        format!(
            "look at the log of its host {}; `archipelago doctor` looks further",
            role.host
        ),
    ))
}

/// Who came along with the one role that was meant.
fn shared(role: &str, roles: &[RoleStatus]) -> Option<String> {
    let host = &roles.iter().find(|status| status.role == role)?.host;
    let others = roles.iter().filter(|status| status.role != role);
    let others: Vec<&str> = others.map(|status| status.role.as_str()).collect();
    if others.is_empty() {
        return None;
    }
    let others = others.join(", ");
    Some(format!(
        "{role} shares the host {host} with {others}: what is done to one is done to all"
    ))
}

/// A line for each host that has something to say: it is the same for all of its roles.
fn messages(roles: &[RoleStatus]) -> String {
    let mut text = String::new();
    let mut said: Vec<&str> = Vec::new();
    for role in roles {
        if let Some(message) = &role.message
            && !said.contains(&role.host.as_str())
        {
            said.push(&role.host);
            text.push_str(&format!("host {}: {message}\n", role.host));
        }
    }
    for role in roles {
        if let Some(since) = role.paused_since {
            let since = rfc3339(since);
            text.push_str(&format!(
                "role {}: its store has answered nothing since {since}: I/O waits, or fails if on_backend_loss says so\n",
                role.role
            ));
        }
    }
    text
}

fn status(status: &NodeStatus) -> Result<Answer, ErrorReport> {
    let mut table = Table::new(&[
        "ROLE",
        "TYPE",
        "HOST",
        "STATE",
        ">PID",
        "UPTIME",
        ">RESTARTS",
        ">INFLIGHT",
        ">LOG",
    ]);
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    for role in &status.roles {
        table.row([
            role.role.clone(),
            role.kind.clone(),
            role.host.clone(),
            role.state.name().to_owned(),
            number(role.pid.map(u64::from)),
            role.uptime_seconds.map(span).unwrap_or_default(),
            role.restarts.to_string(),
            number(role.inflight),
            number(role.log_level.map(u64::from)),
        ]);
    }
    let mut text = table.render();
    text.push_str(&messages(&status.roles));
    let supervisor = match status.supervisor_pid {
        Some(pid) => format!("supervisor: pid {pid}\n"),
        None if status.roles.iter().any(|role| role.pid.is_some()) => {
            "supervisor: not running: `archipelago start` makes one, and leaves what runs alone\n"
                .into()
        }
        None => "supervisor: not running\n".into(),
    };
    text.push_str(&supervisor);
    text.push_str(&format!("segment: {}\n", status.segment));
    let attached = if status.attached.is_empty() {
        "none".into()
    } else {
        status.attached.join(", ")
    };
    text.push_str(&format!("attached: {attached}\n"));
    match status.lease_ms {
        None => {}
        Some(0) => text.push_str(
            "lease: run out: nothing is answered until the store of maps says that it was not taken away\n",
        ),
        Some(left_ms) => text.push_str(&format!("lease: {}\n", tenths(left_ms))),
    }
    for lost in &status.lost {
        text.push_str(&format!("lost: {lost}\n"));
    }
    // Without a supervisor what dies stays dead.
    let all_run = status.supervisor_pid.is_some()
        && status
            .roles
            .iter()
            .all(|role| role.state == RoleState::Running);
    let mut answer = Answer::new(json!(status), text);
    if !all_run {
        answer.exit_code = ErrorCode::Unavailable.exit_code();
    }
    Ok(answer)
}

fn doctor(node: &mut dyn Node, config: &Config) -> Result<Answer, ErrorReport> {
    let findings = node.doctor(config)?;
    let mut text = String::new();
    for finding in &findings {
        text.push_str(&format!(
            "{:<5} {}: {}\n",
            finding.grade.name(),
            finding.check,
            finding.message
        ));
        if !finding.remedy.is_empty() {
            text.push_str(&format!("      try: {}\n", finding.remedy));
        }
    }
    let is_bad = findings.iter().any(|finding| finding.grade == Grade::Bad);
    let mut answer = Answer::new(json!({ "findings": findings }), text);
    answer.exit_code = u8::from(is_bad);
    Ok(answer)
}
