//! Time zones by their IANA name, from the tables in this binary: what a wall clock shows must not depend on the machine.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use quorate_types::UnixMillis;

static TABLES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A named time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone called exactly `name`, such as `Europe/Berlin` or `UTC`: one zone, one spelling.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let zone = TABLES.get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Self(zone))
    }

    /// What the wall clock shows at `now`; `None` beyond the year 9999.
    pub(crate) fn at(&self, now: UnixMillis) -> Option<Zoned> {
        let instant = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
        Some(instant.to_zoned(self.0.clone()))
    }

    /// The first instant of `date` here, which is not always midnight.
    pub(crate) fn start_of(&self, date: Date) -> Option<UnixMillis> {
        millis(&date.to_zoned(self.0.clone()).ok()?)
    }

    /// When the wall clock shows `time`: the first time where it does so twice, and as much later as the clock skips
    /// where it never does.
    pub(crate) fn instant(&self, time: DateTime) -> Option<UnixMillis> {
        millis(&time.to_zoned(self.0.clone()).ok()?)
    }
}

fn millis(zoned: &Zoned) -> Option<UnixMillis> {
    UnixMillis::try_from(zoned.timestamp().as_millisecond()).ok()
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("unnamed"))
    }
}
