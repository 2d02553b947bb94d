//! Bytes to readings: the only place where a record's content is looked at.
//!
//! A record is expanded (Base64, gzip, zstd: `expand`), its form is told, and its readings are taken one by one
//! (JSON: `documents`, CSV: `rows`), each a reading or a reject of its own.

pub mod decimal;
mod documents;
pub mod drift;
mod expand;
mod rows;
pub(crate) mod scan;
mod taking;

use crate::config::{Fill, Format, Input, Origin};
use crate::fields::{Fields, Found, display_name};
use crate::position::Position;
use crate::reading::{Filled, Filling, Gap, Reading, SeriesId};
use crate::records::Records;
use crate::reject::{Reject, quote};
use crate::time::Timestamp;

pub use rows::delimiter;
use scan::Scanner;
use taking::Taking;

/// How records become readings: the `[input]` section, compiled.
#[derive(Clone, Debug)]
pub struct Decoder {
    input: Input,
    series: Origin,
    feature_names: Vec<String>,
    names: Vec<String>,
    fields: Fields,
    /// Whether fields are named by position.
    by_position: bool,
    /// Whether a CSV record's first row names its columns.
    has_header: bool,
}

/// What a slot is read for; it decides how a CSV cell is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The name of the series: text, or a whole number.
    Series,
    /// The event's time.
    Time,
    /// A feature: a number.
    Feature,
}

impl Decoder {
    /// Compiles `input`, which was validated and names its features.
    ///
    /// # Errors
    /// A sentence for each field that cannot be used.
    pub fn new(input: &Input) -> Result<Self, String> {
        if input.features.is_empty() {
            return Err("input.features: empty; name at least one field that holds a number".to_owned());
        }
        let fields = Fields::new(input.pointers())
            .map_err(|p| format!("input: {p:?} is no JSON pointer; write \"/{p}\""))?;
        let by_position = input.is_by_position();
        Ok(Decoder {
            series: input.series_origin(),
            feature_names: input.features.iter().map(|f| display_name(f)).collect(),
            names: input.pointers().map(display_name).collect(),
            fields,
            by_position,
            has_header: input.header.unwrap_or(!by_position),
            input: input.clone(),
        })
    }

    /// The most readings that are taken from one record.
    pub fn readings_max(&self) -> usize {
        self.input.readings_max
    }

    /// The features' names, in order.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The names of the fields that are read, one per slot, with what each is read for.
    pub fn slots(&self) -> impl Iterator<Item = (Role, &str)> {
        let series = matches!(self.series, Origin::Field(_)).then_some(Role::Series);
        let time = self.input.time.as_ref().map(|_| Role::Time);
        let features = self.feature_names.iter().map(|_| Role::Feature);
        series.into_iter().chain(time).chain(features).zip(self.names.iter().map(String::as_str))
    }

    /// Decodes the record `bytes` at `position` into `records`, as one more record: every reading it holds, and
    /// whatever of it is at fault, numbered from `position.sub`. One at fault leaves its neighbours alone.
    ///
    /// It never fails and never panics. What it takes of memory, apart from what it adds to `records`, is less
    /// than 256 KiB and five times the text's bytes, where the text is the record, or what it expands to, of
    /// which no more than `expanded_bytes_max` is made. It adds at most `readings_max` and one entries, each of
    /// fewer than 1 KiB and its own features or bytes, and its position's. A test counts.
    pub fn record(&self, bytes: &[u8], position: &Position, records: &mut Records) {
        self.part(bytes, position, records);
        records.end_record();
    }

    /// Decodes a part of the record that is being decoded, where a source's record holds several of a
    /// producer's (Kinesis' aggregated records). What it holds is numbered from `position.sub`. Gives back the
    /// number behind the last one, for the next part; the caller ends the record.
    pub fn part(&self, bytes: &[u8], position: &Position, records: &mut Records) -> u32 {
        let mut taking = Taking::new(self, position, records);
        if let Err(reject) = self.check_size(bytes.len()) {
            taking.take(Err(reject), bytes);
        } else if expand::is_plain(&self.input, bytes) {
            documents::read(bytes, &mut taking);
        } else {
            match expand::expand(&self.input, bytes) {
                Ok(text) => self.text(&text, &mut taking),
                Err(reject) => taking.take(Err(reject), bytes),
            }
        }
        taking.sub()
    }

