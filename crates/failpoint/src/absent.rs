//! Points in every build that is not for tests: nothing.

use std::fmt;

use crate::Point;

/// Nobody dies.
#[derive(Debug)]
pub enum Died {}

impl fmt::Display for Died {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Died {}

/// Nothing.
#[derive(Debug)]
pub struct Failpoints;

const _: () = assert!(size_of::<Failpoints>() == 0 && size_of::<Result<(), Died>>() == 0);

impl Failpoints {
    /// Nothing.
    #[allow(clippy::new_without_default, reason = "nothing has no default")]
    pub const fn new() -> Self {
        Self
    }

    /// Nothing happens.
    ///
    /// # Errors
    /// None: there is no [`Died`].
    #[inline]
    pub const fn pass(&self, _: Point) -> Result<(), Died> {
        Ok(())
    }
}

/// Nothing happens.
#[inline]
pub const fn pass(_: Point) {}
