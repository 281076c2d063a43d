//! Spans of time that limits count over.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::Date;
use quorate_types::UnixMillis;

use crate::Zone;

/// Shortest and longest rolling window, in seconds: a minute and 31 days.
pub(crate) const ROLLING_S: std::ops::RangeInclusive<u64> = 60..=31 * 24 * 3600;

const HOUR_MS: i64 = 3_600_000;

/// A span of time that is counted over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// The last so many seconds, ending now: a spend counts for exactly that long.
    Rolling {
        /// 60 to 2,678,400.
        seconds: u64,
    },
    /// The present hour, day, week or month of a wall clock.
    Calendar {
        /// Which of them.
        period: Period,
        /// Whose wall clock.
        zone: Zone,
    },
}

/// What a calendar divides time into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From the full hour. Where clocks are set by part of an hour, two of them overlap rather than leave a gap.
    Hour,
    /// From the day's first instant, which is not always midnight.
    Day,
    /// From Monday's first instant.
    Week,
    /// From the first instant of the month's first day.
    Month,
}

/// A window at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first millisecond that counts. What lies in the future, by a clock that was set back, counts too.
    pub(crate) since: UnixMillis,
    /// When what counts stops counting.
    pub(crate) end: End,
}

/// When what counts in a window stops counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Each spend this many milliseconds after it was made.
    After(UnixMillis),
    /// All of it at once.
    At(UnixMillis),
}

impl Window {
    /// The window at `now`; `None` where the calendar has no such time.
    pub(crate) fn frame(&self, now: UnixMillis) -> Option<Frame> {
        let frame = match self {
            Self::Rolling { seconds } => {
                let length = seconds.checked_mul(1000)?;
                // A spend at t counts up to t + length - 1.
                Frame { since: (now.saturating_add(1)).saturating_sub(length), end: End::After(length) }
            }
            Self::Calendar { period, zone } => {
                let (since, end) = calendar(*period, zone, now)?;
                Frame { since, end: End::At(end) }
            }
        };
        (frame.since <= now).then_some(frame)
    }
}

