//! One call: a request to the mapper, and its answer as JSON.

use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{CALL_BYTES_MAX, CallError as Report, ErrorCode};
use archipelago_runtime::{CallError, Handle, Reactor, ReactorOptions, Station};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xseg::{BindOptions, OpCode, PortId, Reply, RequestError};

use super::served;
use crate::cli::ErrorReport;
use crate::config::{Config, RoleSettings};
use crate::host;

/// How often whoever waits looks whether somebody is left who could answer.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a call says.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub op: OpCode,
    pub target: &'a str,
    /// The second name.
    pub snapshot: &'a str,
    pub flags: u32,
}

impl<'a> Ask<'a> {
    pub fn new(op: OpCode, target: &'a str) -> Self {
        Self {
            op,
            target,
            snapshot: "",
            flags: 0,
        }
    }

    /// The request, with what it is about.
    fn about(&self) -> String {
        match self.target {
            "" => self.op.to_string(),
            target => format!("{} of {target}", self.op),
        }
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Mapper,
    Bridge,
}

impl Whom {
    fn port(self, config: &Config) -> Option<u32> {
        match self {
            Self::Mapper => mapper_port(config),
            Self::Bridge => Some(config.bridges.start),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mapper => "mapper",
            Self::Bridge => "bridge",
        }
    }
}

/// The configured mapper's port.
pub(super) fn mapper_port(config: &Config) -> Option<u32> {
    config.roles.iter().find_map(|role| match role.settings {
        RoleSettings::Vlmcd { mapper_port, .. } => Some(config.home_port(mapper_port)),
        _ => None,
    })
}

/// Asks, and waits for at most `timeout`.
pub fn ask<T: DeserializeOwned>(
    config: &Config,
    timeout: Duration,
    whom: Whom,
    ask: &Ask<'_>,
    call: Option<&impl Serialize>,
) -> Result<T, ErrorReport> {
    let segment = host::join(config)?;
    served::check(config, &segment, whom)?;
    let unavailable = |why: String| {
        ErrorReport::new(
            ErrorCode::Unavailable,
            why,
            "`archipelago status` tells what runs",
        )
    };
    let port = segment
        .bind_dynamic(&BindOptions::default().label("vlmc"))
        .map_err(|error| unavailable(error.to_string()))?;
    let port_asked = whom
        .port(config)
        .and_then(|number| segment.geometry().port(number));
    let port_asked =
        port_asked.ok_or_else(|| unavailable(format!("no {} is configured", whom.name())))?;
    let reactor = Reactor::new(port, &ReactorOptions::default().threads_max(1))
        .map_err(|error| unavailable(error.to_string()))?;
    let handle = reactor.handle();
    let text = call.map(serde_json::to_vec).transpose();
    let text = text
        .map_err(|error| unavailable(error.to_string()))?
        .unwrap_or_default();
    let ask = ask.clone();
    let deadline_ns = handle.after_ns(timeout);
    reactor.block_on(async move {
        let station = handle.station();
        let mut sent = std::pin::pin!(send(
            &handle,
            &station,
            port_asked,
            &ask,
            &text,
            deadline_ns
        ));
        loop {
            let look_again_ns = handle.after_ns(LOOK_AGAIN).min(deadline_ns);
            match handle.timeout_at_ns(look_again_ns, &mut sent).await {
                Ok(Ok(reply)) => return answer_of(&reply, whom),
                // Who died with it may be started again, or not (SERVED-1).
                Err(_) if handle.now_ns() < deadline_ns => served::check(config, &segment, whom)?,
                Ok(Err(CallError::Expired { .. })) | Err(_) => {
                    return Err(ErrorReport::new(
                        ErrorCode::Timeout,
                        format!("no answer to {} within {timeout:?}", ask.about()),
                        "`archipelago status` tells what runs; --timeout waits longer",
                    ));
                }
                Ok(Err(error)) => return Err(unavailable(error.to_string())),
            }
        }
    })
}

async fn send(
    handle: &Handle,
    station: &Rc<Station>,
    asked: PortId,
    ask: &Ask<'_>,
    text: &[u8],
    deadline_ns: u64,
) -> Result<Reply, CallError> {
    let buffer = match station.buffer(CALL_BYTES_MAX).await {
        Err(CallError::Refused(RequestError::TooLarge { largest, .. })) => {
            station.buffer(largest).await?
        }
        other => other?,
    };
    let room = buffer.data().len();
    buffer.data().write(0, text)?;
    let mut draft = station.draft(ask.op).await?;
    draft.set_target(ask.target.as_bytes())?;
    draft.set_snapshot(ask.snapshot.as_bytes())?;
    draft.set_flags(ask.flags);
    let mut id = [0; 16];
    if getrandom(&mut id, GetRandomFlags::empty()).is_ok() {
        let number = u128::from_le_bytes(id);
        draft.set_operation_id([number as u64, (number >> 64) as u64]);
    }
    draft.attach(buffer, room)?;
    draft.set_extent(0, text.len() as u64);
    draft.set_deadline_ns(deadline_ns);
    let _ = handle;
    station.call(draft, asked).await
}

fn answer_of<T: DeserializeOwned>(reply: &Reply, whom: Whom) -> Result<T, ErrorReport> {
    let bytes = |count: u64| {
        let data = reply.data()?.part(0, count).ok()?;
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        data.read(0, &mut bytes).ok()?;
        Some(bytes)
    };
    match reply.result() {
        Err(errno) => {
            let [length, ..] = reply.args();
            let report =
                bytes(length).and_then(|text| serde_json::from_slice::<Report>(&text).ok());
            Err(ErrorReport::from_answer(errno, report))
        }
        Ok(done) => {
            let text = bytes(done).unwrap_or_default();
            let text: &[u8] = if text.is_empty() { b"null" } else { &text };
            serde_json::from_slice(text).map_err(|error| {
                ErrorReport::new(
                    ErrorCode::Failed,
                    format!("the {}'s answer makes no sense: {error}", whom.name()),
                    "are all programs of one version?",
                )
            })
        }
    }
}
