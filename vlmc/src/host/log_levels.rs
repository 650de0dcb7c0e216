//! What the roles of a running node log: told and changed by a notice, which is answered however busy a role is.

use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::ErrorCode;
use archipelago_runtime::{CallError, Handle, Reactor, ReactorOptions, Station};
use xseg::{BindOptions, OpCode, PortId, Segment};

use crate::cli::ErrorReport;
use crate::config::{Config, RoleConfig};

/// A host answers at once, or hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What a host says about the level of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Level(u8),
    /// It does not answer.
    Nothing,
    /// There was no way to ask.
    NotAsked,
}

/// Changes the level of a role for as long as its host lives.
pub(super) fn change(config: &Config, role: &RoleConfig, level: u8) -> Result<(), ErrorReport> {
    let segment = super::join(config)?;
    let answers = ask(&segment, &[role], Some(level)).map_err(|why| {
        let remedy = "`xseg reportall` tells who has the segment's ports";
        ErrorReport::new(ErrorCode::Unavailable, why, remedy)
    })?;
    match answers.first() {
        Some(Told::Level(now)) if *now == level => Ok(()),
        _ => Err(ErrorReport::new(
            ErrorCode::Unavailable,
            format!("the host of {} does not answer", role.name),
            "`archipelago status` tells whether it runs",
        )),
    }
}

/// The levels of these roles, as far as their hosts tell them.
pub(super) fn levels(segment: &Segment, roles: &[&RoleConfig]) -> Vec<Told> {
    ask(segment, roles, None).unwrap_or_else(|_| vec![Told::NotAsked; roles.len()])
}

/// Asks all of them at once.
fn ask(segment: &Segment, roles: &[&RoleConfig], change: Option<u8>) -> Result<Vec<Told>, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let options = BindOptions::default().label("archipelago");
    let port = segment
        .bind_dynamic(&options)
        .map_err(|error| failed(&error))?;
    let options = ReactorOptions::default().threads_max(1);
    let reactor = Reactor::new(port, &options).map_err(|error| failed(&error))?;
    let handle = reactor.handle();
    let geometry = segment.geometry();
    let ports: Vec<Option<PortId>> = roles
        .iter()
        .map(|role| geometry.port(role.ports.start))
        .collect();
    Ok(reactor.block_on(async move {
        let ask_one = |port: Option<PortId>| {
            let (handle, station) = (handle.clone(), handle.station());
            handle.clone().spawn(async move {
                let Some(port) = port else {
                    return Told::NotAsked;
                };
                match ask_one(&handle, &station, port, change).await {
                    Ok(told) => told,
                    Err(CallError::Expired { .. }) => Told::Nothing,
                    Err(_) => Told::NotAsked,
                }
            })
        };
        let asked: Vec<_> = ports.into_iter().map(ask_one).collect();
        let mut levels = Vec::new();
        for answer in asked {
            levels.push(answer.await);
        }
        levels
    }))
}

async fn ask_one(
    handle: &Handle,
    station: &Rc<Station>,
    port: PortId,
    change: Option<u8>,
) -> Result<Told, CallError> {
    let mut draft = station.draft(OpCode::LOG_LEVEL).await?;
    if let Some(level) = change {
        draft.set_args([1, level.into(), 0, 0]);
    }
    draft.set_deadline_ns(handle.after_ns(ANSWER_WITHIN));
    let reply = station.call(draft, port).await?;
    let level = u8::try_from(reply.args()[0]).ok();
    let level = level.filter(|_| reply.result().is_ok());
    Ok(level.map_or(Told::NotAsked, Told::Level))
}
