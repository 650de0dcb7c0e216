//! The bridge of this node, as those see it who ask it to serve.

use std::time::Duration;

use xseg::OpCode;

use archipelago_protocol::ErrorCode;

use super::call::{BridgeAnswer, BridgeCall, ServeCall, Served, Shape};
use super::record::Record;
use crate::cli::ErrorReport;
use crate::config::Config;
use crate::volumes::{Ask, Whom, ask};

/// What serves volumes.
pub(super) trait Bridge: std::fmt::Debug {
    /// Gives the pid of who serves it.
    fn serve(&self, record: &Record, shape: Option<Shape>) -> Result<u32, ErrorReport>;
    fn end(&self, volume: &str) -> Result<(), ErrorReport>;
    /// Who uses it learns of its size now.
    fn resized(&self, volume: &str) -> Result<(), ErrorReport>;
    /// What a volume is, served or not.
    fn look(&self, volume: &str) -> Result<Served, ErrorReport>;
    /// All that is served, but over NBD.
    fn report(&self) -> Result<BridgeAnswer, ErrorReport>;
}

/// The one in this node's segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentBridge<'a> {
    pub config: &'a Config,
    pub timeout: Duration,
}

impl SegmentBridge<'_> {
    fn call(&self, call: &BridgeCall) -> Result<BridgeAnswer, ErrorReport> {
        let words = Ask::new(OpCode::BRIDGE, "");
        ask(self.config, self.timeout, Whom::Bridge, &words, Some(call))
    }
}

impl Bridge for SegmentBridge<'_> {
    fn serve(&self, record: &Record, shape: Option<Shape>) -> Result<u32, ErrorReport> {
        let call = BridgeCall::Serve(ServeCall {
            volume: record.volume().to_owned(),
            kind: record.kind(),
            is_read_only: record.attachment.is_read_only,
            shape,
            socket: record.attachment.socket.clone(),
        });
        Ok(self.call(&call)?.pid)
    }

    fn end(&self, volume: &str) -> Result<(), ErrorReport> {
        let volume = volume.to_owned();
        self.call(&BridgeCall::End { volume }).map(drop)
    }

    fn resized(&self, volume: &str) -> Result<(), ErrorReport> {
        let volume = volume.to_owned();
        self.call(&BridgeCall::Resized { volume }).map(drop)
    }

    fn look(&self, volume: &str) -> Result<Served, ErrorReport> {
        let call = BridgeCall::Look {
            volume: volume.to_owned(),
        };
        let answer = self.call(&call)?;
        answer.served.into_iter().next().ok_or_else(|| {
            ErrorReport::new(
                ErrorCode::Failed,
                "the bridge's answer makes no sense",
                "are all programs of one version?",
            )
        })
    }

    fn report(&self) -> Result<BridgeAnswer, ErrorReport> {
        self.call(&BridgeCall::Report {})
    }
}
