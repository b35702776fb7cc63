//! The built-in metric types: unit, accepted units, plausible range, how values of a day make one, LOINC code.
//!
//! Units are spelled as UCUM does (<https://ucum.org/ucum>), beside the spellings that devices and people really send.
//! LOINC codes are those of the HL7 Physical Activity and Vital Signs profiles; a type without a fitting code has none.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the values of a day, week or month make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Aggregation {
    /// They add up: steps.
    Sum,
    /// Their mean counts: a heart rate.
    Avg,
    /// The smallest counts.
    Min,
    /// The largest counts.
    Max,
    /// The latest counts: a weight.
    Last,
    /// How many there were: sessions, for goals and charts; no type aggregates so by itself.
    Count,
}

impl Aggregation {
    /// Every word of it.
    pub const WORDS: &[&str] = &["sum", "avg", "min", "max", "last", "count"];

    /// Reads a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Sum, Self::Avg, Self::Min, Self::Max, Self::Last, Self::Count];
        all.into_iter().find(|known| known.word() == word)
    }

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::Count => "count",
        }
    }
}

/// A unit that a type accepts: canonical = value × factor + offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// How it is spelled.
    pub name: &'static str,
    /// Canonical units in one of it.
    pub factor: f64,
    /// Canonical value of its zero.
    pub offset: f64,
}

/// A kind of measurement.
#[derive(Clone, Copy, Debug)]
pub struct MetricType {
    /// The word in the API.
    pub key: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What values are stored in (UCUM).
    pub unit: &'static str,
    /// Other accepted units.
    pub units: &'static [Unit],
    /// How a day's values make one.
    pub aggregation: Aggregation,
    /// Plausible range of one value, in the canonical unit.
    pub range: (f64, f64),
    /// LOINC code.
    pub loinc: Option<&'static str>,
}

const fn scaled(name: &'static str, factor: f64) -> Unit {
    Unit { name, factor, offset: 0.0 }
}

// The international pound, inch, foot and mile are exact by definition (1959); 1 kcal is the thermochemical one.
const MASS: &[Unit] = &[
    scaled("g", 0.001),
    scaled("lb", 0.453_592_37),
    scaled("lbs", 0.453_592_37),
    scaled("[lb_av]", 0.453_592_37),
    scaled("st", 6.350_293_18),
];
const HEIGHT: &[Unit] =
    &[scaled("m", 100.0), scaled("mm", 0.1), scaled("in", 2.54), scaled("[in_i]", 2.54), scaled("ft", 30.48)];
const WALK: &[Unit] = &[
    scaled("km", 1000.0),
    scaled("mi", 1609.344),
    scaled("[mi_i]", 1609.344),
    scaled("ft", 0.3048),
    scaled("yd", 0.9144),
];
const ENERGY: &[Unit] = &[scaled("cal", 0.001), scaled("kJ", 1.0 / 4.184), scaled("J", 0.001 / 4.184)];
const TIME: &[Unit] =
    &[scaled("s", 1.0 / 60.0), scaled("h", 60.0), scaled("hr", 60.0), scaled("ms", 1.0 / 60_000.0)];
const BEATS: &[Unit] = &[scaled("bpm", 1.0), scaled("{beats}/min", 1.0), scaled("Hz", 60.0)];
const BREATHS: &[Unit] = &[scaled("brpm", 1.0), scaled("{breaths}/min", 1.0)];
const COUNT: &[Unit] =
    &[scaled("1", 1.0), scaled("{count}", 1.0), scaled("steps", 1.0), scaled("{steps}", 1.0)];
const SHARE: &[Unit] = &[scaled("percent", 1.0), scaled("fraction", 100.0)];
const PRESSURE: &[Unit] = &[scaled("mmHg", 1.0), scaled("kPa", 7.500_616_827)];
const WARMTH: &[Unit] = &[
    scaled("C", 1.0),
    scaled("°C", 1.0),
    Unit { name: "F", factor: 5.0 / 9.0, offset: -160.0 / 9.0 },
    Unit { name: "°F", factor: 5.0 / 9.0, offset: -160.0 / 9.0 },
    Unit { name: "[degF]", factor: 5.0 / 9.0, offset: -160.0 / 9.0 },
    Unit { name: "K", factor: 1.0, offset: -273.15 },
];
const DRINK: &[Unit] = &[
    scaled("l", 1000.0),
    scaled("L", 1000.0),
    scaled("ml", 1.0),
    scaled("fl oz", 29.573_529_562_5),
    scaled("[foz_us]", 29.573_529_562_5),
];
// Molar masses: glucose 180.156 g/mol, cholesterol 386.65 g/mol, triglycerides 885.4 g/mol (as laboratories convert).
const GLUCOSE: &[Unit] =
    &[scaled("mg/dL", 1.0 / 18.0156), scaled("mg/dl", 1.0 / 18.0156), scaled("mmol/l", 1.0)];
