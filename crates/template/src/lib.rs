//! Renders the templates that users write, in three dialects.
