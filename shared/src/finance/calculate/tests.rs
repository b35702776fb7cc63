use proptest::prelude::*;

use super::*;
use crate::finance::amount::{Amount, Percent};

fn tax(id: u128, rate: &str, inclusive: bool) -> Tax {
    Tax { id: Uuid::from_u128(id), name: format!("{rate} %"), rate: rate.parse().unwrap(), inclusive }
}

fn line(quantity: &str, unit_price: i64, taxes: Vec<Tax>) -> LineTerms {
    LineTerms { quantity: quantity.parse().unwrap(), unit_price, discount: None, taxes }
}

fn amount(minor: i64) -> Discount {
    Discount::of_amount(Amount::try_from(minor).unwrap())
}

fn percent(text: &str) -> Discount {
    Discount::of_percent(text.parse().unwrap())
}

#[test]
fn line_and_document_rounding_give_the_documented_totals() {
    // 0.33 + 7 % = 0.0231 of tax: three lines of 0.02 against a document's 0.0693, which is 0.07.
    let lines = vec![line("1", 33, vec![tax(1, "7", false)]); 3];
    let by_line = calculate(&lines, None, Rounding::Line).unwrap();
    let by_document = calculate(&lines, None, Rounding::Document).unwrap();
    assert_eq!((by_line.subtotal, by_line.tax, by_line.total), (99, 6, 105));
    assert_eq!((by_document.subtotal, by_document.tax, by_document.total), (99, 7, 106));
    assert_eq!(by_document.lines.iter().map(|line| line.tax).collect::<Vec<_>>(), [3, 2, 2]);
}

#[test]
fn halves_go_away_from_zero() {
    let lines = [line("0.5", 5, vec![tax(1, "50", false)])];
    let totals = calculate(&lines, None, Rounding::Line).unwrap();
    assert_eq!((totals.subtotal, totals.tax), (3, 2));
}

#[test]
fn an_inclusive_price_stays_what_it_is() {
    let lines = [line("1", 11_900, vec![tax(1, "19", true)])];
    let totals = calculate(&lines, None, Rounding::Line).unwrap();
    assert_eq!((totals.subtotal, totals.tax, totals.total), (10_000, 1_900, 11_900));
    let tenth_off = calculate(&lines, Some(percent("10")), Rounding::Line).unwrap();
    assert_eq!(
        (tenth_off.subtotal, tenth_off.discount, tenth_off.tax, tenth_off.total),
        (10_000, 1_000, 1_710, 10_710)
    );
}

#[test]
fn many_taxes_on_one_line_and_discounts_on_both_levels() {
    let mut first = line("2.5", 1_999, vec![tax(1, "5", false), tax(2, "9.975", false)]);
    first.discount = Some(percent("10"));
    let second = line("1", 500, vec![tax(1, "5", false)]);
    let totals = calculate(&[first, second], Some(amount(100)), Rounding::Line).unwrap();
    // 4,997.5 → 4,998 − 500 = 4,498; with 500: 4,998 net. The hundred is shared 90 : 10.
    assert_eq!((totals.subtotal, totals.discount), (4_998, 100));
    assert_eq!(totals.lines.iter().map(|line| line.discount_share).collect::<Vec<_>>(), [90, 10]);
    assert_eq!(totals.lines[0].taxes, [220, 440]);
    assert_eq!(totals.lines[1].taxes, [25]);
    assert_eq!(totals.total, 4_998 - 100 + 685);
    assert_eq!((totals.rates[0].net, totals.rates[0].amount), (4_898, 245));
}

#[test]
fn amounts_are_minor_units_whatever_the_currency() {
    // 1,000 JPY is 1000, and nothing divides it by a hundred.
    let totals = calculate(&[line("1", 1_000, vec![tax(1, "10", false)])], None, Rounding::Line).unwrap();
    assert_eq!(totals.total, 1_100);
}

