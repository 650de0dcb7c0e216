//! Answering requests: with words, with bytes, with JSON.

use archipelago_protocol::{CallError, ErrorCode};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xseg::Incoming;

use crate::engine::MapError;
use crate::map::VolumeId;

/// What a request is answered with.
#[derive(Debug, Default)]
pub struct Answer {
    pub done: u64,
    pub args: [u64; 4],
    /// Goes to the beginning of the request's data.
    pub payload: Vec<u8>,
}

impl Answer {
    pub fn args(args: [u64; 4]) -> Self {
        Self {
            args,
            ..Self::default()
        }
    }

    /// JSON, and its length.
    pub fn json(value: &impl Serialize) -> Result<Self, MapError> {
        let payload = serde_json::to_vec(value).map_err(|error| MapError::Invalid {
            what: "the answer",
            why: error.to_string(),
        })?;
        Ok(Self {
            done: payload.len() as u64,
            payload,
            ..Self::default()
        })
    }
}

/// Answers; what does not fit into the request's data fails it.
pub fn answer(mut request: Incoming, result: Result<Answer, MapError>) {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => return fail(request, &error),
    };
    if !answer.payload.is_empty() {
        let written = match request.data() {
            Some(data) => data.write(0, &answer.payload).is_ok(),
            None => false,
        };
        if !written {
            return request.fail(Errno::MSGSIZE);
        }
    }
    request.set_answer_args(answer.args);
    request.answer(answer.done);
}

/// The errno in the record; if there is room, the text as JSON in the data, and its length in the first word. The last word says by which epoch
/// a void grant may be adopted.
pub fn fail(mut request: Incoming, error: &MapError) {
    let errno = error.errno();
    // Clients of volumes know damage as EIO.
    let code = if error.is_damage() {
        ErrorCode::Integrity
    } else {
        ErrorCode::from_errno(errno)
    };
    let report = CallError {
        code: code.name().to_owned(),
        message: error.to_string(),
        remedy: error.remedy(),
    };
    let text = serde_json::to_vec(&report).unwrap_or_default();
    let written = request
        .data()
        .is_some_and(|data| data.write(0, &text).is_ok());
    let length = if written { text.len() as u64 } else { 0 };
    let adopts = match error {
        MapError::Orphaned { first_epoch } => *first_epoch,
        _ => 0,
    };
    request.set_answer_args([length, 0, 0, adopts]);
    request.fail(errno);
}

/// The JSON of a call: its length is the request's.
pub fn call<T: DeserializeOwned + Default>(request: &Incoming) -> Result<T, MapError> {
    let length = request.request().length;
    let Some(data) = request.data().filter(|_| length > 0) else {
        return Ok(T::default());
    };
    let bad = |why: String| MapError::Invalid {
        what: "the call",
        why,
    };
    let length = usize::try_from(length.min(data.len())).map_err(|error| bad(error.to_string()))?;
    let mut bytes = vec![0; length];
    data.read(0, &mut bytes)
        .map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

/// The same where a call without text makes no sense.
pub fn required<T: DeserializeOwned>(request: &Incoming) -> Result<T, MapError> {
    let text: Option<T> = call(request)?;
    text.ok_or_else(|| MapError::Invalid {
        what: "the call",
        why: "it has no text".into(),
    })
}

/// The request's target as a volume's id.
pub fn target_id(request: &Incoming) -> Result<VolumeId, MapError> {
    let target = request.target();
    let bytes: Option<[u8; 16]> = target.as_bytes().try_into().ok();
    bytes
        .and_then(VolumeId::new)
        .ok_or_else(|| MapError::Invalid {
            what: "the target",
            why: "it is no id of a volume".into(),
        })
}

/// The request's target as a name.
pub fn target_name(request: &Incoming) -> Result<String, MapError> {
    name(request.target().as_str())
}

/// A volume's name, if it can be one.
pub fn name(text: Option<&str>) -> Result<String, MapError> {
    let text = text.ok_or_else(|| MapError::Invalid {
        what: "the name",
        why: "it is no UTF-8".into(),
    })?;
    match archipelago_protocol::VolumeName::new(text) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => Err(MapError::Invalid {
            what: "the name",
            why: error.to_string(),
        }),
    }
}
