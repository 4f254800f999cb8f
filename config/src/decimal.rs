//! A number as a person writes it before a unit, read without floating point: `1.5` of a GiB is exact.

/// A non-negative decimal number: `digits / 10^places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    places: u32,
}

/// Why a number was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalError {
    /// There is no number where one should be.
    Missing,
    /// The number is larger than can be held.
    TooLarge,
}

impl Decimal {
    /// Takes the number at the start of `text`; returns it and the rest of the text.
    pub(crate) fn split(text: &str) -> Result<(Decimal, &str), DecimalError> {
        let (whole, rest) = split_digits(text);
        if whole.is_empty() {
            return Err(DecimalError::Missing);
        }
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after_point) => split_digits(after_point),
            None => ("0", rest),
        };
        if fraction.is_empty() {
            return Err(DecimalError::Missing);
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = whole
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0u128, |number, digit| number.checked_mul(10)?.checked_add(u128::from(digit - b'0')));
        let digits = digits.ok_or(DecimalError::TooLarge)?;
        // A fraction that fits has fewer than 40 digits unless it starts with zeros; those are worth nothing.
        let places = u32::try_from(fraction.len()).map_err(|_| DecimalError::TooLarge)?;
        Ok((Decimal { digits, places }, rest))
    }

    /// The number times `unit`, rounded down to a whole number.
    pub(crate) fn times(self, unit: u64) -> Result<u64, DecimalError> {
        let scaled = self.digits.checked_mul(u128::from(unit)).ok_or(DecimalError::TooLarge)?;
        let whole = 10u128.checked_pow(self.places).map_or(0, |divisor| scaled / divisor);
        u64::try_from(whole).map_err(|_| DecimalError::TooLarge)
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_split_from_what_follows_and_scaled_exactly() {
        let scaled = |text: &str, unit| Decimal::split(text).and_then(|(number, _)| number.times(unit));
        assert_eq!(Decimal::split("12 MB").map(|(_, rest)| rest), Ok(" MB"));
        assert_eq!(scaled("1.5", 1 << 30), Ok(3 << 29));
        assert_eq!(scaled("0.1", 1024), Ok(102));
        assert_eq!(scaled("18446744073709551615", 1), Ok(u64::MAX));
        assert_eq!(scaled("18446744073709551616", 1), Err(DecimalError::TooLarge));
        assert_eq!(scaled(&"9".repeat(60), 1), Err(DecimalError::TooLarge));
        assert_eq!(scaled(&format!("0.{}1", "0".repeat(60)), 1 << 20), Ok(0));
        for text in ["", ".5", "5.", "-1", "x"] {
            assert_eq!(Decimal::split(text).map(|_| ()), Err(DecimalError::Missing), "{text}");
        }
    }
}
