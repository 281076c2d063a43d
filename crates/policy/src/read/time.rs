//! Windows, hours and moments.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use quorate_types::UnixMillis;

use super::few;
use crate::draft::{ActiveHoursDraft, DayDraft, PeriodDraft, RulesDraft, SpanDraft, WindowDraft};
use crate::finding::Findings;
use crate::hours::{ActiveHours, DaySpan};
use crate::window::ROLLING_S;
use crate::{Period, Window, Zone};

const MAX_SPANS: usize = 64;
const MAX_HOLIDAYS: usize = 1024;

/// Either so many seconds, or a wall clock's period and whose.
pub(super) fn window(path: &str, draft: &WindowDraft, findings: &mut Findings) -> Option<Window> {
    match (draft.rolling_s, draft.calendar, &draft.timezone) {
        (Some(seconds), None, None) if ROLLING_S.contains(&seconds) => Some(Window::Rolling { seconds }),
        (Some(seconds), None, None) => {
            let message = format!("must be {} to {}, got {seconds}", ROLLING_S.start(), ROLLING_S.end());
            findings.error(format!("{path}.rolling_s"), message);
            None
        }
        (None, Some(period), Some(name)) => {
            let zone = zone(format!("{path}.timezone"), name, findings)?;
            let period = match period {
                PeriodDraft::Hour => Period::Hour,
                PeriodDraft::Day => Period::Day,
                PeriodDraft::Week => Period::Week,
                PeriodDraft::Month => Period::Month,
            };
            Some(Window::Calendar { period, zone })
        }
        _ => {
            findings.error(path, "expected rolling_s, or calendar with its timezone");
            None
        }
    }
}

fn zone(path: String, name: &str, findings: &mut Findings) -> Option<Zone> {
    let zone = Zone::named(name);
    if zone.is_none() {
        let message = format!("no timezone is called {name:?}: expected an IANA name such as Europe/Berlin");
        findings.error(path, message);
    }
    zone
}

/// Hours of the week, and the days they do not hold on.
pub(super) fn hours(draft: &ActiveHoursDraft, findings: &mut Findings) -> Option<ActiveHours> {
    let zone = zone("rules.active_hours.timezone".to_owned(), &draft.timezone, findings);
    let mut spans = Vec::new();
    if few("rules.active_hours.spans", draft.spans.len(), MAX_SPANS, findings) {
        for (at, draft) in draft.spans.iter().enumerate() {
            spans.extend(span(&format!("rules.active_hours.spans[{at}]"), draft, findings));
        }
    }
    let mut holidays = BTreeSet::new();
    if few("rules.active_hours.holidays", draft.holidays.len(), MAX_HOLIDAYS, findings) {
        for (at, text) in draft.holidays.iter().enumerate() {
            let path = format!("rules.active_hours.holidays[{at}]");
            match date(text) {
                Some(date) if holidays.insert(date) => {}
                Some(_) => findings.error(path, "listed twice"),
                None => findings.error(path, "expected a date such as 2026-12-25"),
            }
        }
    }
    zone.map(|zone| ActiveHours { zone, spans, holidays })
}

fn span(path: &str, draft: &SpanDraft, findings: &mut Findings) -> Option<DaySpan> {
    let mut days = Vec::new();
    for (at, day) in draft.days.iter().enumerate() {
        if days.contains(&weekday(*day)) {
            findings.error(format!("{path}.days[{at}]"), "listed twice");
        }
        days.push(weekday(*day));
    }
    if days.is_empty() {
        findings.error(format!("{path}.days"), "names no day");
    }
    let mut minute = |part: &str, text: &str, last: u16| {
        let minute = minute_of_day(text).filter(|minute| *minute <= last);
        if minute.is_none() {
            findings.error(format!("{path}.{part}"), "expected a time of day such as \"08:00\"");
        }
        minute
    };
    let (from, to) = (minute("from", &draft.from, 1439), minute("to", &draft.to, 1440));
    let (from, to) = (from?, to?);
    if to <= from {
        findings.error(format!("{path}.to"), "must be later than from; a span over midnight is two spans");
    }
    Some(DaySpan { days, from, to })
}

const fn weekday(day: DayDraft) -> Weekday {
    match day {
        DayDraft::Mon => Weekday::Monday,
        DayDraft::Tue => Weekday::Tuesday,
        DayDraft::Wed => Weekday::Wednesday,
        DayDraft::Thu => Weekday::Thursday,
        DayDraft::Fri => Weekday::Friday,
        DayDraft::Sat => Weekday::Saturday,
        DayDraft::Sun => Weekday::Sunday,
    }
}

/// `HH:MM`, two digits each, up to `24:00`.
fn minute_of_day(text: &str) -> Option<u16> {
    let two_digits = |part: &str| {
        let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1440).then_some(minute)
}

/// `YYYY-MM-DD` and nothing else: one day, one spelling.
fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

/// The first and the last moment at which anything is allowed.
pub(super) fn bounds(
    rules: &RulesDraft,
    findings: &mut Findings,
) -> (Option<UnixMillis>, Option<UnixMillis>) {
    let mut read = |path: &str, text: &Option<String>| instant(path, text.as_deref()?, findings);
    let first = read("rules.not_before", &rules.not_before);
    let last = read("rules.not_after", &rules.not_after);
    if last.zip(first).is_some_and(|(last, first)| last < first) {
        findings.error("rules.not_after", "lies before not_before");
    }
    (first, last)
}

/// A moment with its offset, to the millisecond.
fn instant(path: &str, text: &str, findings: &mut Findings) -> Option<UnixMillis> {
    let instant = text.parse::<Timestamp>().ok().filter(|at| at.subsec_nanosecond() % 1_000_000 == 0);
    let millis = instant.and_then(|at| UnixMillis::try_from(at.as_millisecond()).ok());
    if millis.is_none() {
        findings.error(path, "expected a moment such as 2026-01-31T09:00:00Z");
    }
    millis
}
