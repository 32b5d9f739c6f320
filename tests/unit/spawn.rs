//! What a child starts with.

use super::*;