#[test]
fn absurd_input_is_refused_by_name() {
    let huge = [line("999999999", MAX_AMOUNT, vec![])];
    assert_eq!(calculate(&huge, None, Rounding::Line), Err(CalculateError::TooLarge { line: Some(0) }));
    let sum = vec![line("1", MAX_AMOUNT, vec![]); 2];
    assert_eq!(calculate(&sum, None, Rounding::Line), Err(CalculateError::TooLarge { line: None }));
    let taxed = [line("1", MAX_AMOUNT, vec![tax(1, "1000", false)])];
    assert_eq!(calculate(&taxed, None, Rounding::Document), Err(CalculateError::TooLarge { line: None }));
    let mut cheap = line("1", 100, vec![]);
    assert_eq!(
        calculate(&[cheap.clone()], Some(amount(101)), Rounding::Line),
        Err(CalculateError::DiscountTooLarge { line: None })
    );
    cheap.discount = Some(amount(101));
    assert_eq!(
        calculate(&[cheap], None, Rounding::Line),
        Err(CalculateError::DiscountTooLarge { line: Some(0) })
    );
}

#[test]
fn decimals_are_read_strictly() {
    for text in
        ["", "0", "-1", "+1", "1e3", ".5", "5.", "1,5", "0.0000001", "1234567890", " 1", "NaN", "0.000000"]
    {
        assert!(text.parse::<Quantity>().is_err(), "{text:?}");
    }
    assert_eq!("2.50".parse::<Quantity>().unwrap().to_string(), "2.5");
    assert!("100.000001".parse::<Percent>().is_err());
    assert!(serde_json::from_str::<Quantity>("2.5").is_err());
    assert!(serde_json::from_str::<Quantity>("-2").is_err());
    assert_eq!(serde_json::from_str::<Quantity>("2").unwrap().to_string(), "2");
    assert!(serde_json::from_str::<Discount>(r#"{"amount":1,"percent":"1"}"#).is_err());
    assert!(serde_json::from_str::<Discount>("{}").is_err());
}

fn any_discount() -> impl Strategy<Value = Option<Discount>> {
    prop_oneof![
        Just(None),
        (0_i64..5_000).prop_map(|minor| Some(amount(minor))),
        (0_u32..=1_000_000)
            .prop_map(|units| Some(percent(&format!("{}", Decimal::new(i64::from(units), 4))))),
    ]
}

fn any_line() -> impl Strategy<Value = LineTerms> {
    let quantity = (1_i64..5_000_000).prop_map(|units| Decimal::new(units, 3).to_string().parse().unwrap());
    let rates = prop::collection::btree_map(0_u128..4, (0_i64..1_000_000, any::<bool>()), 0..4);
    (quantity, 0_i64..1_000_000, any_discount(), rates).prop_map(|(quantity, unit_price, discount, rates)| {
        LineTerms {
            quantity,
            unit_price,
            discount,
            taxes: rates
                .into_iter()
                .map(|(id, (rate, inclusive))| tax(id, &Decimal::new(rate, 3).to_string(), inclusive))
                .collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_parts_are_the_whole_and_nothing_is_negative(
        lines in prop::collection::vec(any_line(), 1..8),
        discount in any_discount(),
        by_document in any::<bool>(),
    ) {
        let rounding = if by_document { Rounding::Document } else { Rounding::Line };
        let Ok(totals) = calculate(&lines, discount, rounding) else { return Ok(()) };
        let sum = |part: fn(&LineTotals) -> i64| totals.lines.iter().map(part).sum::<i64>();
        prop_assert_eq!(sum(|line| line.net), totals.subtotal);
        prop_assert_eq!(sum(|line| line.tax), totals.tax);
        prop_assert_eq!(sum(|line| line.discount_share), totals.discount);
        prop_assert_eq!(totals.rates.iter().map(|rate| rate.amount).sum::<i64>(), totals.tax);
        prop_assert_eq!(totals.subtotal - totals.discount + totals.tax, totals.total);
        prop_assert_eq!(sum(|line| line.gross) - totals.discount, totals.total);
        for line in &totals.lines {
            prop_assert!(line.net >= 0 && line.discount_share >= 0 && line.discount_share <= line.net);
            prop_assert!(line.taxes.iter().all(|amount| *amount >= 0));
            prop_assert_eq!(line.taxes.iter().sum::<i64>(), line.tax);
        }
    }

    #[test]
    fn no_input_panics(quantity in "[0-9.e+-]{0,14}", price in any::<i64>(), rate in "[0-9.]{0,12}") {
        if let (Ok(quantity), Ok(price), Ok(rate)) = (quantity.parse(), Amount::try_from(price), rate.parse()) {
            let taxes = vec![Tax { id: Uuid::nil(), name: String::new(), rate, inclusive: true }];
            let _ = calculate(&[LineTerms { quantity, unit_price: price.get(), discount: None, taxes }], None, Rounding::Document);
        }
    }
}