    /// Takes the readings of a text whose form is still to be told.
    fn text(&self, text: &[u8], taking: &mut Taking<'_, '_>) {
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        match (self.input.format, first) {
            (Format::Csv, _) => rows::read(text, taking),
            (Format::Auto, Some(b'{' | b'[') | None) | (Format::Json, _) => documents::read(text, taking),
            (Format::Auto, Some(_)) if rows::is_csv(self, text) => rows::read(text, taking),
            (Format::Auto, Some(_)) => {
                let start = quote(&String::from_utf8_lossy(text.get(..40).unwrap_or(text)));
                let detail = format!("neither JSON nor CSV that names a field: it begins {start}");
                taking.take(Err(Reject::Json { detail }), text);
            }
        }
    }

    /// A record of JSON that is one reading: an object, as a line of a file is one.
    ///
    /// # Errors
    /// A [`Reject`] naming the first thing wrong with the record.
    pub fn json(&self, record: &[u8], position: Position) -> Result<Reading, Reject> {
        self.check_size(record.len())?;
        let mut scanner = Scanner::new(record, documents::limits(&self.input));
        let mut found = vec![Found::Absent; self.fields.len()];
        match self.fields.pick_next(&mut scanner, &mut found).and_then(|()| scanner.end()) {
            Ok(()) => self.reading(&found, position),
            Err(bad) => Err(documents::reject(bad, &scanner, &self.input)),
        }
    }

