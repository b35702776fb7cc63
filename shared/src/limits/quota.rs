//! Quotas: tokens a minute (of mails: an hour), which is also the burst.

use super::Class;

/// The tokens of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of one caller: a user, an API key, a network; of mails, one recipient.
    pub caller: i32,
    /// Of the whole business or webhook source.
    pub whole: i32,
}

/// The quotas of all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas([Quota; Class::ALL.len()]);

/// The most tokens that a quota may have: one each microsecond, which is as fine as the clock.
const MOST: i32 = 60_000_000;
/// A developer's machine and the test suite do the work of many customers.
const LOCAL_FACTOR: i32 = 20;

impl Quotas {
    /// What a class has unless it is configured. `relaxed` is for laptops and tests.
    #[must_use]
    pub fn defaults(relaxed: bool) -> Self {
        let factor = if relaxed { LOCAL_FACTOR } else { 1 };
        Self(Class::ALL.map(|class| {
            let (caller, whole) = match class {
                Class::Read => (1_200, 6_000),
                Class::Write => (600, 3_000),
                Class::Send => (300, 1_200),
                Class::Bulk => (60, 240),
                // Nobody is behind a network: there is no whole.
                Class::Door => (300, 300),
                // A session is the caller, and there is no whole.
                Class::Refresh => (300, 300),
                Class::Form => (120, 1_200),
                Class::Webhook => (3_000, 6_000),
                Class::Event => (600, 12_000),
                // An hour's: of one kind to one address, and to whomever a business invites.
                Class::Mail => (10, 120),
            };
            Quota { caller: caller * factor, whole: whole * factor }
        }))
    }

    /// Reads `class=caller/whole` pairs, comma separated, over the defaults; the class `all` means every one.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str, relaxed: bool) -> Result<Self, String> {
        let mut quotas = Self::defaults(relaxed);
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (word, quota) = entry
                .split_once('=')
                .and_then(|(word, numbers)| Some((word.trim(), quota(numbers)?)))
                .ok_or_else(|| format!("`{entry}` is not of the form class=caller/whole"))?;
            let mut known = false;
            for (class, slot) in Class::ALL.iter().zip(&mut quotas.0) {
                if word == "all" || word == class.word() {
                    (*slot, known) = (quota, true);
                }
            }
            if !known {
                return Err(format!("there is no class `{word}`"));
            }
        }
        Ok(quotas)
    }

    /// The quota of a class.
    #[must_use]
    pub fn get(&self, class: Class) -> Quota {
        let found = Class::ALL.iter().zip(&self.0).find(|(one, _)| **one == class);
        found.map_or(Quota { caller: MOST, whole: MOST }, |(_, quota)| *quota)
    }
}

fn quota(numbers: &str) -> Option<Quota> {
    let (caller, whole) = numbers.split_once('/')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number| (1..=MOST).contains(number));
    Some(Quota { caller: number(caller)?, whole: number(whole)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_configured_keeps_its_default() {
        let quotas = Quotas::parse("write=5/8, send=1/2", false).unwrap();
        assert_eq!(quotas.get(Class::Write), Quota { caller: 5, whole: 8 });
        assert_eq!(quotas.get(Class::Send), Quota { caller: 1, whole: 2 });
        assert_eq!(quotas.get(Class::Read), Quotas::defaults(false).get(Class::Read));
        let all = Quotas::parse("all=9/9,read=1/2", true).unwrap();
        assert_eq!((all.get(Class::Form).caller, all.get(Class::Read).caller), (9, 1));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["read", "read=5", "read=0/5", "read=5/-1", "reed=5/5", "read=5/99999999999"] {
            assert!(Quotas::parse(text, false).is_err(), "{text}");
        }
    }
}
