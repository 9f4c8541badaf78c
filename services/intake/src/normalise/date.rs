//! Days and instants.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::text::nfkc;
use crate::rule::Rule;

/// A calendar day: `2026-04-01`, `2026/4/1`, `2026.04.01`, `20260401`, `2026年4月1日`; a time behind it is dropped.
///
/// # Errors
/// [`Rule::Date`].
pub fn date(text: &str) -> Result<Option<NaiveDate>, Rule> {
    let text = nfkc(text.trim());
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.split(['T', ' ']).next().unwrap_or_default();
    let parsed = if day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()) {
        NaiveDate::parse_from_str(day, "%Y%m%d").ok()
    } else {
        let mut parts = day.trim_end_matches('日').split(['-', '/', '.', '年', '月']);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(year), Some(month), Some(day), None) if year.len() == 4 => number(year).and_then(|year| {
                NaiveDate::from_ymd_opt(year, number(month)?.try_into().ok()?, number(day)?.try_into().ok()?)
            }),
            _ => None,
        }
    };
    parsed
        .filter(|date| *date >= NaiveDate::MIN && date.format("%Y").to_string().len() == 4)
        .map(Some)
        .ok_or(Rule::Date)
}

fn number(digits: &str) -> Option<i32> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) { None } else { digits.parse().ok() }
}

/// A point in time with its offset (RFC 3339), or, without one, in Japan.
///
/// # Errors
/// [`Rule::Time`].
pub fn instant(text: &str) -> Result<Option<DateTime<Utc>>, Rule> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(instant.to_utc()));
    }
    ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M:%S"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|local| Some(japan(local)))
        .ok_or(Rule::Time)
}

/// Japan has been nine hours ahead without daylight saving since 1952.
pub(crate) fn japan(local: NaiveDateTime) -> DateTime<Utc> {
    (local - chrono::TimeDelta::hours(9)).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_the_forms_in_use() {
        let day = NaiveDate::from_ymd_opt(2024, 2, 9).unwrap();
        for written in [
            "2024/02/09",
            "2024-2-9",
            "2024.02.09",
            "20240209",
            "2024年2月9日",
            "２０２４／２／９",
            "2024/02/09 10:11",
            "2024-02-09T00:00:00",
        ] {
            assert_eq!(date(written), Ok(Some(day)), "{written}");
        }
        assert_eq!(date(" "), Ok(None));
        for bad in ["2024/13/01", "2023/02/29", "24/02/09", "02/09/2024", "today", "2024-02", "2024-02-09-1", "=2024"] {
            assert_eq!(date(bad), Err(Rule::Date), "{bad}");
        }
    }

    #[test]
    fn instants_without_offset_are_in_japan() {
        let instant_of = |text: &str| instant(text).unwrap().unwrap().to_rfc3339();
        assert_eq!(instant_of("2026-04-01T10:00:00+09:00"), "2026-04-01T01:00:00+00:00");
        assert_eq!(instant_of("2026-04-01T10:00:00Z"), "2026-04-01T10:00:00+00:00");
        assert_eq!(instant_of("2026/04/01 10:00"), "2026-04-01T01:00:00+00:00");
        assert_eq!(instant("yesterday"), Err(Rule::Time));
    }
}
