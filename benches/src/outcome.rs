//! What fio says of a load that it made.

use serde_json::Value;

use crate::cell::Load;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Those of the warm-up not among them.
    pub ios: f64,
    pub iops: f64,
    pub p99_us: f64,
    pub mib_per_second: f64,
}

/// The jobs of a report: fio puts notes before its JSON.
pub fn jobs(report: &str) -> Option<Vec<Value>> {
    let mut json: Value = serde_json::from_str(report.get(report.find('{')?..)?).ok()?;
    match json["jobs"].take() {
        Value::Array(jobs) => Some(jobs),
        _ => None,
    }
}

impl Outcome {
    /// A run of nothing is none: rates of it would be of no load.
    pub fn of(job: &Value, load: Load) -> Option<Self> {
        let direction = if load.is_write() { "write" } else { "read" };
        let part = &job[direction];
        let outcome = Self {
            ios: part["total_ios"].as_f64()?,
            iops: part["iops"].as_f64()?,
            p99_us: part["clat_ns"]["percentile"]["99.000000"].as_f64()? / 1e3,
            mib_per_second: part["bw_bytes"].as_f64()? / f64::from(1 << 20),
        };
        (job["error"] == 0 && outcome.iops > 0.0).then_some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::LOADS;

    const REPORT: &str = r#"note: the nbd engine says hello
{"jobs": [{"error": 0, "read": {"iops": 0, "bw_bytes": 0},
  "write": {"total_ios": 2500, "iops": 1250.5, "bw_bytes": 5242880, "clat_ns": {"percentile": {"50.000000": 8000, "99.000000": 91500}}}}]}"#;

    fn parse(report: &str, load: Load) -> Option<Outcome> {
        Outcome::of(jobs(report)?.first()?, load)
    }

    #[test]
    fn what_fio_says_of_the_direction_of_the_load_is_taken() {
        let outcome = parse(REPORT, LOADS[2]).unwrap();
        let expected = Outcome {
            ios: 2500.0,
            iops: 1250.5,
            p99_us: 91.5,
            mib_per_second: 5.0,
        };
        assert_eq!(outcome, expected);
    }

    #[test]
    fn a_run_of_nothing_or_with_an_error_is_no_outcome() {
        assert_eq!(parse(REPORT, LOADS[0]), None, "nothing was read");
        assert_eq!(
            parse(&REPORT.replace("\"error\": 0", "\"error\": 5"), LOADS[2]),
            None
        );
        assert_eq!(parse("", LOADS[0]), None);
        assert_eq!(parse("{", LOADS[0]), None);
        assert_eq!(parse("{}", LOADS[0]), None);
        assert_eq!(parse(r#"{"jobs": []}"#, LOADS[0]), None);
    }
}
