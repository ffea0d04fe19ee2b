//! Decimals as plugins and manifests write them: base 10, no exponent, no `+`.

use rust_decimal::Decimal;

/// Reads `text` as a decimal of at most `precision` digits, `scale` of them behind the point. The result has exactly that scale.
///
/// # Errors
/// Why it does not fit. Zeros in front and behind are not digits that count.
pub(super) fn read(text: &[u8], precision: u8, scale: u8) -> Result<Decimal, String> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(at) if at + 1 < digits.len() => (&digits[..at], &digits[at + 1..]),
        Some(_) => return Err(not_a_decimal(text)),
        None => (digits, &[][..]),
    };
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(not_a_decimal(text));
    }
    let fraction = without_last_zeros(fraction);
    let whole = without_first_zeros(whole);
    if fraction.len() > usize::from(scale) {
        return Err(format!(
            "{} has {} digits behind the point, but the column takes {scale}",
            shown(text),
            fraction.len()
        ));
    }
    if whole.len() > usize::from(precision - scale) {
        let most = precision - scale;
        return Err(format!(
            "{} has {} digits before the point, but the column takes {most}",
            shown(text),
            whole.len()
        ));
    }
    let padding = usize::from(scale) - fraction.len();
    let magnitude = whole.iter().chain(fraction).fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    // At most 18 digits in all, so it fits.
    let magnitude = magnitude * 10_i64.pow(padding as u32);
    Ok(Decimal::new(if negative { -magnitude } else { magnitude }, scale.into()))
}

fn without_last_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    &digits[..end]
}

fn without_first_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    &digits[start..]
}

fn not_a_decimal(text: &[u8]) -> String {
    format!("{} is not a decimal: write digits with at most one point between them, such as -12.340", shown(text))
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(80)]);
    format!("{:?}", text.chars().take(40).collect::<String>())
}
