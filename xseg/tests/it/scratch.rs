use crate::support::*;
use xseg::*;

#[test]
fn second_bind_in_one_process_is_refused() {
    let room = Room::new();
    let _one = room.bind(0);
    let two = room.segment.bind(0, &BindOptions::default());
    assert!(matches!(two, Err(PortError::Alive { .. })), "{two:?}");
}

#[test]
fn two_dynamic_ports_of_one_process_are_two() {
    let room = Room::new();
    let one = room.bind_dynamic();
    let two = room.bind_dynamic();
    assert_ne!(one.id(), two.id());
    assert_eq!(room.segment.verify(), []);
}

#[test]
fn settle_all_spares_us() {
    let room = Room::new();
    let one = room.bind(1);
    let settled = room.segment.settle_all().unwrap();
    assert_eq!(settled.ports, 0);
    assert!(matches!(
        room.segment.report_port(1).unwrap().life,
        Life::Bound { .. }
    ));
    drop(one);
}

#[test]
fn args_do_not_show_through() {
    let room = Room::new();
    let server = room.bind(0);
    let client = room.join().bind_dynamic(&BindOptions::default()).unwrap();
    let mut d = client.draft(OpCode::CREATE).unwrap();
    d.set_operation_id([7, 8]);
    d.set_args([1, 2, 3, 4]);
    d.send(server.id()).unwrap();
    next_request(&server).answer(0);
    drop(next_reply(&client));
    let mut d = client.draft(OpCode::CREATE).unwrap();
    d.set_args([5, 6, 7, 8]);
    d.send(server.id()).unwrap();
    let r = next_request(&server);
    let id = r.operation_id();
    r.answer(0);
    assert_eq!(id, [0, 0]);
}

#[test]
fn endless_spin_has_timeouts() {
    let room = Room::new();
    let server = room.bind(0);
    let mut w = Waiter::new(
        &server,
        &WaiterOptions::default().spin_max(std::time::Duration::MAX),
    )
    .unwrap();
    assert!(
        !w.wait(
            &[&server],
            Some(std::time::Duration::from_millis(10)),
            |_| {}
        )
        .unwrap()
    );
}
