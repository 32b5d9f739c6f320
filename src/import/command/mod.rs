//! Commands of programs: their words, and programs whose work the appliance does.

mod recognise;
pub(super) mod words;

pub(super) use recognise::{Kind, Streamlit, base, recognise};
