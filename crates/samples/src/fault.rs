//! What goes wrong inside, before it is said of which file.

use ng_state::{Database, StateError};

use crate::pack::Malformed;
use crate::schema::{Key, Level};

#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    /// What was said already of which file.
    State(StateError),
    /// A row that was not written by us.
    Row {
        table: &'static str,
        id: i64,
    },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    pub(crate) fn row(level: Level, id: i64) -> impl FnOnce(Malformed) -> Self {
        move |Malformed| Self::Row {
            table: level.table(),
            id,
        }
    }

    /// The error that callers see.
    pub(crate) fn of(
        attempt: &'static str,
        database: &Database,
    ) -> impl FnOnce(Self) -> StateError {
        move |fault| match fault {
            Self::Sql(error) => database.refused(attempt)(error),
            Self::State(error) => error,
            Self::Row { table, id } => {
                let Key { at, chunk, metric } = Key::of(id);
                let row = format!("{table} at {at}, chunk {chunk}, metric {metric}");
                database.damaged(row, "its bytes are no packed numbers")
            }
        }
    }
}
