//! The states of apps and of the sign-in service, for people.

use super::language::Language;
use super::text::Text;

const STATES: [(&str, Text); 12] = [
    ("waiting", Text::StateWaiting),
    ("setup", Text::StateSetup),
    ("starting", Text::StateStarting),
    ("ready", Text::StateReady),
    ("unready", Text::StateUnready),
    ("backoff", Text::StateBackoff),
    ("stopping", Text::StateStopping),
    ("stopped", Text::StateStopped),
    ("failed", Text::StateFailed),
    ("asleep", Text::StateAsleep),
    ("up", Text::StateUp),
    ("down", Text::StateDown),
];

/// The words for a state that programs know by `word`; the word itself if there is no text for it.
pub(crate) fn state(language: Language, word: &str) -> &str {
    let found = STATES.iter().find(|(state, _)| *state == word);
    found.map_or(word, |(_, text)| text.to(language))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Phase;

    #[test]
    fn every_phase_has_words_in_every_language() {
        for phase in [
            Phase::Waiting,
            Phase::Setup,
            Phase::Starting,
            Phase::Ready,
            Phase::Unready,
            Phase::Stopping,
            Phase::Stopped,
            Phase::Idle,
            Phase::Finished,
            Phase::Backoff,
            Phase::Failed,
        ] {
            let word = phase.as_str();
            assert_eq!(state(Language::English, word), word);
            for language in Language::ALL.into_iter().skip(1) {
                assert_ne!(state(language, word), word, "{}", language.tag());
            }
        }
    }
}
