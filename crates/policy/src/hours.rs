//! When a wallet is awake.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::{Date, Weekday, time};
use quorate_types::UnixMillis;

use crate::Zone;

/// How many days ahead the next opening is looked for.
const HORIZON_DAYS: usize = 400;

/// Spans of the week in which signatures are allowed, by a wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveHours {
    pub(crate) zone: Zone,
    pub(crate) spans: Vec<DaySpan>,
    pub(crate) holidays: BTreeSet<Date>,
}

/// The same hours on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DaySpan {
    pub(crate) days: Vec<Weekday>,
    /// First minute of the day.
    pub(crate) from: u16,
    /// First minute that is no longer in it; up to 1440.
    pub(crate) to: u16,
}

impl ActiveHours {
    /// Whether `now` is in a span, and on no holiday; `None` where the calendar has no such time.
    pub(crate) fn contain(&self, now: UnixMillis) -> Option<bool> {
        let clock = self.zone.at(now)?;
        let minute = u16::try_from(clock.hour()).ok()? * 60 + u16::try_from(clock.minute()).ok()?;
        let open = self.on(clock.date()).any(|span| (span.from..span.to).contains(&minute));
        Some(open)
    }

    /// The beginning of the next span after `now`, where there is one within a year.
    pub(crate) fn next_opening(&self, now: UnixMillis) -> Option<UnixMillis> {
        let today = self.zone.at(now)?.date();
        today.series(jiff::Span::new().days(1)).take(HORIZON_DAYS).find_map(|date| {
            let starts = self.on(date).filter_map(|span| {
                let start =
                    time(i8::try_from(span.from / 60).ok()?, i8::try_from(span.from % 60).ok()?, 0, 0);
                self.zone.instant(date.to_datetime(start))
            });
            // A beginning that the clock skips may fall behind the end of its span.
            starts.filter(|start| *start > now && self.contain(*start) == Some(true)).min()
        })
    }

    fn on(&self, date: Date) -> impl Iterator<Item = &DaySpan> {
        let closed = self.holidays.contains(&date);
        let weekday = date.weekday();
        self.spans.iter().filter(move |span| !closed && span.days.contains(&weekday))
    }
}

impl fmt::Display for ActiveHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        for (at, span) in self.spans.iter().enumerate() {
            let days: Vec<&str> = span.days.iter().map(|day| short(*day)).collect();
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}-{}", days.join(" "), clock(span.from), clock(span.to))?;
        }
        if self.spans.is_empty() {
            f.write_str("never")?;
        }
        write!(f, " ({})", self.zone)
    }
}

const fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}
