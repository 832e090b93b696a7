//! What stands on a parcel: all that decides about its delivery, and nothing of what is in it.
//!
//! A parcel never changes, so a transaction reads each label once, whoever asks for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ng_delivery::Fresh;
use ng_engine::parcel::names;
use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::parcels::read_kind;
use super::ranges::Range;

/// The label of a parcel.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) range: Range,
    pub(super) queued: Time,
    pub(super) rule: String,
    pub(super) kind: AlertKind,
    pub(super) severity: Severity,
    pub(super) template: String,
    pub(super) dry_run: bool,
    /// Why its producer muted it.
    pub(super) muted: Option<String>,
    /// Names of its nodes, one a line.
    pub(super) nodes: Arc<String>,
    /// The same as they stand in the column.
    pub(super) column: String,
}

/// The columns stand before the body, whose pages are not touched.
const SELECT: &str =
    "SELECT first, last, queued, rule, kind, severity, template, dry_run, muted, nodes FROM parcel";

impl Label {
    /// What decides about its alerts when they are new.
    pub(super) fn fresh(&self) -> Fresh {
        Fresh {
            kind: self.kind,
            severity: self.severity,
            queued: self.queued,
            muted: self.muted.is_some(),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Rc<Self>> {
        let column: String = row.get(9)?;
        Ok(Rc::new(Self {
            range: super::read_range(row)?,
            queued: Time::from_millis(row.get(2)?),
            rule: row.get(3)?,
            kind: read_kind(row.get_ref(4)?.as_str()?),
            severity: Severity::parse(row.get_ref(5)?.as_str()?).unwrap_or(Severity::Warning),
            template: row.get(6)?,
            dry_run: row.get(7)?,
            muted: row.get(8)?,
            nodes: names::unpacked(&column).into(),
            column,
        }))
    }
}

/// The labels that a transaction has read.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    by_first: RefCell<BTreeMap<i64, Rc<Label>>>,
}

impl Labels {
    /// Of the parcels after this id, in order.
    pub(super) fn after(
        &self,
        connection: &Connection,
        id: i64,
    ) -> rusqlite::Result<Vec<Rc<Label>>> {
        let mut statement =
            connection.prepare(&format!("{SELECT} WHERE first > ?1 ORDER BY first"))?;
        let rows = statement.query_map([id], Label::read)?;
        let found: Vec<Rc<Label>> = rows.collect::<rusqlite::Result<_>>()?;
        let by_first = found
            .iter()
            .map(|label| (label.range.first, Rc::clone(label)));
        self.by_first.borrow_mut().extend(by_first);
        Ok(found)
    }

    /// Of the parcel with this alert; `None`: it is gone.
    pub(super) fn of(
        &self,
        connection: &Connection,
        id: i64,
    ) -> rusqlite::Result<Option<Rc<Label>>> {
        let mut by_first = self.by_first.borrow_mut();
        let known = by_first.range(..=id).next_back();
        if let Some((_, label)) = known.filter(|(_, label)| label.range.ids().contains(&id)) {
            return Ok(Some(Rc::clone(label)));
        }
        let found = connection
            .prepare(&format!(
                "{SELECT} WHERE first <= ?1 ORDER BY first DESC LIMIT 1"
            ))?
            .query_row([id], Label::read)
            .optional()?
            .filter(|label| label.range.ids().contains(&id));
        if let Some(label) = &found {
            by_first.insert(label.range.first, Rc::clone(label));
        }
        Ok(found)
    }
}
