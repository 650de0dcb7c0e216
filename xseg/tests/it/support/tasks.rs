//! Everything that a worker can be told to do.

use super::worker::Parent;
use crate::{
    bells, binding, creating, deaths, destroying, gate, incarnations, kills, orphaned_parts,
};
use crate::{permissions, private, routes, settling, waiting};

type Task = fn(&mut Parent);

pub const TASKS: &[(&str, Task)] = &[
    #[cfg(feature = "kill-points")]
    (
        "be_killed_in_the_middle",
        crate::kill_points::be_killed_in_the_middle,
    ),
    ("ask_port_0", kills::ask_port_0),
    ("compose", kills::compose),
    ("have_everything", deaths::have_everything),
    ("send_a_part", orphaned_parts::send_a_part),
    ("serve_dynamically", deaths::serve_dynamically),
    ("serve_port_0", kills::serve_port_0),
    ("serve_by_method", waiting::serve_by_method),
    #[cfg(feature = "kill-points")]
    ("forward_to_port_0", settling::forward_to_port_0),
    #[cfg(feature = "kill-points")]
    ("settle_and_die", settling::settle_and_die),
    ("settle_until_told", settling::settle_until_told),
    ("take_and_hold", deaths::take_and_hold),
    ("ask_from_port_1", incarnations::ask_from_port_1),
    ("create_and_tell", permissions::create_and_tell),
    ("create_large", creating::create_large),
    ("create_under_umask", creating::create_under_umask),
    ("hold_port_2_with_a_child", gate::hold_port_2_with_a_child),
    ("put_io_in_flight", gate::put_io_in_flight),
    ("hold_port_0", binding::hold_port_0),
    ("hold_port_2", destroying::hold_port_2),
    ("interpose_and_hold", routes::interpose_and_hold),
    ("join_and_tell", permissions::join_and_tell),
    ("join_inherited", private::join_inherited),
    ("ping_once", permissions::ping_once),
    ("send_in_a_burst_and_die", bells::send_in_a_burst_and_die),
    ("sleep_until_destroyed", destroying::sleep_until_destroyed),
    ("take_requests", bells::take_requests),
    (
        "wait_for_orphans_of_port_1",
        incarnations::wait_for_orphans_of_port_1,
    ),
];