    /// A row of cells in slot order, as [`Decoder::slots`] lists them; `None` where the row has no such cell.
    ///
    /// # Errors
    /// A [`Reject`] naming the first thing wrong with the row.
    pub fn cells<'c>(
        &self,
        cells: impl Iterator<Item = Option<&'c str>>,
        position: Position,
    ) -> Result<Reading, Reject> {
        let found: Vec<Found<'_>> =
            self.slots().zip(cells).map(|((role, _), cell)| self.understand(role, cell)).collect();
        self.reading(&found, position)
    }

    /// # Errors
    /// [`Reject::TooLarge`] if a record of `bytes` is over the limit.
    pub fn check_size(&self, bytes: usize) -> Result<(), Reject> {
        let limit = self.input.record_bytes_max;
        if bytes > limit {
            return Err(Reject::TooLarge { bytes: bytes as u64, limit: limit as u64 });
        }
        Ok(())
    }

    fn reading(&self, found: &[Found<'_>], position: Position) -> Result<Reading, Reject> {
        let mut slots = found.iter().zip(&self.names);
        let series = match &self.series {
            Origin::Constant(series) => series.clone(),
            Origin::Field(_) => slots.next().map_or_else(|| Err(missing("series")), series_of)?,
        };
        let at = match self.input.time {
            Some(_) => slots.next().map_or_else(|| Err(missing("time")), |slot| self.time(slot))?,
            None => position.arrived,
        };
        let (mut features, mut filled) = (Vec::with_capacity(self.feature_names.len()), Vec::new());
        for (found, name) in slots {
            features.push(match self.number(found, name)? {
                Number::Given(number) => number,
                Number::Gap(gap) => {
                    let (number, with) = self.fill(gap, name)?;
                    filled.push(Filled { feature: features.len() as u32, gap, with });
                    number
                }
            });
        }
        Ok(Reading { series, at, features, filled, position })
    }

    /// What a cell of a CSV holds.
    fn understand<'c>(&self, role: Role, cell: Option<&'c str>) -> Found<'c> {
        match (role, cell.map(str::trim)) {
            (_, None) => Found::Absent,
            (_, Some("")) => Found::Null,
            (Role::Feature, Some(text)) => {
                self.in_cell(text).map_or_else(|| Found::Text(text.into()), Found::Number)
            }
            (Role::Series | Role::Time, Some(text)) => Found::Text(text.into()),
        }
    }

    fn in_cell(&self, text: &str) -> Option<f64> {
        let with_comma = || decimal::comma_number(text).map(|read| read.number);
        let comma = if self.input.decimal_comma { with_comma() } else { None };
        comma.or_else(|| text.parse().ok())
    }

    fn time(&self, (found, name): (&Found<'_>, &String)) -> Result<Timestamp, Reject> {
        let unread = |found: String| Reject::Time { found };
        let unit = self.input.time_unit;
        match found {
            Found::Text(text) => Timestamp::parse_in(text, unit).ok_or_else(|| unread(quote(text))),
            Found::Number(number) => {
                Timestamp::from_epoch_in(*number, unit).ok_or_else(|| unread(number.to_string()))
            }
            Found::Absent | Found::Beyond(_) | Found::Null => Err(missing(name)),
            Found::Other(what) => Err(unread((*what).to_owned())),
        }
    }

    fn number(&self, found: &Found<'_>, name: &str) -> Result<Number, Reject> {
        Ok(match found {
            Found::Number(number) if number.is_finite() => Number::Given(*number),
            Found::Number(_) => Number::Gap(Gap::NotFinite),
            Found::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if !number.is_finite() => Number::Gap(Gap::NotFinite),
                Ok(number) if self.input.text_numbers => Number::Given(number),
                _ => return Err(Reject::NotANumber { field: name.to_owned(), found: quote(text) }),
            },
            Found::Other(what) => {
                return Err(Reject::NotANumber { field: name.to_owned(), found: (*what).to_owned() });
            }
            Found::Absent => Number::Gap(Gap::Missing),
            Found::Beyond(_) => Number::Gap(Gap::Width),
            Found::Null => Number::Gap(Gap::Null),
        })
    }

    /// What stands in the place of the feature `name`.
    fn fill(&self, gap: Gap, name: &str) -> Result<(f64, Filling), Reject> {
        let fill = match gap {
            Gap::Missing => self.input.missing,
            Gap::Null => self.input.null,
            Gap::NotFinite => self.input.not_finite,
            Gap::Width => self.input.width,
        };
        match (fill, gap) {
            (Fill::Constant(number), _) => Ok((number, Filling::Constant)),
            (Fill::Previous, _) => Ok((0.0, Filling::Previous)),
            (Fill::Reject, gap) => Err(gap.reject(name)),
        }
    }
}

/// Byte order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A feature, as the record has it.
enum Number {
    Given(f64),
    Gap(Gap),
}

fn missing(field: &str) -> Reject {
    Reject::Missing { field: field.to_owned() }
}

/// The first number whose neighbour 64 bits cannot hold, 2⁵³.
const SERIES_NUMBER_MAX: f64 = 9_007_199_254_740_992.0;

