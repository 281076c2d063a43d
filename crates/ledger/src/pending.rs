//! Written, but not yet synced.

use quorate_store::Durable;

/// What becomes true once the transaction it came from has been committed. It gives its value only against the
/// commit's proof, so that nobody acts on what a crash could undo; dropping it acts on nothing.
///
/// The caller pairs a `Pending` with the `Durable` of its own transaction: `quorate_store::update` returns both.
#[must_use = "nothing may be acted on before the commit is confirmed"]
#[derive(Debug)]
pub struct Pending<T>(T);

impl<T> Pending<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a step of the same transaction: neither is there without the other.
    pub(crate) fn in_same_transaction(self) -> T {
        self.0
    }

    /// The value, now that it is on disk.
    pub fn confirm(self, _synced: &Durable) -> T {
        self.0
    }
}
