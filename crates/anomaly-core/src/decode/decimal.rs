//! Numbers as people write them where a comma parts the decimals: `3,5`, `1.234,5`.

/// A number with a decimal comma.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommaNumber {
    /// It.
    pub number: f64,
    /// Whether it is a number in no other way: `1,234` may be a thousand with a comma in it.
    pub is_sure: bool,
}

/// The number that `text` is with a decimal comma, with points between its thousands or none; `None` if it is none.
/// Without a comma it is one only if points stand between its thousands, and then it is not sure.
pub fn comma_number(text: &str) -> Option<CommaNumber> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (whole, decimals) = match digits.split_once(',') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (digits, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (groups, has_groups) = (thousands(whole)?, whole.contains('.'));
    if !decimals.map_or(has_groups, is_digits) {
        return None;
    }
    let number = format!("{sign}{groups}.{}", decimals.unwrap_or("0")).parse().ok()?;
    let may_be_thousands = decimals.is_some_and(|decimals| decimals.len() == 3 && whole.len() <= 3);
    Some(CommaNumber { number, is_sure: decimals.is_some() && (has_groups || !may_be_thousands) })
}

/// The digits of a whole number, without the points between its thousands.
fn thousands(whole: &str) -> Option<String> {
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fits = rest.is_empty() || first.len() <= 3 && rest.iter().all(|group| group.len() == 3);
    let all = !first.is_empty() && is_digits(first) && rest.iter().all(|group| is_digits(group));
    (fits && all).then(|| rest.iter().fold(first.to_owned(), |digits, group| digits + group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_commas_are_told_from_thousands() {
        let read = |text: &str| comma_number(text).map(|read| (read.number, read.is_sure));
        for (text, number) in [("3,5", 3.5), (" -0,25 ", -0.25), ("+1,2345", 1.2345), ("1234,567", 1234.567)]
        {
            assert_eq!(read(text), Some((number, true)), "{text}");
        }
        assert_eq!(read("1.234.567,5"), Some((1_234_567.5, true)));
        assert_eq!(read("1.234,567"), Some((1_234.567, true)));
        assert_eq!((read("1,234"), read("1.234")), (Some((1.234, false)), Some((1_234.0, false))));
        for text in
            ["", ",", "3,", ",5", "1,2,3", "1,234.5", "12", "1.5", "1.2345,6", "a,b", "3,5e3", "1..2,3"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
