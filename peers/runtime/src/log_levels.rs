//! The notice that changes how much a role logs: answered by its host, whatever the peer behind the port is busy with.

use xseg::{Errno, Incoming, PortId};

/// How much is logged for whoever is behind a port.
pub trait LogLevels: std::fmt::Debug + 'static {
    /// The level of a port's role; nothing if there is no such role.
    fn level(&self, port: PortId) -> Option<u64>;

    /// Changes it. False: there is no such role, or no such level.
    fn change(&self, port: PortId, level: u64) -> bool;
}

/// Answers [`xseg::OpCode::LOG_LEVEL`].
pub(crate) fn answer(levels: Option<&dyn LogLevels>, port: PortId, mut notice: Incoming) {
    let Some(levels) = levels else {
        return notice.unsupported();
    };
    let [changes, wanted, ..] = notice.args();
    if changes == 1 && !levels.change(port, wanted) {
        return notice.fail(Errno::INVAL);
    }
    match levels.level(port) {
        Some(level) => {
            notice.set_answer_args([level, 0, 0, 0]);
            notice.answer(0);
        }
        None => notice.fail(Errno::INVAL),
    }
}
