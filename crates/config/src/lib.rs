//! Files, secrets and environment into one checked configuration.
