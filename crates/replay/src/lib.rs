//! Replays recorded contexts and scenarios, and tests rules.
