//! How many parts a text message is billed as (GSM 03.38, 3GPP TS 23.038; concatenation by TS 23.040).

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// These take two septets.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// Parts of a text: 160 septets or 70 UTF-16 units alone, 153 or 67 in each of several.
#[must_use]
pub fn count(text: &str) -> i16 {
    let septets: Option<usize> = text
        .chars()
        .map(|c| if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) })
        .sum();
    let (units, alone, each) = match septets {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    let parts = if units <= alone { 1 } else { units.div_ceil(each) };
    i16::try_from(parts).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_letter_more_or_one_emoji_makes_another_part() {
        assert_eq!(
            (count(""), count(&"a".repeat(160)), count(&"a".repeat(161)), count(&"a".repeat(307))),
            (1, 1, 2, 3)
        );
        assert_eq!((count(&"€".repeat(80)), count(&"€".repeat(81))), (1, 2));
        assert_eq!((count(&"я".repeat(70)), count(&"я".repeat(71))), (1, 2));
        assert_eq!(count(&format!("{}😀", "a".repeat(69))), 2);
    }
}
