//! Ends of processes, as the reaper tells them.

use super::*;
