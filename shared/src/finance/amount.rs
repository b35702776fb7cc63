//! The numbers of money: amounts in minor units, and decimals that arrive as text because JSON's numbers are floats.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// The largest amount, in minor units: a hundred billion of a currency with cents. Far below where JSON's numbers lose
/// their last digit (2⁵³), and small enough that every intermediate product is exact in 28 digits.
pub const MAX_AMOUNT: i64 = 9_999_999_999_999;

/// An amount in the currency's minor unit, from 0 to [`MAX_AMOUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Amount(i64);

/// An amount in the currency's minor unit, from 1 to [`MAX_AMOUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct PositiveAmount(i64);

macro_rules! amount {
    ($name:ident, $least:literal, $refusal:literal) => {
        impl $name {
            /// The amount in minor units.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = &'static str;

            fn try_from(minor: i64) -> Result<Self, Self::Error> {
                if ($least..=MAX_AMOUNT).contains(&minor) { Ok(Self(minor)) } else { Err($refusal) }
            }
        }

        impl ComposeSchema for $name {
            fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
                i64::compose(generics)
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                i64::name()
            }
        }
    };
}

amount!(Amount, 0, "invalid_amount: An amount is a whole number of minor units from 0 to 9999999999999.");
amount!(
    PositiveAmount,
    1,
    "invalid_amount: An amount is a whole number of minor units from 1 to 9999999999999."
);

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, $accepts:expr, $refusal:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Decimal);

        impl $name {
            /// The number.
            #[must_use]
            pub const fn get(self) -> Decimal {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let accepts: fn(Decimal) -> bool = $accepts;
                decimal(text).filter(|number| accepts(*number)).map(Self).ok_or($refusal)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(DecimalText)?.parse().map_err(de::Error::custom)
            }
        }

        impl ComposeSchema for $name {
            fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
                String::compose(generics)
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                String::name()
            }
        }
    };
}

decimal! {
    /// How many or how much: a positive decimal with at most nine digits before and six after the point.
    Quantity, |number| !number.is_zero(),
    "invalid_quantity: A quantity is a positive decimal as text, like \"2.5\", with at most six places."
}
decimal! {
    /// A count of what is there, which may be nothing.
    Stock, |_| true,
    "invalid_stock: A stock is a decimal as text, like \"12\", with at most six places."
}
decimal! {
    /// A discount in per cent, from 0 to 100.
    Percent, |number| number <= Decimal::ONE_HUNDRED,
    "invalid_percent: A percentage is a decimal from 0 to 100 as text, like \"12.5\", with at most six places."
}
decimal! {
    /// A tax rate in per cent, from 0 to 1000.
    Rate, |number| number <= Decimal::ONE_THOUSAND,
    "invalid_rate: A rate is a decimal from 0 to 1000 as text, like \"19\", with at most six places."
}

/// Digits, and perhaps a point with digits behind it. Signs, exponents and spaces are nobody's habit in documents.
fn decimal(text: &str) -> Option<Decimal> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let fits = |digits: &str, most: usize| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !fits(whole, 9) || !fits(places, 6) {
        return None;
    }
    Decimal::from_str_exact(text).ok().map(|number| number.normalize())
}

/// Takes text, and whole numbers for convenience; a float has already lost what was meant.
struct DecimalText;

impl de::Visitor<'_> for DecimalText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// A discount: an amount or a percentage, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "DiscountFields")]
pub struct Discount {
    /// Minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    /// Per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<Percent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscountFields {
    amount: Option<Amount>,
    percent: Option<Percent>,
}

impl TryFrom<DiscountFields> for Discount {
    type Error = &'static str;

    fn try_from(fields: DiscountFields) -> Result<Self, Self::Error> {
        match fields {
            DiscountFields { amount: Some(_), percent: Some(_) }
            | DiscountFields { amount: None, percent: None } => {
                Err("invalid_discount: Say either amount or percent.")
            }
            DiscountFields { amount, percent } => Ok(Self { amount, percent }),
        }
    }
}

impl Discount {
    /// So many minor units.
    #[must_use]
    pub const fn of_amount(amount: Amount) -> Self {
        Self { amount: Some(amount), percent: None }
    }

    /// So many per cent.
    #[must_use]
    pub const fn of_percent(percent: Percent) -> Self {
        Self { amount: None, percent: Some(percent) }
    }

    /// The amount in minor units, if it is one.
    #[must_use]
    pub fn amount(self) -> Option<i64> {
        self.amount.map(Amount::get)
    }

    /// The percentage, if it is one.
    #[must_use]
    pub const fn percent(self) -> Option<Percent> {
        self.percent
    }
}
