//! Which column is what, where nobody said: time and series by well-known names, features by their numbers.

use anomaly_core::config::Input;
use anomaly_core::fields::{display_name, pointer};
use anomaly_core::time::Timestamp;

/// Names of time columns, the surest first; compared without case.
const TIME_NAMES: [&str; 11] = [
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "datetime",
    "date_time",
    "event_time",
    "eventtime",
    "time_stamp",
    "_time",
    "date",
];

/// Names of columns that tell series apart. Only what can hardly be anything else: `id` and `name` often
/// number the rows.
const SERIES_NAMES: [&str; 14] = [
    "series",
    "series_id",
    "device",
    "device_id",
    "host",
    "hostname",
    "server",
    "instance",
    "instance_id",
    "machine",
    "machine_id",
    "sensor",
    "sensor_id",
    "metric",
];

/// Names under which data sets keep the answers; a detector must not see them.
const LABEL_NAMES: [&str; 6] = ["label", "labels", "anomaly", "is_anomaly", "anomaly_label", "changepoint"];

/// A column, with what stands in its first cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    numbers: usize,
    times: usize,
    others: usize,
}

/// What one cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Empty,
    Number,
    Time,
    Other,
}

impl Kind {
    pub(crate) fn of(cell: &str) -> Kind {
        match cell.trim() {
            "" => Kind::Empty,
            text if text.parse::<f64>().is_ok() => Kind::Number,
            text if Timestamp::parse(text).is_some() => Kind::Time,
            _ => Kind::Other,
        }
    }
}

impl Column {
    pub(crate) fn new(name: &str) -> Self {
        Column { name: name.to_owned(), ..Column::default() }
    }

    pub(crate) fn saw(&mut self, kind: Kind) {
        match kind {
            Kind::Empty => {}
            Kind::Number => self.numbers += 1,
            Kind::Time => self.times += 1,
            Kind::Other => self.others += 1,
        }
    }

    fn is_named(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    fn holds_numbers(&self) -> bool {
        self.numbers > 0 && self.numbers >= self.others + self.times
    }

    fn holds_times(&self) -> bool {
        self.times > self.numbers + self.others
    }

    /// Whether a time can be read from it: times, or epoch numbers.
    fn can_be_time(&self) -> bool {
        self.times + self.numbers > self.others
    }
}

/// The input with everything named, and what was decided on the way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) input: Input,
    pub(crate) notes: Vec<String>,
}

/// Fills in what `input` leaves open from `columns`; `stem` is the series' name where no column tells.
///
/// # Errors
/// What is missing, with what there is.
pub(crate) fn choose(input: &Input, columns: &[Column], stem: &str) -> Result<Chosen, String> {
    let mut chosen = Chosen { input: input.clone(), notes: Vec::new() };
    let wanted: Vec<String> = input.features.iter().map(|f| display_name(f)).collect();
    let mut free: Vec<&Column> = columns.iter().filter(|c| !wanted.contains(&c.name)).collect();
    if input.time.is_none()
        && let Some(time) = time_among(&free)
    {
        chosen.input.time = Some(pointer(&time.name));
    }
    free.retain(|c| chosen.input.time.as_deref().map(display_name).as_deref() != Some(&c.name));
    if input.series.is_empty() {
        let named = SERIES_NAMES.iter().find_map(|name| free.iter().find(|c| c.is_named(&[name])));
        chosen.input.series = named.map_or_else(|| stem.to_owned(), |c| pointer(&c.name));
    }
    free.retain(|c| pointer(&c.name) != chosen.input.series);
    if input.features.is_empty() {
        chosen.features(&free, columns)?;
    }
    Ok(chosen)
}

fn time_among<'c>(free: &[&'c Column]) -> Option<&'c Column> {
    let named = |sure: bool| {
        TIME_NAMES
            .iter()
            .find_map(|name| free.iter().find(|c| c.is_named(&[name]) && (!sure || c.can_be_time())))
    };
    named(true).or_else(|| named(false)).or_else(|| free.iter().find(|c| c.holds_times())).copied()
}

