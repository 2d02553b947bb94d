//! Which column is what, where nobody said: time and series by well-known names, features by their numbers.

use std::collections::BTreeSet;

use anomaly_core::config::Input;
use anomaly_core::decode::decimal::comma_number;
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
    /// How many of the others are numbers with a decimal comma, and of those how many for sure.
    commas: usize,
    sure_commas: usize,
    /// The first of the others, each once, [`TEXTS_MAX`] at most.
    texts: BTreeSet<String>,
    first_text: Option<String>,
}

/// How many different texts of a column are remembered.
const TEXTS_MAX: usize = 50;
/// How much of a text is shown, in characters.
const TEXT_CHARS_MAX: usize = 40;

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

    /// Takes in a cell, or a field, that holds `text`.
    pub(crate) fn saw(&mut self, kind: Kind, text: &str) {
        match kind {
            Kind::Empty => {}
            Kind::Number => self.numbers += 1,
            Kind::Time => self.times += 1,
            Kind::Other => self.saw_text(text.trim()),
        }
    }

    fn saw_text(&mut self, text: &str) {
        self.others += 1;
        if let Some(read) = comma_number(text).filter(|_| text.contains(',')) {
            self.commas += 1;
            self.sure_commas += usize::from(read.is_sure);
        }
        let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
        self.first_text.get_or_insert_with(|| text.clone());
        if self.texts.len() < TEXTS_MAX {
            self.texts.insert(text);
        }
    }

    /// Takes what is a number with a decimal comma for a number.
    pub(crate) fn with_commas(mut self) -> Self {
        self.others -= self.commas;
        self.numbers += std::mem::take(&mut self.commas);
        self
    }

    /// What a number with a decimal comma looks like in it: where all such cells are, and whether that is sure.
    pub(crate) fn comma(&self) -> Option<(&str, bool)> {
        let are_all = self.commas > 0 && self.commas == self.others;
        self.first_text.as_deref().filter(|_| are_all).map(|text| (text, self.sure_commas > 0))
    }

    /// The first text in it, if it holds nothing from which a time can be read.
    pub(crate) fn no_time(&self) -> Option<&str> {
        self.first_text.as_deref().filter(|_| self.times + self.numbers == 0)
    }

    /// Whether it is a header's cell and the cells below it are of another kind.
    pub(crate) fn is_unlike_its_name(&self) -> bool {
        Kind::of(&self.name) == Kind::Other && self.numbers + self.times > self.others
    }

    /// Whether it says which series a reading is of, by the look of it: texts that come again.
    fn looks_like_series(&self) -> bool {
        self.others > self.numbers + self.times && self.texts.len() > 1 && 2 * self.texts.len() <= self.others
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
        let series = free.iter().filter(|c| c.looks_like_series() && !c.is_named(&LABEL_NAMES));
        let series: Vec<String> = series.map(|c| format!("--series {}", quoted(&c.name))).collect();
        if !self.input.series.starts_with('/') && !series.is_empty() {
            self.notes.push(format!("all rows are one series; {} tells several apart", series.join(" or ")));
        }
        Ok(())
    }
}

/// A word as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if is_plain { name.to_owned() } else { format!("'{name}'") }
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
            columns.iter_mut().zip(row.split(',')).for_each(|(c, cell)| c.saw(Kind::of(cell), cell));
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
    fn a_text_that_comes_again_may_tell_series_apart() {
        let rows = ["1,north,ok,a,5", "2,south,ok,b,6", "3,north,ok,c,7", "4,south,ok,d,8"];
        check(
            "ts,a region,state,note,x",
            &rows,
            expect![
                "/ts stem /x; left out: a region (no numbers), state (no numbers), note (no numbers); all rows are one series; --series 'a region' tells several apart"
            ],
        );
        check(
            "ts,host,region,x",
            &["1,a,n,5", "2,b,s,6", "3,a,n,7", "4,b,s,8"],
            expect!["/ts /host /x; left out: region (no numbers)"],
        );
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
