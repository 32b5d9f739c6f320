//! Probes against servers that answer, refuse and hang.

use super::*;
