//! One row a measure: ours, the peer's, how many times better, and what was expected.

use serde_json::json;

/// What a figure is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Mebibytes,
    Megabytes,
    RecordsPerSecond,
    ReadingsPerSecond,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Megabytes => "MB",
            Self::RecordsPerSecond => "records/s",
            Self::ReadingsPerSecond => "readings/s",
        }
    }

    fn is_rate(self) -> bool {
        matches!(self, Self::RecordsPerSecond | Self::ReadingsPerSecond)
    }

    /// Of a rate, more is better.
    fn ratio(self, ours: f64, peer: f64) -> f64 {
        if self.is_rate() { ours / peer } else { peer / ours }
    }

    fn show(self, figure: f64) -> String {
        let digits = if figure < 100.0 { 1 } else { 0 };
        match self.is_rate() {
            true if figure >= 1e6 => format!("{:.2} M {}", figure / 1e6, self.name()),
            true => format!("{:.0} k {}", figure / 1e3, self.name()),
            false => format!("{figure:.digits$} {}", self.name()),
        }
    }
}

/// One measure.
#[derive(Debug)]
pub(super) struct Row {
    measure: &'static str,
    unit: Unit,
    ours: Option<f64>,
    peer: f64,
    expected: &'static str,
}

impl Row {
    pub(super) fn new(
        measure: &'static str,
        unit: Unit,
        ours: Option<f64>,
        peer: f64,
        expected: &'static str,
    ) -> Self {
        Self { measure, unit, ours, peer, expected }
    }

    fn ratio(&self) -> Option<f64> {
        self.ours.map(|ours| self.unit.ratio(ours, self.peer))
    }

    fn cells(&self) -> [String; 5] {
        let ratio = self.ratio().map(|r| if r < 10.0 { format!("{r:.1}x") } else { format!("{r:.0}x") });
        [
            self.measure.to_owned(),
            self.ours.map_or_else(String::new, |figure| self.unit.show(figure)),
            self.unit.show(self.peer),
            ratio.unwrap_or_default(),
            self.expected.to_owned(),
        ]
    }
}

/// A Markdown table, aligned for the terminal.
pub(super) fn text(rows: &[Row]) -> String {
    let head = ["measure", "ours", "Python", "ratio", "expected"].map(str::to_owned);
    let cells: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let widths: Vec<usize> =
        (0..5).map(|c| cells.iter().map(|row| row[c].len()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 5]| {
        let padded: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("| {} |", padded.join(" | "))
    };
    let rule =
        format!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
    let mut lines: Vec<_> = cells.iter().map(line).collect();
    lines.insert(1, rule);
    lines.join("\n")
}

/// The same for a program.
pub(super) fn json(rows: &[Row]) -> String {
    let row = |r: &Row| {
        json!({
            "measure": r.measure, "unit": r.unit.name(), "ours": r.ours, "peer": r.peer,
            "ratio": r.ratio(), "expected": r.expected,
        })
    };
    format!("{:#}", rows.iter().map(row).collect::<serde_json::Value>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_time_is_better_and_more_records_are() {
        let rows = [
            Row::new("start", Unit::Milliseconds, Some(2.0), 200.0, ">= 70x"),
            Row::new("decode", Unit::RecordsPerSecond, Some(1.2e6), 1e5, ">= 10x"),
            Row::new("zip", Unit::Megabytes, None, 14.0, ""),
        ];
        let shown = text(&rows);
        assert_eq!(
            shown.lines().collect::<Vec<_>>(),
            [
                "| measure | ours             | Python          | ratio | expected |",
                "|---------|------------------|-----------------|-------|----------|",
                "| start   | 2.0 ms           | 200 ms          | 100x  | >= 70x   |",
                "| decode  | 1.20 M records/s | 100 k records/s | 12x   | >= 10x   |",
                "| zip     |                  | 14.0 MB         |       |          |",
            ]
        );
    }
}
