//! Calls to the bridges, as requests at their port.

use std::rc::Rc;

use archipelago_protocol::{CALL_BYTES_MAX, CallError, ErrorCode};
use archipelago_runtime::Peer;
use serde::Serialize;
use xseg::{Errno, Incoming, OpCode};

use super::desk::Desk;
use crate::attach::BridgeCall;
use crate::cli::ErrorReport;

/// Answers for the desk.
pub(super) struct DeskPeer {
    pub desk: Rc<Desk>,
}

impl Peer for DeskPeer {
    async fn handle(&self, request: Incoming) {
        if request.request().op != OpCode::BRIDGE {
            return request.unsupported();
        }
        let answer = match call_of(&request) {
            Ok(call) => self.desk.call(call).await,
            Err(why) => Err(ErrorReport::new(
                ErrorCode::Invalid,
                format!("the call to the bridge makes no sense: {why}"),
                "are all programs of one version?",
            )),
        };
        match answer {
            Ok(answer) => match write(&request, &answer) {
                Some(length) => request.answer(length),
                None => request.fail(Errno::MSGSIZE),
            },
            Err(report) => fail(request, &report),
        }
    }

    /// A call takes no longer than it takes to look at a volume: there is nothing to cancel.
    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}

fn call_of(request: &Incoming) -> Result<BridgeCall, String> {
    let length = request.request().length.min(CALL_BYTES_MAX);
    let data = request.data().ok_or("it has no text")?;
    let length = usize::try_from(length.min(data.len())).map_err(|error| error.to_string())?;
    let mut text = vec![0; length];
    data.read(0, &mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn write(request: &Incoming, answer: &impl Serialize) -> Option<u64> {
    let text = serde_json::to_vec(answer).ok()?;
    request.data()?.write(0, &text).ok()?;
    Some(text.len() as u64)
}

fn fail(mut request: Incoming, report: &ErrorReport) {
    let error = CallError {
        code: report.code.name().to_owned(),
        message: report.message.clone(),
        remedy: report.remedy.clone(),
    };
    let length = write(&request, &error).unwrap_or(0);
    request.set_answer_args([length, 0, 0, 0]);
    request.fail(report.code.errno());
}
