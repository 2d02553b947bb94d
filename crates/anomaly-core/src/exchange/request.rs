//! Rows as the body of a request.

use std::fmt;
use std::io::Write as _;

use super::media::{self, Media};
use super::recordio;
use super::template::{Part, Template};
use crate::config::{Model, Tensor};

/// The longest a number becomes as text, in bytes: `-2.2250738585072014e-308`. A test tries to beat it.
const NUMBER_BYTES_MAX: usize = 24;

/// Writes rows into request bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    content_type: String,
    form: Form,
    /// How many features a row has, where the form names some of them.
    width: Option<usize>,
    body_bytes_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Text(Template),
    RecordIo(Tensor),
}

/// A row that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The row's index in what was to be written, from 0.
    pub row: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row + 1, self.why)
    }
}

impl std::error::Error for RowError {}

impl Encoder {
    /// What `model` says of requests, for rows of the features of these names.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each, with the key in front.
    pub fn new(model: &Model, features: &[String]) -> Result<Self, Vec<String>> {
        let content_type = model.content_type.clone();
        let form = match (&model.request, Media::of(&content_type)) {
            (Some(request), _) => {
                let template = Template::parse(request, model.request_row.as_deref(), features)?;
                check(&template, &content_type, features.len())?;
                Form::Text(template)
            }
            (None, _) if model.request_row.is_some() => {
                return Err(vec!["model.request_row: needs model.request beside it".to_owned()]);
            }
            (None, Some(Media::Csv)) => Form::Text(Template::csv()),
            (None, Some(Media::Json)) => Form::Text(Template::json()),
            (None, Some(Media::JsonLines)) => Form::Text(Template::json_lines()),
            (None, Some(Media::RecordIo)) => Form::RecordIo(model.tensor),
            (None, None) => {
                return Err(vec![format!(
                    "model.content_type: {content_type:?} is none of {}, {}, {} and {}; another needs model.request, a template of the body",
                    Media::Csv.as_str(),
                    Media::Json.as_str(),
                    Media::JsonLines.as_str(),
                    Media::RecordIo.as_str()
                )]);
            }
        };
        let width = form.names_features().then_some(features.len());
        Ok(Encoder { content_type, form, width, body_bytes_max: model.body_bytes_max })
    }

    /// What the request says its body is.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// How many of `rows`, from the first on, one body takes: as many as stay within the configured limit in
    /// bytes, at least one (a row is never cut), and 0 only if there are none.
    pub fn fit(&self, rows: &[&[f64]]) -> usize {
        if !self.form.takes_many() {
            return rows.len().min(1);
        }
        let most: usize = rows.iter().map(|row| self.row_bytes_max(row.len())).sum();
        if self.form.frame_bytes() + most <= self.body_bytes_max {
            return rows.len();
        }
        let (mut scratch, mut bytes) = (Vec::new(), self.form.frame_bytes());
        let fits = |row: &&&[f64]| {
            scratch.clear();
            self.form.write(row, &mut scratch);
            bytes += scratch.len() + self.form.between().len();
            bytes <= self.body_bytes_max + self.form.between().len()
        };
        rows.iter().take_while(fits).count().max(rows.len().min(1))
    }

    /// The most bytes that a row of `width` numbers becomes in a body, with what parts it from the next.
    pub fn row_bytes_max(&self, width: usize) -> usize {
        self.form.between().len() + self.form.row_bytes_max(width)
    }

    /// The body of a request for `rows`. Text has the shortest decimals that read back to the same 64 bits;
    /// RecordIO has the 64 bits, or, where it is told to hold `float32`, the nearest 32.
    ///
    /// # Errors
    /// The first row that cannot be written: it holds what is no finite number (in 32 bits, if so told), has
    /// another number of features than a template that names some, or is too large for a body by itself.
    pub fn encode(&self, rows: &[&[f64]]) -> Result<Vec<u8>, RowError> {
        let mut body = self.form.head().as_bytes().to_vec();
        for (index, row) in rows.iter().enumerate() {
            self.check(row).map_err(|why| RowError { row: index, why })?;
            if index > 0 {
                body.extend_from_slice(self.form.between().as_bytes());
            }
            self.form.write(row, &mut body);
        }
        body.extend_from_slice(self.form.tail().as_bytes());
        if let [_] = rows
            && body.len() > self.body_bytes_max
        {
            let why = format!("{} bytes as a request; {} are allowed", body.len(), self.body_bytes_max);
            return Err(RowError { row: 0, why });
        }
        Ok(body)
    }