const CHOLESTEROL: &[Unit] =
    &[scaled("mg/dL", 1.0 / 38.665), scaled("mg/dl", 1.0 / 38.665), scaled("mmol/l", 1.0)];
const LIPID: &[Unit] = &[scaled("mg/dL", 1.0 / 88.54), scaled("mg/dl", 1.0 / 88.54), scaled("mmol/l", 1.0)];
const UPTAKE: &[Unit] = &[scaled("ml/kg/min", 1.0), scaled("mL/min/kg", 1.0), scaled("ml/min/kg", 1.0)];
const GRAMS: &[Unit] = &[scaled("mg", 0.001), scaled("kg", 1000.0), scaled("oz", 28.349_523_125)];
const SCORE: &[Unit] = &[scaled("1", 1.0), scaled("score", 1.0), scaled("points", 1.0)];
const BODY_MASS_INDEX: &[Unit] = &[scaled("kg/m^2", 1.0), scaled("kg/m²", 1.0)];
const SPEED: &[Unit] = &[scaled("km/h", 1.0 / 3.6), scaled("mph", 0.447_04)];
const POWER: &[Unit] = &[scaled("kW", 1000.0)];
const SPREAD: &[Unit] = &[scaled("s", 1000.0)];

macro_rules! types {
    ($($key:literal, $title:literal, $unit:literal, $units:ident, $agg:ident, $min:literal..$max:literal, $loinc:expr;)*) => {
        /// Every built-in type, by key.
        pub const BUILT_IN: &[MetricType] = &[$(MetricType {
            key: $key, title: $title, unit: $unit, units: $units, aggregation: Aggregation::$agg, range: ($min, $max),
            loinc: $loinc,
        },)*];
    };
}

