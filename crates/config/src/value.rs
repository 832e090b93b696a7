//! A value behind its type, so that looking it up through the layers is compiled once and not for every type.

use crate::setting::{Setting, Wrong};
use crate::tree::Node;

/// A setting of whatever type, with its value so far.
pub(crate) trait Value {
    fn take_node(&mut self, node: &Node<'_>) -> Result<(), Vec<Wrong>>;
    fn take_text(&mut self, text: &str) -> Result<(), Vec<Wrong>>;
    fn takes(&self, text: &str) -> bool;
    fn is_secret(&self) -> bool;
    fn blank_is_unset(&self) -> bool;
    fn show(&self) -> serde_json::Value;
    fn show_as(&self, written: &Node<'_>) -> serde_json::Value;
    fn schema(&self) -> fn() -> serde_json::Value;
}

/// A value of one type.
pub(crate) struct Typed<T>(pub(crate) T);

impl<T: Setting> Value for Typed<T> {
    fn take_node(&mut self, node: &Node<'_>) -> Result<(), Vec<Wrong>> {
        self.0 = T::from_node(node)?;
        Ok(())
    }

    fn take_text(&mut self, text: &str) -> Result<(), Vec<Wrong>> {
        self.0 = T::from_text(text)?;
        Ok(())
    }

    fn takes(&self, text: &str) -> bool {
        T::from_text(text).is_ok()
    }

    fn is_secret(&self) -> bool {
        T::SECRET
    }

    fn blank_is_unset(&self) -> bool {
        T::BLANK_IS_UNSET
    }

    fn show(&self) -> serde_json::Value {
        self.0.show()
    }

    fn show_as(&self, written: &Node<'_>) -> serde_json::Value {
        self.0.show_as(written)
    }

    fn schema(&self) -> fn() -> serde_json::Value {
        T::schema
    }
}
