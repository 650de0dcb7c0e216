//! A real cluster: it comes up, survives what its owner does to it, and leaves nothing behind.

use std::time::Instant;

use archipelago_ceph::{ClusterError, ClusterOptions};

#[test]
fn a_cluster_keeps_its_objects_while_osds_crash_and_leaves_nothing_behind() {
    let begun = Instant::now();
    let mut cluster = ClusterOptions::default().start().unwrap();
    cluster.create_pool("blocks").unwrap();
    println!("up after {:?}", begun.elapsed());
    let (file, back) = (
        cluster.directory().join("file"),
        cluster.directory().join("back"),
    );
    std::fs::write(&file, b"kept").unwrap();
    let (file, back) = (file.to_str().unwrap(), back.to_str().unwrap());
    for number in 0..3 {
        let (osd, object) = (format!("osd.{number}"), format!("object-{number}"));
        let object = object.as_str();
        cluster
            .rados(&["--pool", "blocks", "put", object, file])
            .unwrap();
        cluster.kill(&osd).unwrap();
        cluster
            .rados(&["--pool", "blocks", "get", object, back])
            .unwrap();
        assert_eq!(std::fs::read(back).unwrap(), b"kept");
        cluster.revive(&osd).unwrap();
    }
    assert!(matches!(
        cluster.kill("osd.7"),
        Err(ClusterError::NoDaemon { .. })
    ));
    let directory = cluster.directory().to_owned();
    drop(cluster);
    assert!(!directory.exists());
}
