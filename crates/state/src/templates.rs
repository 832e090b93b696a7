//! The `AlertTemplate`s as they were last seen, for those who have no snapshot of them.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::error::StateError;
use crate::place::Place;
use crate::store::Store;
use crate::transaction::Transaction;

impl Store {
    /// The templates as they were last seen: JSON by name.
    pub fn templates(&self) -> Result<BTreeMap<String, String>, StateError> {
        list(self.connection(), self.place())
    }
}

impl Transaction<'_> {
    /// Makes the remembered templates the given ones; returns whether any of them is different now.
    pub fn set_templates(
        &mut self,
        templates: &BTreeMap<String, String>,
    ) -> Result<bool, StateError> {
        let attempt = || StateError::database("write the templates", self.place);
        let before = list(&self.inner, self.place)?;
        for name in before.keys().filter(|name| !templates.contains_key(*name)) {
            self.inner
                .execute("DELETE FROM template WHERE name = ?1", [name])
                .map_err(attempt())?;
        }
        for (name, body) in templates {
            if before.get(name) != Some(body) {
                self.inner
                    .execute(
                        "INSERT INTO template VALUES(?1, ?2) \
                         ON CONFLICT DO UPDATE SET body = excluded.body",
                        params![name, body],
                    )
                    .map_err(attempt())?;
            }
        }
        Ok(before != *templates)
    }
}

fn list(connection: &Connection, place: &Place) -> Result<BTreeMap<String, String>, StateError> {
    let attempt = || StateError::database("read the templates", place);
    let mut statement = connection
        .prepare("SELECT name, body FROM template")
        .map_err(attempt())?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(attempt())?;
    rows.collect::<rusqlite::Result<_>>().map_err(attempt())
}
