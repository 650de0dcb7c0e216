use super::*;
use crate::cell::{Caching, LOADS};

const CELL: Cell = Cell {
    load: LOADS[0],
    caching: Caching::Buffered,
};

fn tally(repetitions: &[(f64, f64)]) -> Tally {
    let measurements = repetitions.iter().map(|&(iops, p99_us)| Measurement {
        iops,
        p99_us,
        mib_per_second: iops / 256.0,
        cpu_us_per_io: 20.0,
        wakeups_per_io: 1.5,
    });
    Tally {
        measurements: measurements.collect(),
        syscalls_per_io: None,
    }
}

/// The isolated placement is better than all, and is no rival.
fn row() -> Row {
    let tallies = BTreeMap::from([
        (
            Contender::Archipelago,
            tally(&[(100.0, 50.0), (3.0, 9.0), (200.0, 60.0)]),
        ),
        (Contender::Isolated, tally(&[(900.0, 1.0)])),
        (Contender::QemuNbd, tally(&[(50.0, 25.0)])),
        (Contender::Nbdkit, tally(&[(80.0, 75.0)])),
    ]);
    Row::of(CELL, &tallies)
}

#[test]
fn ratios_are_of_medians_to_the_best_rival_of_each_kind_and_above_1_is_ahead() {
    let row = row();
    let (iops, p99) = (row.iops.unwrap(), row.p99_us.unwrap());
    assert_eq!(iops.rival, Contender::Nbdkit);
    assert!((iops.ratio - 100.0 / 80.0).abs() < 1e-9);
    assert_eq!(p99.rival, Contender::QemuNbd);
    assert!((p99.ratio - 25.0 / 50.0).abs() < 1e-9);
}

#[test]
fn without_a_rival_or_without_us_there_is_no_ratio() {
    let ours = BTreeMap::from([(Contender::Archipelago, tally(&[(1.0, 1.0)]))]);
    assert!(Row::of(CELL, &ours).iops.is_none());
    let theirs = BTreeMap::from([(Contender::QemuNbd, tally(&[(1.0, 1.0)]))]);
    assert!(Row::of(CELL, &theirs).p99_us.is_none());
}

#[test]
fn the_table_has_a_line_for_each_cell_and_one_for_each_contender_in_it() {
    let rows = [row()];
    let mut text = Vec::new();
    write_ratios(&mut text, &rows).unwrap();
    let ratios = String::from_utf8(text).unwrap();
    assert_eq!(ratios.lines().count(), 3);
    assert!(ratios.contains("randread-4k-q1-buffered      1.25"));
    let mut text = Vec::new();
    write_details(&mut text, &rows).unwrap();
    let details = String::from_utf8(text).unwrap();
    assert_eq!(details.lines().count(), 5);
    assert!(details.contains("archipelago-isolated"));
}

#[test]
fn a_json_line_names_the_cell_the_ratios_and_each_repetition() {
    let json = serde_json::to_value(row()).unwrap();
    assert_eq!(json["cell"], "randread-4k-q1-buffered");
    assert_eq!(json["iops"]["rival"], "nbdkit-file");
    assert_eq!(json["contenders"][0]["iops_each"][1], 3.0);
}
