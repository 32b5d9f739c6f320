//! What people read on the pages of the appliance, in the languages that it speaks.
//!
//! A page names a [`Text`], or a [`Message`] with values; the file of each language in `data/` has the
//! words. Programs get English: JSON, the log, and what the commands print never change with a header.
//!
//! ```text
//! message   → catalogue (a text with its values)
//! catalogue → language, text (the words of a language)
//! text      (the names of all texts)
//! language  (which language a browser asks for)
//! ```

mod catalogue;
mod language;
#[cfg(test)]
pub(crate) mod leftovers;
mod message;
mod state;
mod text;

pub(crate) use language::Language;
pub use message::Message;
pub(crate) use state::state;
pub(crate) use text::Text;
