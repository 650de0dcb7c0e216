//! Which way of attaching is the best that this machine has: a pure decision.

use archipelago_protocol::ErrorCode;

use super::machine::Machine;
use super::record::Kind;
use crate::cli::{AttachKind, ErrorReport};

/// Block devices of the kernel where there are some, and where one may have them; ublk first: it survives the death of what
/// serves it without a time limit.
pub(super) fn choose(asked: AttachKind, machine: &Machine) -> Result<Kind, ErrorReport> {
    let refuse = |why: &Option<String>, kind: Kind| match why {
        None => Ok(kind),
        Some(why) => Err(ErrorReport::new(
            ErrorCode::Unsupported,
            format!("{} is not to be had: {why}", kind.name()),
            "use --type nbd-socket or --type vhost-user, or --type auto for the best there is",
        )),
    };
    match asked {
        AttachKind::Ublk => refuse(&machine.no_ublk, Kind::Ublk),
        AttachKind::Nbd => refuse(&machine.no_nbd, Kind::Nbd),
        AttachKind::NbdSocket => Ok(Kind::NbdSocket),
        AttachKind::VhostUser => Ok(Kind::VhostUser),
        AttachKind::Auto if machine.no_ublk.is_none() => Ok(Kind::Ublk),
        AttachKind::Auto if machine.no_nbd.is_none() => Ok(Kind::Nbd),
        AttachKind::Auto => Ok(Kind::NbdSocket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(ublk: bool, nbd: bool) -> Machine {
        let missing = |there: bool| (!there).then(|| "it is missing".to_owned());
        Machine {
            no_ublk: missing(ublk),
            no_nbd: missing(nbd),
        }
    }

    #[test]
    fn the_best_is_a_device_that_survives_us_then_any_device_then_the_export() {
        let auto = |ublk, nbd| choose(AttachKind::Auto, &machine(ublk, nbd)).expect("something");
        assert_eq!(auto(true, true), Kind::Ublk);
        assert_eq!(auto(true, false), Kind::Ublk);
        assert_eq!(auto(false, true), Kind::Nbd);
        assert_eq!(auto(false, false), Kind::NbdSocket);
    }

    #[test]
    fn what_was_asked_for_by_name_is_never_something_else() {
        let bare = machine(false, false);
        for kind in [AttachKind::Ublk, AttachKind::Nbd] {
            let refusal = choose(kind, &bare).expect_err("missing");
            assert_eq!(refusal.code, ErrorCode::Unsupported);
            assert!(refusal.message.contains("it is missing"), "{refusal:?}");
        }
        let full = machine(true, true);
        assert_eq!(choose(AttachKind::Nbd, &full).expect("there"), Kind::Nbd);
        let socket = choose(AttachKind::NbdSocket, &full).expect("always there");
        assert_eq!(socket, Kind::NbdSocket);
        let socket = choose(AttachKind::VhostUser, &bare).expect("always there");
        assert_eq!(socket, Kind::VhostUser);
    }
}
