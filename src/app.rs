//! Composition root: Config → build → run → exit code.