impl Chosen {
    fn features(&mut self, free: &[&Column], all: &[Column]) -> Result<(), String> {
        let is_index = |c: &Column| c.name.trim().is_empty() || c.name.starts_with("Unnamed:");
        let mut left_out = Vec::new();
        for column in free {
            if column.is_named(&LABEL_NAMES) {
                left_out.push(format!("{} (labels, by its name)", column.name));
            } else if is_index(column) {
                left_out.push("a column without a name".to_owned());
            } else if column.holds_numbers() {
                self.input.features.push(pointer(&column.name));
            } else {
                left_out.push(format!("{} (no numbers)", column.name));
            }
        }
        if self.input.features.is_empty() {
            return Err(format!("no column holds numbers; there are: {}", names(all)));
        }
        if !left_out.is_empty() {
            self.notes.push(format!("left out: {}", left_out.join(", ")));
        }
        Ok(())
    }
}

/// The names of `columns` for people.
pub(crate) fn names(columns: &[Column]) -> String {
    let shown: Vec<&str> = columns.iter().take(30).map(|c| c.name.as_str()).collect();
    let more = columns.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// What to say of `wanted`, which is no `kind` (a column, a field) of `columns`.
pub(crate) fn missing(kind: &str, wanted: &str, columns: &[Column]) -> String {
    let distance = |c: &&Column| strsim::damerau_levenshtein(&c.name.to_lowercase(), &wanted.to_lowercase());
    match columns.iter().min_by_key(distance) {
        Some(near) if distance(&near) <= 1 + wanted.len() / 2 => {
            format!("no {kind} {wanted:?} (the nearest is {:?})", near.name)
        }
        _ => format!("no {kind} {wanted:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn columns(header: &str, rows: &[&str]) -> Vec<Column> {
        let mut columns: Vec<Column> = header.split(',').map(Column::new).collect();
        for row in rows {
            columns.iter_mut().zip(row.split(',')).for_each(|(c, cell)| c.saw(Kind::of(cell)));
        }
        columns
    }

    fn check(header: &str, rows: &[&str], expected: Expect) {
        let shown = match choose(&Input::default(), &columns(header, rows), "stem") {
            Ok(Chosen { input, notes }) => {
                let time = input.time.as_deref().unwrap_or("none");
                format!("{time} {} {}; {}", input.series, input.features.join(" "), notes.join("; "))
            }
            Err(problem) => problem,
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn chooses_by_name_and_content() {
        check("timestamp,value", &["2014-01-01 00:00:00,1"], expect!["/timestamp stem /value; "]);
        check("b,TS,Host,a", &["1,1400000000,web-1,2"], expect!["/TS /Host /b /a; "]);
        check(
            "date,time,x",
            &["2014-01-01,10:00:00,1"],
            expect!["/date stem /x; left out: time (no numbers)"],
        );
        check(
            "when,x,id,note,is_anomaly,",
            &["2014-01-01T00:00:00Z,1,2,hm,0,7"],
            expect![
                "/when stem /x /id; left out: note (no numbers), is_anomaly (labels, by its name), a column without a name"
            ],
        );
        check("timestamp,x", &["01/02/2014 10:00,1"], expect!["/timestamp stem /x; "]);
        check("x,y", &["1,", "N/A,2", "3,4"], expect!["none stem /x /y; "]);
        check("a,b", &["x,y"], expect!["no column holds numbers; there are: a, b"]);
    }

    #[test]
    fn what_was_said_stays() {
        let input =
            Input { features: vec!["/timestamp".to_owned()], series: "s".to_owned(), ..Input::default() };
        let chosen = choose(&input, &columns("timestamp,ts,host", &["1,2,3"]), "stem").expect("complete");
        assert_eq!(chosen.input.time.as_deref(), Some("/ts"));
        assert_eq!((chosen.input.series.as_str(), chosen.input.features.len()), ("s", 1));
    }

    #[test]
    fn the_nearest_is_named() {
        let columns = columns("latency_ms,requests", &[]);
        assert_eq!(
            missing("column", "Latency", &columns),
            "no column \"Latency\" (the nearest is \"latency_ms\")"
        );
        assert_eq!(missing("field", "zzz", &columns), "no field \"zzz\"");
    }
}
