//! Medians and their ratio.

use std::time::Duration;

pub struct Row {
    step: String,
    small_ms: f64,
    large_ms: f64,
}

impl Row {
    pub fn of(step: &str, small: Vec<Duration>, large: Vec<Duration>) -> Self {
        Self {
            step: step.to_owned(),
            small_ms: median_ms(small),
            large_ms: median_ms(large),
        }
    }

    fn ratio(&self) -> f64 {
        self.large_ms / self.small_ms
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1000.0
}

pub fn print(rows: &[Row], is_json: bool) {
    if !is_json {
        println!(
            "{:<10} {:>12} {:>12} {:>7}",
            "step", "1 GiB, ms", "1 PiB, ms", "ratio"
        );
    }
    for row in rows {
        if is_json {
            let line = serde_json::json!({
                "bench": "meta",
                "step": row.step,
                "small_ms": row.small_ms,
                "large_ms": row.large_ms,
                "ratio": row.ratio(),
            });
            println!("{line}");
        } else {
            println!(
                "{:<10} {:>12.2} {:>12.2} {:>7.2}",
                row.step,
                row.small_ms,
                row.large_ms,
                row.ratio()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_medians_and_their_ratio() {
        let ms = Duration::from_millis;
        let row = Row::of("x", vec![ms(9), ms(1), ms(2)], vec![ms(4), ms(3), ms(100)]);
        assert!((row.small_ms - 2.0).abs() < 1e-9);
        assert!((row.ratio() - 2.0).abs() < 1e-9);
    }
}