types! {
    "activeEnergy", "Active energy", "kcal", ENERGY, Sum, 0.0..20_000.0, Some("41981-2");
    "activeMinutes", "Active minutes", "min", TIME, Sum, 0.0..1_500.0, Some("55411-3");
    "bloodGlucose", "Blood glucose", "mmol/L", GLUCOSE, Avg, 0.5..60.0, Some("15074-8");
    "bloodPressureDiastolic", "Diastolic blood pressure", "mm[Hg]", PRESSURE, Avg, 20.0..200.0, Some("8462-4");
    "bloodPressureSystolic", "Systolic blood pressure", "mm[Hg]", PRESSURE, Avg, 40.0..300.0, Some("8480-6");
    "bmi", "Body mass index", "kg/m2", BODY_MASS_INDEX, Last, 5.0..120.0, Some("39156-5");
    "bodyFat", "Body fat", "%", SHARE, Last, 1.0..80.0, Some("41982-0");
    "bodyTemperature", "Body temperature", "Cel", WARMTH, Avg, 25.0..45.0, Some("8310-5");
    "caloriesIn", "Energy eaten", "kcal", ENERGY, Sum, 0.0..20_000.0, None;
    "carbohydrates", "Carbohydrates eaten", "g", GRAMS, Sum, 0.0..5_000.0, None;
    "cholesterolTotal", "Total cholesterol", "mmol/L", CHOLESTEROL, Last, 0.5..30.0, None;
    "cyclingDistance", "Distance cycled", "m", WALK, Sum, 0.0..1_000_000.0, None;
    "distance", "Distance walked and run", "m", WALK, Sum, 0.0..500_000.0, Some("41953-1");
    "energy", "How energetic somebody feels, 1 to 10", "{score}", SCORE, Avg, 1.0..10.0, None;
    "fat", "Fat eaten", "g", GRAMS, Sum, 0.0..5_000.0, None;
    "floorsClimbed", "Floors climbed", "count", COUNT, Sum, 0.0..2_000.0, None;
    "heartRate", "Heart rate", "/min", BEATS, Avg, 20.0..300.0, Some("8867-4");
    "heartRateVariability", "Heart rate variability (SDNN)", "ms", SPREAD, Avg, 0.0..500.0, Some("80404-7");
    "height", "Height", "cm", HEIGHT, Last, 30.0..260.0, Some("8302-2");
    "hipCircumference", "Hip circumference", "cm", HEIGHT, Last, 30.0..300.0, None;
    "leanMass", "Lean body mass", "kg", MASS, Last, 5.0..250.0, Some("91557-9");
    "mood", "Mood, 1 to 10", "{score}", SCORE, Avg, 1.0..10.0, None;
    "muscleMass", "Muscle mass", "kg", MASS, Last, 1.0..200.0, None;
    "oxygenSaturation", "Oxygen saturation", "%", SHARE, Avg, 40.0..100.0, Some("59408-5");
    "pain", "Pain, 0 to 10", "{score}", SCORE, Avg, 0.0..10.0, Some("72514-3");
    "power", "Power", "W", POWER, Avg, 0.0..3_000.0, None;
    "protein", "Protein eaten", "g", GRAMS, Sum, 0.0..5_000.0, None;
    "respiratoryRate", "Respiratory rate", "/min", BREATHS, Avg, 2.0..100.0, Some("9279-1");
    "restingHeartRate", "Resting heart rate", "/min", BEATS, Avg, 20.0..200.0, Some("40443-4");
    "sleepDuration", "Sleep", "min", TIME, Sum, 0.0..1_500.0, Some("93832-4");
    "speed", "Speed", "m/s", SPEED, Avg, 0.0..60.0, None;
    "steps", "Steps", "count", COUNT, Sum, 0.0..200_000.0, Some("41950-7");
    "stress", "Stress, 1 to 10", "{score}", SCORE, Avg, 1.0..10.0, None;
    "swimmingDistance", "Distance swum", "m", WALK, Sum, 0.0..100_000.0, None;
    "triglycerides", "Triglycerides", "mmol/L", LIPID, Last, 0.1..60.0, None;
    "vo2Max", "VO₂ max", "mL/kg/min", UPTAKE, Last, 5.0..100.0, Some("60842-2");
    "waistCircumference", "Waist circumference", "cm", HEIGHT, Last, 30.0..300.0, Some("8280-0");
    "waterIntake", "Water drunk", "mL", DRINK, Sum, 0.0..20_000.0, None;
    "weight", "Weight", "kg", MASS, Last, 1.0..650.0, Some("29463-7");
    "workoutDuration", "Workout", "min", TIME, Sum, 0.0..1_500.0, None;
}

/// The built-in type of a key.
#[must_use]
pub(super) fn built_in(key: &str) -> Option<&'static MetricType> {
    let place = BUILT_IN.binary_search_by(|known| known.key.cmp(key)).ok()?;
    BUILT_IN.get(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_says_what_profiles_ask_for() {
        assert!(BUILT_IN.is_sorted_by(|a, b| a.key < b.key) && BUILT_IN.len() >= 25);
        let steps = built_in("steps").unwrap();
        assert_eq!((steps.aggregation, steps.loinc), (Aggregation::Sum, Some("41950-7")));
        let resting = built_in("restingHeartRate").unwrap();
        assert_eq!((resting.aggregation, resting.loinc), (Aggregation::Avg, Some("40443-4")));
        assert!(built_in("Steps").is_none());
        for known in BUILT_IN {
            assert!(known.range.0 < known.range.1, "{}", known.key);
            assert!(
                known.units.iter().all(|unit| unit.name != known.unit && unit.factor > 0.0),
                "{}",
                known.key
            );
        }
    }

    proptest! {
        #[test]
        fn every_unit_converts_there_and_back(place in 0..BUILT_IN.len(), share in 0.0..=1.0_f64) {
            let known = &BUILT_IN[place];
            let canonical = known.range.0 + share * (known.range.1 - known.range.0);
            for unit in known.units {
                let given = (canonical - unit.offset) / unit.factor;
                let back = given * unit.factor + unit.offset;
                prop_assert!((back - canonical).abs() <= 1e-9 * canonical.abs().max(1.0), "{} {}", known.key, unit.name);
            }
        }
    }
}
