//! Hosts whose deployment was fenced.

use super::*;

/// TENURE-1, SUP-5: a host that was killed comes back in the tenure of the others; when one was fenced all begin anew, in another.
#[test]
fn when_one_host_is_fenced_all_begin_anew_in_another_tenure() {
    let stage = Stage::new(&["front", "touchy"]);
    let (front, touchy) = (stage.wait_running("front"), stage.wait_running("touchy"));
    let before = tenure(&stage.run_dir);
    assert_ne!(before, 0);
    kill(touchy.pid.expect("alive"));
    let again = stage.wait_for("touchy", |host| {
        host.phase == Phase::Running && host.pid != touchy.pid
    });
    assert_eq!(tenure(&stage.run_dir), before);
    // The next one of that host is fenced, if that is its tenure.
    let fenced = stage.run_dir.path().join("fenced");
    fs::write(&fenced, format!("{before:x}")).expect("written");
    kill(again.pid.expect("alive"));
    let anew = stage.wait_for("front", |host| {
        host.phase == Phase::Running && host.pid != front.pid
    });
    stage.wait_for("touchy", |host| {
        host.phase == Phase::Running && host.pid != again.pid
    });
    assert_ne!(tenure(&stage.run_dir), before);
    assert_eq!(stage.host("front").pid, anew.pid);
    kill(anew.pid.expect("alive"));
    let now = tenure(&stage.run_dir);
    stage.wait_for("front", |host| {
        host.phase == Phase::Running && host.pid != anew.pid
    });
    assert_eq!(tenure(&stage.run_dir), now, "one lives");
}
