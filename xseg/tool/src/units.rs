//! Sizes, spans and moments, as people write and read them: IEC sizes, RFC 3339 in UTC.

use std::time::Duration;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A size in bytes: `4096`, `4K`, `4KiB`, `256M`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_size(text, 1)
}

/// The same, where a bare number is in MiB.
pub fn parse_mebibytes(text: &str) -> Result<u64, String> {
    parse_size(text, 1 << 20)
}

/// What fits into one buffer.
pub fn parse_block(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("it must be more than nothing".into()),
        bytes if bytes > xseg::BUFFER_BYTES_MAX => {
            let most = bytes_text(xseg::BUFFER_BYTES_MAX);
            Err(format!("the largest buffers have {most}"))
        }
        bytes => Ok(bytes),
    }
}

fn parse_size(text: &str, bare: u64) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no size: write 4096, 64K or 256M"))?;
    let factor = match unit.as_str() {
        "" => bare,
        "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => {
            return Err(format!(
                "{text:?}: the units are K, M, G and T, powers of 1024"
            ));
        }
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// A span in seconds, with fractions: more than nothing, less than thirty years.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is no number of seconds"))?;
    if seconds.is_finite() && seconds > 0.0 && seconds <= 1e9 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it must be more than 0 and at most 1000000000".into())
    }
}

/// `1.5 MiB`; exact numbers have no fraction.
pub fn bytes_text(bytes: u64) -> String {
    let mut unit = 0;
    let mut scale: u64 = 1;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale <<= 10;
        unit += 1;
    }
    if bytes.is_multiple_of(scale) {
        format!("{} {}", bytes / scale, UNITS[unit])
    } else {
        format!("{:.1} {}", bytes as f64 / scale as f64, UNITS[unit])
    }
}

/// `12.3 us`.
pub fn span_text(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

/// A moment of the wall clock: `2026-02-28T23:59:59Z`.
pub fn moment_text(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil_date(seconds / 86_400);
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar. Years are counted from March here, so that
/// the leap day is a year's last.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    const DAYS_IN_100_YEARS: u64 = 36_524;
    const DAYS_IN_4_YEARS: u64 = 1461;
    /// From 0000-03-01 to 1970-01-01.
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = days_since_1970 + DAYS_BEFORE_1970;
    let (eras, days) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    // The last century of an era, and the last year of four, are a day longer than the others.
    let centuries = (days / DAYS_IN_100_YEARS).min(3);
    let days = days - centuries * DAYS_IN_100_YEARS;
    let (fours, days) = (days / DAYS_IN_4_YEARS, days % DAYS_IN_4_YEARS);
    let years = (days / 365).min(3);
    let mut day = days - years * 365;
    let mut month = 0;
    for length in [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let year = eras * 400 + centuries * 100 + fours * 4 + years;
    // March is month 0; January and February belong to the next year.
    if month < 10 {
        (year, month + 3, day + 1)
    } else {
        (year + 1, month - 9, day + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("4K", 4096),
            ("4kib", 4096),
            ("256M", 256 << 20),
            ("1T", 1 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1X", "99999999999T"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_mebibytes("256"), Ok(256 << 20));
        assert_eq!(parse_mebibytes("256B"), Ok(256));
    }

    #[test]
    fn sizes_are_written_with_a_fraction_only_when_they_have_one() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (1536, "1.5 KiB"),
            (4 << 30, "4 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes_text(bytes), text);
        }
    }

    #[test]
    fn waits_are_positive_and_finite() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "inf", "NaN", "1e10", "soon"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_follow_the_gregorian_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (978_307_199, "2000-12-31T23:59:59Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment_text(seconds * 1_000_000_000), text);
        }
    }

    #[test]
    fn every_day_of_500_years_follows_the_one_before() {
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..500 * 365 {
            assert_eq!(civil_date(days), (year, month, day));
            let length = match month {
                2 => 28 + u64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