fn series_of((found, name): (&Found<'_>, &String)) -> Result<SeriesId, Reject> {
    match found {
        Found::Text(text) => SeriesId::new(text),
        // Beyond that, different numbers read as the same one.
        Found::Number(number) if number.abs() >= SERIES_NUMBER_MAX => {
            Err(Reject::Series { why: "is a number of more than 15 digits; write it as text".to_owned() })
        }
        Found::Number(number) => SeriesId::new(&number.to_string()),
        Found::Absent | Found::Beyond(_) | Found::Null => Err(missing(name)),
        Found::Other(what) => Err(Reject::Series { why: format!("is {what}") }),
    }
}

#[cfg(test)]
mod forms;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Sequence;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn decoder(series: &str) -> Decoder {
        let input = Input {
            series: series.to_owned(),
            time: Some("/ts".to_owned()),
            features: vec!["/a".to_owned(), "/deep/b".to_owned()],
            record_bytes_max: 200,
            ..Input::default()
        };
        Decoder::new(&input).expect("valid input")
    }

    fn position() -> Position {
        Position {
            partition: "p".into(),
            sequence: Sequence::from(1),
            sub: 0,
            arrived: Timestamp::from_ms(0).expect("in range"),
        }
    }

    fn check(record: &str, expected: Expect) {
        let shown = match decoder("/id").json(record.as_bytes(), position()) {
            Ok(r) => format!("{} {} {:?}", r.series, r.at, r.features),
            Err(reject) => format!("{}: {reject}", reject.as_str()),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn json_records() {
        check(
            r#"{"id":"x","ts":"2026-01-01T00:00:00Z","a":1,"deep":{"b":-2.5e3},"more":[{}]}"#,
            expect!["x 2026-01-01T00:00:00Z [1.0, -2500.0]"],
        );
        check(
            r#"{"id":7,"ts":1400000000,"a":1,"deep":{"b":2}}"#,
            expect!["7 2014-05-13T16:53:20Z [1.0, 2.0]"],
        );
        check(r#"{"id":"x","ts":0,"a":1}"#, expect!["missing: deep/b is missing"]);
        check(r#"{"id":"x","ts":0,"a":null,"deep":{"b":2}}"#, expect!["missing: a is missing"]);
        check(
            r#"{"id":"x","ts":0,"a":"12 C","deep":{"b":2}}"#,
            expect![[r#"not-a-number: a is not a number: "12 C""#]],
        );
        check(
            r#"{"id":"x","ts":0,"a":"NaN","deep":{"b":2}}"#,
            expect!["not-finite: a is not a finite number"],
        );
        check(r#"{"id":"x","ts":0,"a":NaN,"deep":{"b":2}}"#, expect!["not-finite: a is not a finite number"]);
        check(r#"{"id":"x","ts":"soon","a":1,"deep":{"b":2}}"#, expect![[r#"time: not a time: "soon""#]]);
        check(r#"{"id":"","ts":0,"a":1,"deep":{"b":2}}"#, expect!["series: the name of the series is empty"]);
        check(
            r#"{"id":["x"],"ts":0,"a":1,"deep":{"b":2}}"#,
            expect!["series: the name of the series is an array"],
        );
        check(r#"[1,2,3]"#, expect!["missing: id is missing"]);
        check(
            &format!("{{\"id\":\"{}\"}}", "x".repeat(300)),
            expect!["too-large: 309 bytes, more than the limit of 200"],
        );
        assert!(matches!(decoder("/id").json(b"{\"id\":", position()), Err(Reject::Json { .. })));
        assert!(matches!(decoder("/id").json(&[0xff, 0xfe], position()), Err(Reject::Json { .. })));
    }

    #[test]
    fn cells_keep_names_as_text_and_read_numbers() {
        let row = [Some("007"), Some("1400000000"), Some(" 1e3 "), Some("-0.5")];
        let reading = decoder("/id").cells(row.into_iter(), position()).expect("a good row");
        assert_eq!((reading.series.as_str(), reading.features), ("007", vec![1000.0, -0.5]));
        let short = decoder("/id").cells([Some("x"), Some("0"), Some("")].into_iter(), position());
        assert_eq!(short, Err(Reject::Missing { field: "a".to_owned() }));
    }

    #[test]
    fn a_constant_names_the_one_series() {
        let reading = decoder("web").json(br#"{"ts":0,"a":1,"deep":{"b":2}}"#, position());
        assert_eq!(reading.expect("a reading").series.as_str(), "web");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reading_or_a_reject(record in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decoder("/id").json(&record, position());
        }

        #[test]
        fn any_features_come_back_to_the_bit(a in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            let record = format!(r#"{{"id":"x","ts":0,"a":{a:?},"deep":{{"b":0}}}}"#);
            let reading = decoder("/id").json(record.as_bytes(), position());
            if record.len() <= 200 {
                prop_assert_eq!(reading.expect("a reading").features[0].to_bits(), a.to_bits());
            }
        }
    }
}
