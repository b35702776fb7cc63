//! What a `User-Agent` header says: which class of device, and whether a program looked instead of a person.

/// The sender of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `desktop`, `mobile`, `tablet` or `bot`; none when the header says nothing.
    pub device: Option<&'static str>,
    /// Whether it is a crawler, a preview fetcher, a monitor or a browser without a person.
    pub is_bot: bool,
}

/// Words of programs that look at pages by themselves. HTTP libraries are not among them: a business's own server may send
/// events with one, in the name of real visitors.
const PROGRAMS: [&str; 19] = [
    "crawl",
    "spider",
    "slurp",
    "headless",
    "phantomjs",
    "puppeteer",
    "playwright",
    "selenium",
    "lighthouse",
    "pagespeed",
    "pingdom",
    "uptime",
    "statuscake",
    "facebookexternalhit",
    "whatsapp/",
    "embedly",
    "mediapartners-google",
    "feedfetcher",
    "archiver",
];

/// Reads the header.
#[must_use]
pub fn read_agent(header: &str) -> Agent {
    let agent = header.to_lowercase();
    let has = |word: &str| agent.contains(word);
    let is_bot = PROGRAMS.iter().any(|program| has(program)) || names_a_bot(&agent);
    let device = if is_bot {
        Some("bot")
    } else if has("ipad") || has("tablet") || (has("android") && !has("mobile")) {
        Some("tablet")
    } else if has("mobi") || has("iphone") || has("android") {
        Some("mobile")
    } else if has("mozilla/") {
        Some("desktop")
    } else {
        None
    };
    Agent { device, is_bot }
}

/// `Googlebot/2.1`, `bingbot`, `AhrefsBot`, `Twitterbot` – but not the telephones of the brand Cubot.
fn names_a_bot(agent: &str) -> bool {
    agent.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.ends_with("bot") && word != "cubot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawlers_are_told_from_people() {
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/100 Safari/537.36",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120 Safari/537.36",
        ] {
            assert_eq!(read_agent(bot), Agent { device: Some("bot"), is_bot: true }, "{bot}");
        }
        for (person, device) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0", Some("desktop")),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Mobile/15E Safari/604",
                Some("mobile"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537 Chrome/120 Mobile Safari/537",
                Some("mobile"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 Chrome/120 Safari/537.36",
                Some("tablet"),
            ),
            ("python-requests/2.32", None),
            ("", None),
        ] {
            assert_eq!(read_agent(person), Agent { device, is_bot: false }, "{person}");
        }
    }
}