fn calendar(period: Period, zone: &Zone, now: UnixMillis) -> Option<(UnixMillis, UnixMillis)> {
    let clock = zone.at(now)?;
    let today = clock.date();
    let days = |from: Date, to: Date| Some((zone.start_of(from)?, zone.start_of(to)?));
    match period {
        Period::Hour => {
            let offset = i64::from(clock.offset().seconds()).checked_mul(1000)?;
            let shown = i64::try_from(now).ok()?.checked_add(offset)?;
            let since = shown.checked_sub(shown.rem_euclid(HOUR_MS))?.checked_sub(offset)?;
            let since = UnixMillis::try_from(since).ok()?;
            Some((since, since.checked_add(HOUR_MS.unsigned_abs())?))
        }
        Period::Day => days(today, today.tomorrow().ok()?),
        Period::Week => {
            let monday = today.checked_sub(today.weekday().to_monday_zero_offset().days()).ok()?;
            days(monday, monday.checked_add(7.days()).ok()?)
        }
        Period::Month => days(today.first_of_month(), today.last_of_month().tomorrow().ok()?),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling { seconds } => write!(f, "in any {seconds} s"),
            Self::Calendar { period, zone } => write!(f, "per {period} ({zone})"),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> UnixMillis {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond().try_into().unwrap()
    }

    fn frame(period: Period, zone: &str, now: &str) -> (UnixMillis, UnixMillis) {
        let window = Window::Calendar { period, zone: Zone::named(zone).unwrap() };
        let Some(Frame { since, end: End::At(end) }) = window.frame(ms(now)) else { panic!("{now}") };
        (since, end)
    }

    type Row = (Period, &'static str, &'static str, &'static str, &'static str);

    /// Period, zone, now, and the window's two ends: worked out by hand from the zones' published rules.
    const CALENDAR: &[Row] = &[
        (Period::Day, "UTC", "2026-11-21T15:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        // Berlin springs forward on 29 March 2026: that day has 23 hours. On 25 October it has 25.
        (
            Period::Day,
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            Period::Day,
            "Europe/Berlin",
            "2026-10-25T22:59:59.999Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Period::Day,
            "Europe/Berlin",
            "2026-10-25T23:00:00Z",
            "2026-10-25T23:00:00Z",
            "2026-10-26T23:00:00Z",
        ),
        // Beirut skips midnight: 26 March 2023 began at 01:00 in the table's rule for 2022, 27 March.
        (Period::Day, "Asia/Beirut", "2022-03-27T12:00:00Z", "2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z"),
        // Samoa had no 30 December 2011.
        (Period::Day, "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        // The week begins on Monday, also over a change of clocks, and the month on its first.
        (
            Period::Week,
            "Europe/Berlin",
            "2026-10-25T22:00:00Z",
            "2026-10-18T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            Period::Month,
            "Europe/Berlin",
            "2026-10-31T22:59:59Z",
            "2026-09-30T22:00:00Z",
            "2026-10-31T23:00:00Z",
        ),
        (
            Period::Month,
            "America/New_York",
            "2028-02-29T12:00:00Z",
            "2028-02-01T05:00:00Z",
            "2028-03-01T05:00:00Z",
        ),
        (
            Period::Hour,
            "Asia/Kolkata",
            "2026-01-01T10:40:00Z",
            "2026-01-01T10:30:00Z",
            "2026-01-01T11:30:00Z",
        ),
        // The hour from two to three comes twice in Berlin: each is an hour of its own.
        (
            Period::Hour,
            "Europe/Berlin",
            "2026-10-25T00:59:59Z",
            "2026-10-25T00:00:00Z",
            "2026-10-25T01:00:00Z",
        ),
        (
            Period::Hour,
            "Europe/Berlin",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        ),
    ];

    #[test]
    fn calendar_windows_follow_the_wall_clock() {
        for (period, zone, now, since, end) in CALENDAR {
            assert_eq!(frame(*period, zone, now), (ms(since), ms(end)), "{period} of {zone} at {now}");
        }
    }

    /// No window ever begins earlier than one before it, none misses the present, and none leaves a gap.
    #[test]
    fn windows_only_move_forward_and_leave_no_gap() {
        let zones = [
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "America/Havana",
            "America/Asuncion",
            "Pacific/Apia",
            "Asia/Beirut",
        ];
        for (zone, period) in zones
            .iter()
            .flat_map(|zone| [Period::Hour, Period::Day, Period::Week, Period::Month].map(|p| (zone, p)))
        {
            let window = Window::Calendar { period, zone: Zone::named(zone).unwrap() };
            let (mut now, until) = (ms("2011-12-01T00:00:00Z"), ms("2013-01-01T00:00:00Z"));
            let mut before: Option<(UnixMillis, UnixMillis)> = None;
            while now < until {
                let Some(Frame { since, end: End::At(end) }) = window.frame(now) else { panic!("{zone}") };
                assert!(since <= now && now < end, "{period} of {zone} at {now}");
                if let Some((since_before, end_before)) = before {
                    assert!(since >= since_before, "{period} of {zone} at {now}: went back");
                    assert!(since <= end_before, "{period} of {zone} at {now}: a gap");
                }
                before = Some((since, end));
                now += 10 * 60 * 1000;
            }
        }
    }

    #[test]
    fn a_rolling_window_ends_now_and_is_exactly_as_long_as_it_says() {
        let window = Window::Rolling { seconds: 60 };
        assert_eq!(window.frame(100_000), Some(Frame { since: 40_001, end: End::After(60_000) }));
        assert_eq!(window.frame(59_999), Some(Frame { since: 0, end: End::After(60_000) }));
        assert_eq!(window.frame(0), Some(Frame { since: 0, end: End::After(60_000) }));
        assert!(window.frame(u64::MAX).is_some());
        let calendar = Window::Calendar { period: Period::Day, zone: Zone::named("UTC").unwrap() };
        assert_eq!(calendar.frame(u64::MAX), None);
        assert_eq!(calendar.frame(300_000_000_000_000), None);
    }
}
