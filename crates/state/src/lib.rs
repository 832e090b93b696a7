//! What must survive between two runs, and the alert outbox.
