//! Bytes to readings: the only place where a record's content is looked at.

use crate::config::{Input, Origin};
use crate::fields::{Fields, Found, display_name};
use crate::position::Position;
use crate::reading::{Reading, SeriesId};
use crate::records::{Decoded, Records};
use crate::reject::{Reject, quote};
use crate::time::Timestamp;
use crate::wire::RejectV1;

/// How records become readings: the `[input]` section, compiled.
#[derive(Clone, Debug)]
pub struct Decoder {
    series: Origin,
    has_time: bool,
    feature_names: Vec<String>,
    names: Vec<String>,
    fields: Fields,
    record_bytes_max: usize,
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
        let series = input.series_origin();
        let mut pointers: Vec<&str> = Vec::new();
        if let Origin::Field(pointer) = &series {
            pointers.push(pointer);
        }
        pointers.extend(input.time.as_deref());
        pointers.extend(input.features.iter().map(String::as_str));
        if input.features.is_empty() {
            return Err("input.features: empty; name at least one field that holds a number".to_owned());
        }
        let fields = Fields::new(pointers.iter().copied())
            .map_err(|p| format!("input: {p:?} is no JSON pointer; write \"/{p}\""))?;
        Ok(Decoder {
            has_time: input.time.is_some(),
            feature_names: input.features.iter().map(|f| display_name(f)).collect(),
            names: pointers.iter().map(|p| display_name(p)).collect(),
            fields,
            series,
            record_bytes_max: input.record_bytes_max,
        })
    }

    /// The features' names, in order.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The names of the fields that are read, one per slot, with what each is read for.
    pub fn slots(&self) -> impl Iterator<Item = (Role, &str)> {
        let series = matches!(self.series, Origin::Field(_)).then_some(Role::Series);
        let time = self.has_time.then_some(Role::Time);
        let features = self.feature_names.iter().map(|_| Role::Feature);
        series.into_iter().chain(time).chain(features).zip(self.names.iter().map(String::as_str))
    }

    /// Decodes the record `bytes` at `position` into `records`, as one more record: every reading it holds, and
    /// whatever of it is at fault.
    pub fn record(&self, bytes: &[u8], position: &Position, records: &mut Records) {
        self.part(bytes, position, records);
        records.end_record();
    }

    /// Decodes a part of the record that is being decoded, where a source's record holds several of a
    /// producer's (Kinesis' aggregated records). What it holds is numbered from `position.sub`. Gives back the
    /// number behind the last one, for the next part; the caller ends the record.
    pub fn part(&self, bytes: &[u8], position: &Position, records: &mut Records) -> u32 {
        records.add(match self.json(bytes, position.clone()) {
            Ok(reading) => Decoded::Reading(reading),
            Err(reject) => Decoded::Rejected(Box::new(RejectV1::new(reject, position, bytes))),
        });
        position.sub.saturating_add(1)
    }

    /// A record of JSON: one object per reading.
    ///
    /// # Errors
    /// A [`Reject`] naming the first thing wrong with the record.
    pub fn json(&self, record: &[u8], position: Position) -> Result<Reading, Reject> {
        self.check_size(record.len())?;
        let found = self.fields.pick(record).map_err(|detail| malformed(record, detail))?;
        self.reading(&found, position)
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
            self.slots().zip(cells).map(|((role, _), cell)| understand(role, cell)).collect();
        self.reading(&found, position)
    }

    /// # Errors
    /// [`Reject::TooLarge`] if a record of `bytes` is over the limit.
    pub fn check_size(&self, bytes: usize) -> Result<(), Reject> {
        if bytes > self.record_bytes_max {
            return Err(Reject::TooLarge { bytes: bytes as u64, limit: self.record_bytes_max as u64 });
        }
        Ok(())
    }

    fn reading(&self, found: &[Found<'_>], position: Position) -> Result<Reading, Reject> {
        let mut slots = found.iter().zip(&self.names);
        let series = match &self.series {
            Origin::Constant(series) => series.clone(),
            Origin::Field(_) => slots.next().map_or_else(|| Err(missing("series")), series_of)?,
        };
        let at = match self.has_time {
            true => slots.next().map_or_else(|| Err(missing("time")), time_of)?,
            false => position.arrived,
        };
        let features = slots.map(number_of).collect::<Result<Vec<f64>, Reject>>()?;
        Ok(Reading { series, at, features, filled: Vec::new(), position })
    }
}

fn missing(field: &str) -> Reject {
    Reject::Missing { field: field.to_owned() }
}

fn understand(role: Role, cell: Option<&str>) -> Found<'_> {
    match (role, cell.map(str::trim)) {
        (_, None | Some("")) => Found::Absent,
        (Role::Feature, Some(text)) => text.parse().map_or_else(|_| Found::Text(text.into()), Found::Number),
        (Role::Series | Role::Time, Some(text)) => Found::Text(text.into()),
    }
}

fn series_of((found, name): (&Found<'_>, &String)) -> Result<SeriesId, Reject> {
    match found {
        Found::Text(text) => SeriesId::new(text),
        Found::Number(number) => SeriesId::new(&number.to_string()),
        Found::Absent | Found::Null => Err(missing(name)),
        Found::Other(what) => Err(Reject::Series { why: format!("is {what}") }),
    }
}

fn time_of((found, name): (&Found<'_>, &String)) -> Result<Timestamp, Reject> {
    let unread = |found: String| Reject::Time { found };
    match found {
        Found::Text(text) => Timestamp::parse(text).ok_or_else(|| unread(quote(text))),
        Found::Number(number) => Timestamp::from_epoch(*number).ok_or_else(|| unread(number.to_string())),
        Found::Absent | Found::Null => Err(missing(name)),
        Found::Other(what) => Err(unread((*what).to_owned())),
    }
}

fn number_of((found, name): (&Found<'_>, &String)) -> Result<f64, Reject> {
    let field = || name.clone();
    match found {
        Found::Number(number) if number.is_finite() => Ok(*number),
        Found::Number(_) => Err(Reject::NotFinite { field: field() }),
        Found::Text(text) if text.parse::<f64>().is_ok_and(|n| !n.is_finite()) => {
            Err(Reject::NotFinite { field: field() })
        }
        Found::Text(text) => Err(Reject::NotANumber { field: field(), found: quote(text) }),
        Found::Other(what) => Err(Reject::NotANumber { field: field(), found: (*what).to_owned() }),
        Found::Absent | Found::Null => Err(missing(name)),
    }
}

/// Python, JavaScript and others write `NaN` and `Infinity` bare, which is not JSON. Saying so helps more
/// than the parser's word.
fn malformed(record: &[u8], detail: String) -> Reject {
    let holds = |token: &[u8]| record.windows(token.len()).any(|w| w == token);
    if std::str::from_utf8(record).is_ok() && (holds(b":NaN") || holds(b": NaN") || holds(b"Infinity")) {
        return Reject::NotFinite { field: "a field (bare NaN or Infinity, which is not JSON)".to_owned() };
    }
    Reject::Json { detail }
}

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
            partition: "p".to_owned(),
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
        check(
            r#"{"id":"x","ts":0,"a":NaN,"deep":{"b":2}}"#,
            expect!["not-finite: a field (bare NaN or Infinity, which is not JSON) is not a finite number"],
        );
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
