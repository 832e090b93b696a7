//! Statements that may not be needed.

use rusqlite::{Connection, Statement};

/// A statement that is parsed when it is first needed: most runs change little, and parsing costs more than executing.
pub(crate) struct Lazy<'c> {
    connection: &'c Connection,
    sql: String,
    prepared: Option<Statement<'c>>,
}

impl<'c> Lazy<'c> {
    pub(crate) fn new(connection: &'c Connection, sql: impl Into<String>) -> Self {
        Self {
            connection,
            sql: sql.into(),
            prepared: None,
        }
    }

    pub(crate) fn statement(&mut self) -> rusqlite::Result<&mut Statement<'c>> {
        let prepared = match self.prepared.take() {
            Some(prepared) => prepared,
            None => self.connection.prepare(&self.sql)?,
        };
        Ok(self.prepared.insert(prepared))
    }
}
