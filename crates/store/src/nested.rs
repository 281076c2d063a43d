//! A transaction within another one. It can be given up without the other one.

use std::ops::ControlFlow;

use crate::keyspace::{Range, table_and_key, whole_key};
use crate::overlay::Overlay;
use crate::sealed::allowed;
use crate::{Durable, Read, StoreError, Txn, Value, Visit};

/// Largest value, in bytes: less than any backend takes. What is refused here is not found to be too large, or for the
/// store itself, when it is handed over.
const MAX_VALUE: usize = 1 << 30;

/// Writes that are kept beside a transaction until they are handed over to it.
pub(crate) struct Nested<'a> {
    outer: &'a mut dyn Txn,
    writes: Overlay,
}

impl<'a> Nested<'a> {
    pub(crate) fn new(outer: &'a mut dyn Txn) -> Self {
        Self { outer, writes: Overlay::default() }
    }

    /// Hands the writes over. Where this fails, nobody knows which of them are there.
    ///
    /// # Errors
    /// The outer transaction's.
    pub(crate) fn hand_over(self) -> Result<(), StoreError> {
        for (whole, value) in self.writes {
            let (table, key) = table_and_key(&whole)?;
            match value {
                Some(value) => self.outer.put(table, key, &value)?,
                None => self.outer.delete(table, key)?,
            }
        }
        Ok(())
    }
}

impl Read for Nested<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        match self.writes.get(&whole_key(table, key)?) {
            Some(written) => Ok(written),
            None => self.outer.get(table, key),
        }
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        let mut own = self.writes.of(&range).peekable();
        let mut flow = ControlFlow::Continue(());
        self.outer.scan(table, prefix, from, &mut |key, value| {
            // Own records that sort before this one come first; one at its key comes in its place.
            while let Some((mine, written)) = own.next_if(|(mine, _)| *mine < key) {
                flow = written.as_ref().map_or(ControlFlow::Continue(()), |written| visit(mine, written));
                if flow.is_break() {
                    return flow;
                }
            }
            flow = match own.next_if(|(mine, _)| *mine == key) {
                Some((_, Some(written))) => visit(key, written),
                Some((_, None)) => ControlFlow::Continue(()),
                None => visit(key, value),
            };
            flow
        })?;
        while flow.is_continue()
            && let Some((mine, written)) = own.next()
        {
            flow = written.as_ref().map_or(ControlFlow::Continue(()), |written| visit(mine, written));
        }
        Ok(())
    }
}

impl Txn for Nested<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        allowed(table)?;
        if value.len() > MAX_VALUE {
            return Err(StoreError::TooLarge(value.len()));
        }
        self.writes.put(table, key, value)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        allowed(table)?;
        self.writes.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        // Nobody is ever given the whole of it: whoever has the outer one commits.
        Err(StoreError::Sync("a transaction within another one was to be committed".to_owned()))
    }
}
