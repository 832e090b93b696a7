//! Decides what happens to nodes: facts in, plan out; no I/O and no clock.
