//! The shell-operator side of a hook: bindings, contexts, patches, metrics, logs, exit status.
