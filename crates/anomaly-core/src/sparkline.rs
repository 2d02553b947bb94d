//! A few readings as a line of bars.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar per value, oldest first, the lowest value lowest. All equal: a flat low line. Empty for none.
pub fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    let (low, high) = values
        .clone()
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    // Halves: the span of the largest numbers is past the numbers.
    let span = high / 2.0 - low / 2.0;
    let bar = |v: f64| {
        let share = if span > 0.0 && span.is_finite() { (v / 2.0 - low / 2.0) / span } else { 0.0 };
        BARS[((share * 7.0).round().clamp(0.0, 7.0)) as usize]
    };
    values.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws() {
        assert_eq!(sparkline([0.0, 1.0, 2.0, 3.5, 7.0].into_iter()), "▁▂▃▅█");
        assert_eq!(sparkline([5.0, 5.0].into_iter()), "▁▁");
        assert_eq!(sparkline([-1e308, 0.0, 1e308].into_iter()), "▁▅█", "a span past the numbers too");
        assert_eq!(sparkline(std::iter::empty()), "");
    }
}
