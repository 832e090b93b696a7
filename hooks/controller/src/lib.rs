//! Hook: evaluates rules and applies their actions.