    fn check(&self, row: &[f64]) -> Result<(), String> {
        if let Some(width) = self.width
            && width != row.len()
        {
            return Err(format!("{} values where the template names some of {width} features", row.len()));
        }
        match row.iter().position(|value| !self.form.holds(*value)) {
            Some(index) if row[index].is_finite() => {
                Err(format!("value {}: {:?} is too large for float32", index + 1, row[index]))
            }
            Some(index) => Err(format!("value {}: {} is not finite", index + 1, row[index])),
            None => Ok(()),
        }
    }
}

impl Form {
    fn head(&self) -> &str {
        match self {
            Form::Text(template) => &template.head,
            Form::RecordIo(_) => "",
        }
    }

    fn between(&self) -> &'static str {
        match self {
            Form::Text(template) => template.between,
            Form::RecordIo(_) => "",
        }
    }

    fn tail(&self) -> &str {
        match self {
            Form::Text(template) => &template.tail,
            Form::RecordIo(_) => "",
        }
    }

    fn frame_bytes(&self) -> usize {
        self.head().len() + self.tail().len()
    }

    fn takes_many(&self) -> bool {
        match self {
            Form::Text(template) => template.many,
            Form::RecordIo(_) => true,
        }
    }

    fn names_features(&self) -> bool {
        match self {
            Form::Text(template) => template.row.iter().any(|part| matches!(part, Part::Feature(_))),
            Form::RecordIo(_) => false,
        }
    }

    /// Whether `value` can be told in this form.
    fn holds(&self, value: f64) -> bool {
        match self {
            Form::RecordIo(Tensor::Float32) => (value as f32).is_finite(),
            Form::RecordIo(Tensor::Float64) | Form::Text(_) => value.is_finite(),
        }
    }

    fn row_bytes_max(&self, width: usize) -> usize {
        match self {
            Form::Text(template) => template.row.iter().map(|part| part.bytes_max(width)).sum(),
            Form::RecordIo(tensor) => recordio::row_bytes_max(*tensor, width),
        }
    }

    fn write(&self, row: &[f64], body: &mut Vec<u8>) {
        match self {
            Form::Text(template) => template.row.iter().for_each(|part| part.write(row, body)),
            Form::RecordIo(tensor) => recordio::write_row(*tensor, row, body),
        }
    }
}

impl Part {
    fn bytes_max(&self, width: usize) -> usize {
        match self {
            Part::Text(text) => text.len(),
            Part::Numbers => width * (NUMBER_BYTES_MAX + 1),
            Part::Feature(_) => NUMBER_BYTES_MAX,
        }
    }

    fn write(&self, row: &[f64], body: &mut Vec<u8>) {
        match self {
            Part::Text(text) => body.extend_from_slice(text.as_bytes()),
            Part::Numbers => {
                for (index, number) in row.iter().enumerate() {
                    if index > 0 {
                        body.push(b',');
                    }
                    write_number(*number, body);
                }
            }
            // The width was checked.
            Part::Feature(index) => row.get(*index).iter().for_each(|number| write_number(**number, body)),
        }
    }
}

/// `{:?}` is the shortest decimal that reads back to the same bits, always with a point or an exponent.
fn write_number(number: f64, body: &mut Vec<u8>) {
    // A list of bytes takes whatever is written to it.
    let _ = write!(body, "{number:?}");
}

