//! A machine that has no librados: the library is looked for once in a process, so a process of its own looks for one that is not there.

use std::process::Command;

use archipelago_radosd::{Radosd, RadosdError, RadosdOptions};
use archipelago_runtime::{Reactor, ReactorOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

const VARIABLE: &str = "LIBRADOS";
const NOWHERE: &str = "/no/such/librados.so.2";

#[test]
fn a_role_without_librados_says_which_package_has_it() {
    if std::env::var_os(VARIABLE).is_none_or(|path| path != NOWHERE) {
        let child = Command::new(std::env::current_exe().expect("it runs"))
            .args([
                "--exact",
                "a_role_without_librados_says_which_package_has_it",
            ])
            .arg("--nocapture")
            .env(VARIABLE, NOWHERE)
            .output()
            .expect("the test can start itself");
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
        return;
    }
    let geometry = Geometry::new(4, 2, 64).expect("a geometry that can be");
    let segment = CreateOptions::new(geometry).create_private();
    let segment = segment.expect("there is memory for it");
    let port = segment.bind(0, &BindOptions::default()).expect("free");
    let reactor = Reactor::new(port, &ReactorOptions::default()).expect("it can be had");
    let handle = reactor.handle();
    let options = RadosdOptions::new("blocks", "blockerb");
    let error = Radosd::serve(&handle, &handle.station(), &options).expect_err("there is none");
    assert!(matches!(error, RadosdError::NoLibrary { .. }));
    let said = error.to_string();
    assert!(
        said.contains("librados2") && said.contains(NOWHERE),
        "{said}"
    );
}
