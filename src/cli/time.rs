//! Times as people type and read them. A date without a zone is the terminal's own; what is shown is
//! local, what is sent is UTC.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};

use crate::api::duration::DurationText;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A moment in the past, as `--since` takes it: `24h`, `7d`, `2024-01-15`, `2024-01-15 10:30`, RFC 3339.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, Utc::now(), &Local)
}

/// A duration such as `90s`, `1h30m` or `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration like 90s, 1h30m or 7d");
    not_zero(text)?;
    let (days, rest) = match text.split_once('d') {
        Some((days, rest)) => (days.parse::<u32>().map_err(|_| bad())?, rest),
        None => (0, text),
    };
    let days = DAY.checked_mul(days).ok_or_else(bad)?;
    if rest.is_empty() && !days.is_zero() {
        return Ok(days);
    }
    let rest = DurationText::from(rest).parse().map_err(|_| bad())?;
    days.checked_add(rest).ok_or_else(bad)
}

/// An error for what is a duration, and none that anything can be waited for.
pub fn not_zero(text: &str) -> Result<(), String> {
    let is_zero = match text.strip_suffix('d') {
        _ if text.is_empty() => false,
        Some(days) => days.parse() == Ok(0_u32),
        None => text
            .parse::<kube::core::Duration>()
            .is_ok_and(|parsed| Duration::from(parsed).is_zero()),
    };
    match is_zero {
        true => Err(format!(
            "{text} is no time: it must be more than 0, for example 90s"
        )),
        false => Ok(()),
    }
}

fn moment<Z: TimeZone>(text: &str, now: DateTime<Utc>, zone: &Z) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let local = [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
    ]
    .into_iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    .or_else(|| {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(date.and_time(NaiveTime::MIN))
    });
    if let Some(local) = local {
        return in_zone(local, zone).ok_or_else(|| format!("there is no time {text} here"));
    }
    let ago = duration(text).map_err(|_| {
        format!("{text:?} is neither a duration like 24h or 7d nor a date like 2024-01-15 or 2024-01-15T10:30")
    })?;
    TimeDelta::from_std(ago)
        .ok()
        .and_then(|ago| now.checked_sub_signed(ago))
        .ok_or_else(|| format!("{text:?} is longer ago than there are times"))
}

/// Where clocks are put forward, an hour does not exist: the next one that does is meant.
fn in_zone<Z: TimeZone>(local: NaiveDateTime, zone: &Z) -> Option<DateTime<Utc>> {
    let later = [0, 1, 2, 3].map(TimeDelta::hours);
    let moment = later
        .into_iter()
        .find_map(|hours| zone.from_local_datetime(&(local + hours)).earliest())?;
    Some(moment.to_utc())
}

/// The time of day in the terminal's zone.
pub fn clock(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}

/// Date and time in the terminal's zone.
pub fn date(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// How long something took, in at most two units: `0.4s`, `31s`, `2m04s`, `1h05m`, `3d`.
pub fn span(took: TimeDelta) -> String {
    let milliseconds = took.num_milliseconds().max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, milliseconds % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => two_units(seconds, 60, 'm', 's'),
        3_600..86_400 => two_units(seconds / 60, 60, 'h', 'm'),
        _ => two_units(seconds / 3_600, 24, 'd', 'h'),
    }
}

/// A duration as somebody set it, with nothing rounded away: `5s`, `1h30m`, `1m0.5s`.
pub fn setting(set: Duration) -> String {
    let (seconds, milliseconds) = (set.as_secs(), set.subsec_millis());
    let fraction = match milliseconds {
        0 => String::new(),
        some => format!(".{some:03}").trim_end_matches('0').to_owned(),
    };
    let units = [
        (seconds / 3_600, "h", ""),
        (seconds % 3_600 / 60, "m", ""),
        (seconds % 60, "s", fraction.as_str()),
    ];
    let told = units
        .into_iter()
        .filter(|(count, _, fraction)| *count > 0 || !fraction.is_empty())
        .map(|(count, unit, fraction)| format!("{count}{fraction}{unit}"));
    told.collect()
}

fn two_units(small: i64, in_large: i64, large: char, unit: char) -> String {
    match (small / in_large, small % in_large) {
        (whole, 0) => format!("{whole}{large}"),
        (whole, rest) => format!("{whole}{large}{rest:02}{unit}"),
    }
}

/// How old something is, as kubectl has it: `12s`, `5m`, `3h`, `2d`.
pub fn age(old: TimeDelta) -> String {
    let seconds = old.num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    fn at(text: &str) -> String {
        let now = "2024-02-01T12:00:00Z".parse().unwrap();
        let zone = FixedOffset::east_opt(2 * 3_600).unwrap();
        moment(text, now, &zone).map_or_else(|bad| bad, |time| time.to_rfc3339())
    }

    #[test]
    fn a_date_without_a_zone_is_the_terminals() {
        assert_eq!(at("2024-01-15"), "2024-01-14T22:00:00+00:00");
        assert_eq!(at("2024-01-15 10:30"), "2024-01-15T08:30:00+00:00");
        assert_eq!(at("2024-01-15T10:30:05"), "2024-01-15T08:30:05+00:00");
        assert_eq!(at("2024-01-15T10:30:00Z"), "2024-01-15T10:30:00+00:00");
    }

    #[test]
    fn a_duration_counts_back_from_now() {
        assert_eq!(at("24h"), "2024-01-31T12:00:00+00:00");
        assert_eq!(at("1d12h"), "2024-01-31T00:00:00+00:00");
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in ["yesterday", "", "24", "5", "d", "0d", "-3h", "2024-13-01"] {
            assert!(at(text).contains("2024-01-15"), "{text}: {}", at(text));
        }
        assert!(at("4294967295d").contains("longer ago"));
    }

    #[test]
    fn no_time_at_all_is_told_apart_from_what_is_no_duration() {
        for text in ["0s", "0", "0h0m", "0d"] {
            let told = duration(text).unwrap_err();
            assert!(told.contains("must be more than 0"), "{told}");
        }
        for text in ["five", "", "1x"] {
            let told = duration(text).unwrap_err();
            assert!(told.contains("is not a duration"), "{told}");
        }
        assert_eq!(duration("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn a_setting_is_told_as_it_was_set() {
        for (milliseconds, told) in [
            (5_000, "5s"),
            (250, "0.25s"),
            (60_500, "1m0.5s"),
            (600_000, "10m"),
            (5_400_000, "1h30m"),
            (90_061_000, "25h1m1s"),
        ] {
            assert_eq!(setting(Duration::from_millis(milliseconds)), told);
        }
    }

    #[test]
    fn spans_and_ages_are_short() {
        let seconds = TimeDelta::seconds;
        assert_eq!(span(TimeDelta::milliseconds(440)), "0.4s");
        assert_eq!(span(seconds(31)), "31s");
        assert_eq!(span(seconds(124)), "2m04s");
        assert_eq!(span(seconds(3_900)), "1h05m");
        assert_eq!(span(seconds(273_600)), "3d04h");
        assert_eq!(
            (span(seconds(600)), span(seconds(3_600))),
            ("10m".into(), "1h".into())
        );
        assert_eq!(span(seconds(-5)), "0.0s");
        assert_eq!(age(seconds(119)), "119s");
        assert_eq!(age(seconds(180_000)), "2d");
    }
}