/// Tries `template` on two rows: what calls itself JSON must be JSON.
fn check(template: &Template, content_type: &str, features: usize) -> Result<(), Vec<String>> {
    let sample = vec![0.5; features.max(1)];
    let rows: &[&[f64]] = if template.many { &[&sample, &sample] } else { &[&sample] };
    let form = Form::Text(template.clone());
    let width = form.names_features().then_some(features);
    let encoder = Encoder { content_type: String::new(), form, width, body_bytes_max: usize::MAX };
    let body = encoder.encode(rows).map_err(|error| vec![format!("model.request: {error}")])?;
    let documents: Vec<&[u8]> = match Media::of(content_type) {
        Some(Media::Csv) if body.starts_with(b"{") || body.starts_with(b"[") => {
            return Err(vec![format!(
                "model.content_type: {content_type}, and model.request looks like JSON; write content_type = \"application/json\""
            )]);
        }
        _ if media::is_json(content_type) => vec![&body],
        Some(Media::JsonLines) => body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect(),
        Some(Media::RecordIo) => {
            return Err(vec!["model.request: a template is text, and RecordIO is not".to_owned()]);
        }
        _ => Vec::new(),
    };
    let wrong = documents.into_iter().find_map(|document| {
        let error = serde_json::from_slice::<serde::de::IgnoredAny>(document).err()?;
        let shown = String::from_utf8_lossy(document).chars().take(120).collect::<String>();
        Some(format!("model.request: makes no JSON, as {content_type} has to be: {error}: {shown}"))
    });
    wrong.map_or(Ok(()), |problem| Err(vec![problem]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    const ROWS: [&[f64]; 3] = [&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]];

    fn features() -> Vec<String> {
        ["cpu".to_owned(), "memory".to_owned()].into()
    }

    fn of(content_type: &str) -> Model {
        Model { content_type: content_type.to_owned(), ..Model::default() }
    }

    fn with(content_type: &str, request: &str, row: Option<&str>) -> Model {
        let request_row = row.map(str::to_owned);
        Model { request: Some(request.to_owned()), request_row, ..of(content_type) }
    }

    fn encoder(model: &Model) -> Encoder {
        Encoder::new(model, &features()).expect("a valid configuration")
    }

    fn text(encoder: &Encoder, rows: &[&[f64]]) -> String {
        String::from_utf8(encoder.encode(rows).expect("finite rows")).expect("text")
    }

    #[test]
    fn bodies_are_those_of_the_developer_guide() {
        for (content_type, expected) in [
            ("text/csv; label_size=0", "1.0,2.0\n3.0,4.0\n5.0,6.0"),
            (
                "application/json",
                r#"{"instances":[{"features":[1.0,2.0]},{"features":[3.0,4.0]},{"features":[5.0,6.0]}]}"#,
            ),
            (
                "application/jsonlines",
                "{\"features\":[1.0,2.0]}\n{\"features\":[3.0,4.0]}\n{\"features\":[5.0,6.0]}",
            ),
        ] {
            let encoder = encoder(&of(content_type));
            assert_eq!(encoder.content_type(), content_type, "as it was written, with its parameters");
            assert_eq!(text(&encoder, &ROWS), expected);
        }
        let record_io = encoder(&of("application/x-recordio-protobuf")).encode(&ROWS).expect("finite rows");
        assert_eq!(recordio::rows(&record_io), Ok(ROWS.map(<[f64]>::to_vec).to_vec()));
    }

    #[test]
    fn templates_are_filled() {
        let rows = &ROWS[..2];
        for (request, row, expected) in [
            (r#"{"inputs": ${rows}}"#, None, r#"{"inputs": [[1.0,2.0],[3.0,4.0]]}"#),
            (
                r#"{"n":[${rows}],"$$":"$5"}"#,
                Some(r#"{"t":${feature.memory},"all":${row}}"#),
                r#"{"n":[[{"t":2.0,"all":[1.0,2.0]},{"t":4.0,"all":[3.0,4.0]}]],"$":"$5"}"#,
            ),
        ] {
            assert_eq!(text(&encoder(&with("application/json", request, row)), rows), expected);
        }
        let lines =
            with("application/x-ndjson", "${lines}\n", Some(r#"{"data":{"features":{"values":${row}}}}"#));
        assert_eq!(
            text(&encoder(&lines), rows),
            "{\"data\":{\"features\":{\"values\":[1.0,2.0]}}}\n{\"data\":{\"features\":{\"values\":[3.0,4.0]}}}\n"
        );
        let csv = with("text/csv", "id,cpu\n${lines}", Some("x,${feature.cpu}"));
        assert_eq!(text(&encoder(&csv), rows), "id,cpu\nx,1.0\nx,3.0");
    }

    #[test]
    fn a_template_of_one_row_takes_one() {
        let encoder = encoder(&with("application/vnd.mine+json", r#"{"cpu": ${feature.cpu}}"#, None));
        assert_eq!((encoder.fit(&ROWS), encoder.fit(&[])), (1, 0));
        assert_eq!(text(&encoder, &ROWS[..1]), r#"{"cpu": 1.0}"#);
    }

    fn problems(model: Model, expected: Expect) {
        expected.assert_eq(&Encoder::new(&model, &features()).expect_err("problems").join("\n"));
    }

    #[test]
    fn what_makes_no_request_is_a_problem() {
        problems(
            of("application/pdf"),
            expect![[
                r#"model.content_type: "application/pdf" is none of text/csv, application/json, application/jsonlines and application/x-recordio-protobuf; another needs model.request, a template of the body"#
            ]],
        );
        problems(
            Model { request_row: Some("${row}".to_owned()), ..of("text/csv") },
            expect!["model.request_row: needs model.request beside it"],
        );
        problems(
            with("application/json", r#"{"inputs": ${rows}"#, None),
            expect![[
                r#"model.request: makes no JSON, as application/json has to be: EOF while parsing an object at line 1 column 32: {"inputs": [[0.5,0.5],[0.5,0.5]]"#
            ]],
        );
        problems(
            with("application/jsonlines", "${rows}\n${rows}", None),
            expect!["model.request: ${rows} is a second place for the rows"],
        );
        problems(
            with("application/jsonlines", "${lines}", Some("x${row}")),
            expect![
                "model.request: makes no JSON, as application/jsonlines has to be: expected value at line 1 column 1: x[0.5,0.5]"
            ],
        );
        problems(
            with("text/csv", r#"{"inputs": ${rows}}"#, None),
            expect![[
                r#"model.content_type: text/csv, and model.request looks like JSON; write content_type = "application/json""#
            ]],
        );
        problems(
            with("application/x-recordio-protobuf", "${lines}", None),
            expect!["model.request: a template is text, and RecordIO is not"],
        );
    }

    #[test]
    fn rows_that_cannot_be_written_are_named() {
        let why =
            |model: &Model, rows: &[&[f64]]| encoder(model).encode(rows).expect_err("no body").to_string();
        let record_io = of("application/x-recordio-protobuf");
        let narrow = Model { tensor: Tensor::Float32, ..record_io.clone() };
        let named = with("application/json", "[${feature.cpu}]", None);
        let small = Model { body_bytes_max: 1024, ..of("text/csv") };
        let long = vec![0.25; 300];
        for (model, rows, expected) in [
            (&of("text/csv"), &[&[1.0][..], &[1.0, f64::NAN]][..], "row 2: value 2: NaN is not finite"),
            (&record_io, &[&[f64::INFINITY]], "row 1: value 1: inf is not finite"),
            (&narrow, &[&[1e39]], "row 1: value 1: 1e39 is too large for float32"),
            (&named, &[&[1.0, 2.0, 3.0]], "row 1: 3 values where the template names some of 2 features"),
            (&small, &[&long], "row 1: 1499 bytes as a request; 1024 are allowed"),
        ] {
            assert_eq!(why(model, rows), expected);
        }
        assert!(encoder(&record_io).encode(&[&[1e39]]).is_ok(), "64 bits hold it");
    }

    #[test]
    fn the_frame_counts_too() {
        // 40 bytes each, with the comma behind; 16 around them.
        let rows = [&[-f64::MIN_POSITIVE][..]; 5];
        let encoder = |body_bytes_max| Encoder { body_bytes_max, ..encoder(&of("application/json")) };
        assert_eq!(encoder(usize::MAX).encode(&rows).map(|body| body.len()), Ok(215));
        assert_eq!((encoder(215).fit(&rows), encoder(214).fit(&rows), encoder(1).fit(&rows)), (5, 4, 1));
    }

    /// Every form, with little room.
    fn small_encoders() -> Vec<Encoder> {
        let models = [
            of("text/csv"),
            of("application/json"),
            of("application/jsonlines"),
            of("application/x-recordio-protobuf"),
            Model { tensor: Tensor::Float32, ..of("application/x-recordio-protobuf") },
            with(
                "application/json",
                r#"{"rows": ${rows}}"#,
                Some(r#"{"all": ${row}, "cpu": ${feature.cpu}}"#),
            ),
            with("application/jsonlines", "${lines}\n", None),
        ];
        models.map(|model| encoder(&Model { body_bytes_max: 1024, ..model })).into()
    }

    proptest! {
        #[test]
        fn bodies_take_what_fits_and_no_row_less(rows in proptest::collection::vec([-1e30..1e30, -1.0..1.0], 1..120)) {
            let rows: Vec<&[f64]> = rows.iter().map(<[f64; 2]>::as_slice).collect();
            for encoder in small_encoders() {
                let count = encoder.fit(&rows);
                prop_assert!((1..=rows.len()).contains(&count));
                let body = encoder.encode(&rows[..count]).expect("finite rows");
                prop_assert!(body.len() <= encoder.body_bytes_max, "{} bytes: {:?}", body.len(), encoder.form);
                prop_assert!(body.len() <= encoder.form.frame_bytes() + count * encoder.row_bytes_max(2));
                if count < rows.len() {
                    let more = encoder.encode(&rows[..=count]).expect("finite rows");
                    prop_assert!(more.len() > encoder.body_bytes_max, "one more fits: {:?}", encoder.form);
                }
            }
        }

        #[test]
        fn numbers_come_back_to_the_bit(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let body = |content_type: &str| encoder(&of(content_type)).encode(&[&[number]]).expect("finite");
            let csv = String::from_utf8(body("text/csv")).expect("text");
            prop_assert!(csv.len() <= NUMBER_BYTES_MAX, "{csv}");
            prop_assert_eq!(csv.parse::<f64>().expect("a number").to_bits(), number.to_bits());
            for (content_type, pointer) in
                [("application/json", "/instances/0/features/0"), ("application/jsonlines", "/features/0")]
            {
                let json: serde_json::Value = serde_json::from_slice(&body(content_type)).expect("JSON");
                let read = json.pointer(pointer).and_then(serde_json::Value::as_f64).expect("a number");
                prop_assert_eq!(read.to_bits(), number.to_bits());
            }
            let read = recordio::rows(&body("application/x-recordio-protobuf")).expect("records");
            prop_assert_eq!(read[0][0].to_bits(), number.to_bits());
        }
    }
}
