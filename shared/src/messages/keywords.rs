//! STOP, START and HELP: words that are orders when they are the whole message, and ordinary words otherwise.
//!
//! The English words are those that carriers and Twilio act upon (help.twilio.com, "Twilio support for opt-out
//! keywords"), without YES, which more often answers a question. German, French and Spanish words stand beside them.

/// What a person orders with a single word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Who is this?
    Help,
}

const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "OPTOUT",
    "REVOKE",
    "STOPP",
    "ABMELDEN",
    "ABBESTELLEN",
    "ARRET",
    "ARRÊT",
    "DESABONNER",
    "DÉSABONNER",
    "ALTO",
    "PARAR",
    "BAJA",
];
const START: &[&str] = &["START", "UNSTOP", "SUBSCRIBE", "ANMELDEN", "REPRENDRE", "COMENZAR"];
const HELP: &[&str] = &["HELP", "INFO", "HILFE", "AIDE", "AYUDA"];

/// The order, if the whole text is one, apart from case, spaces and punctuation around it.
#[must_use]
pub fn read(text: &str) -> Option<Keyword> {
    let word = text.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation()).to_uppercase();
    let is_in = |words: &[&str]| words.contains(&word.as_str());
    match () {
        () if is_in(STOP) => Some(Keyword::Stop),
        () if is_in(START) => Some(Keyword::Start),
        () if is_in(HELP) => Some(Keyword::Help),
        () => None,
    }
}

impl Keyword {
    /// The one answer to it.
    #[must_use]
    pub fn answer(self, business: &str) -> String {
        match self {
            Self::Stop => {
                format!(
                    "You will receive no more messages from {business}. Reply START to receive them again."
                )
            }
            Self::Start => {
                format!("You will receive messages from {business} again. Reply STOP to end them.")
            }
            Self::Help => format!("This is {business}. Reply STOP to receive no more messages."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_is_an_order() {
        for text in ["STOP", " stop ", "Stop.", "stop!!", "\"STOP\"", "stopp", "arrêt", "Unsubscribe\n"] {
            assert_eq!(read(text), Some(Keyword::Stop), "{text:?}");
        }
        assert_eq!(read("start"), Some(Keyword::Start));
        assert_eq!(read("Hilfe?"), Some(Keyword::Help));
        for text in ["stop by at 5?", "please stop", "nonstop", "", "?", "help me", "yes", "s t o p"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
