//! Active hours, and the first and last moment of a policy.

use quorate_policy::{Decision, RuleFailure};
use quorate_types::UnixMillis;

use crate::rig::{BASE_SEPOLIA, Done, SHOP, decide_after, failures, transfer, with};

const HOURS: &str = "  active_hours:
    timezone: Europe/Berlin
    spans:
      - { days: [mon, tue, wed, thu, fri], from: \"08:00\", to: \"18:00\" }
      - { days: [fri], from: \"20:00\", to: \"24:00\" }
      - { days: [sun], from: \"02:30\", to: \"02:45\" }
    holidays: [2026-12-25]
";

fn ms(text: &str) -> UnixMillis {
    // Seconds since the epoch of a civil UTC time, by the days-from-civil formula, apart from the code under test.
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    u64::try_from(seconds).unwrap() * 1000
}

fn refused(body: &str, now: UnixMillis) -> Option<RuleFailure> {
    match decide_after(&Done::default(), body, &transfer(BASE_SEPOLIA, SHOP, 1), now) {
        Decision::Allow(_) => None,
        denied => {
            let mut failures = failures(denied);
            assert_eq!(failures.len(), 1, "{failures:?}");
            Some(failures.remove(0))
        }
    }
}

#[test]
fn hours_hold_by_the_wall_clock_to_the_minute() {
    let body = with(HOURS);
    for (now, open) in [
        // A Monday in winter: 08:00 in Berlin is 07:00 UTC.
        ("2026-11-23T06:59:59Z", false),
        ("2026-11-23T07:00:00Z", true),
        ("2026-11-23T16:59:59Z", true),
        ("2026-11-23T17:00:00Z", false),
        // A Monday in summer: 06:00 UTC.
        ("2026-07-06T05:59:59Z", false),
        ("2026-07-06T06:00:00Z", true),
        // The second span of Friday ends with the day.
        ("2026-11-27T18:59:59Z", false),
        ("2026-11-27T22:59:59Z", true),
        ("2026-11-27T23:00:00Z", false),
        // Saturday, and Christmas on a Friday.
        ("2026-11-28T12:00:00Z", false),
        ("2026-12-25T12:00:00Z", false),
        ("2026-12-24T12:00:00Z", true),
        // The night clocks spring forward has no half past two; the night they fall back has two.
        ("2026-03-29T00:35:00Z", false),
        ("2026-03-29T01:35:00Z", false),
        ("2026-10-25T00:35:00Z", true),
        ("2026-10-25T01:35:00Z", true),
        ("2026-10-25T02:35:00Z", false),
    ] {
        assert_eq!(refused(&body, ms(now)).is_none(), open, "{now}");
    }
}

#[test]
fn a_refusal_says_when_it_opens_again() {
    let body = with(HOURS);
    for (now, opens) in [
        ("2026-11-23T05:00:00Z", "2026-11-23T07:00:00Z"),
        ("2026-11-27T17:00:00Z", "2026-11-27T19:00:00Z"),
        ("2026-11-28T12:00:00Z", "2026-11-29T01:30:00Z"),
        // Over Christmas and the weekend, to the short span of Sunday.
        ("2026-12-24T17:00:00Z", "2026-12-27T01:30:00Z"),
        // Half past two never comes that Sunday, so Monday it is.
        ("2026-03-28T12:00:00Z", "2026-03-30T06:00:00Z"),
    ] {
        let failure = refused(&body, ms(now)).unwrap();
        assert_eq!((failure.rule.as_str(), failure.resets_at_ms), ("active_hours", Some(ms(opens))), "{now}");
    }
    let failure = refused(&body, ms("2026-11-28T12:00:00Z")).unwrap();
    assert_eq!(
        failure.limit,
        "mon tue wed thu fri 08:00-18:00, fri 20:00-24:00, sun 02:30-02:45 (Europe/Berlin)"
    );
    assert_eq!(failure.requested, "2026-11-28T12:00:00Z");
}

#[test]
fn no_hours_at_all_are_never_and_a_time_without_a_calendar_is_denied() {
    let never = with("  active_hours: { timezone: UTC, spans: [] }\n");
    let failure = refused(&never, ms("2026-11-23T12:00:00Z")).unwrap();
    assert_eq!((failure.limit.as_str(), failure.resets_at_ms), ("never (UTC)", None));
    let failure = refused(&with(HOURS), u64::MAX).unwrap();
    assert_eq!(failure.reason, "the hour cannot be told at this time");
}

#[test]
fn a_policy_holds_from_its_first_moment_to_its_last() {
    let body = with("  not_before: 2026-01-01T00:00:00+01:00\n  not_after: 2026-12-31T22:59:59.999Z\n");
    let (first, last) = (ms("2025-12-31T23:00:00Z"), ms("2026-12-31T22:59:59Z") + 999);
    for (now, rule, resets) in [
        (first - 1, Some("not_before"), Some(first)),
        (first, None, None),
        (last, None, None),
        (last + 1, Some("not_after"), None),
        (0, Some("not_before"), Some(first)),
        (u64::MAX, Some("not_after"), None),
    ] {
        let refused = refused(&body, now);
        assert_eq!(refused.as_ref().map(|failure| failure.rule.as_str()), rule, "{now}");
        assert_eq!(refused.and_then(|failure| failure.resets_at_ms), resets, "{now}");
    }
}
