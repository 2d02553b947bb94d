//! Scores from the body of an answer: one a row, finite, higher is stranger, or none at all.

use std::fmt;

use super::media::Media;
use super::pointer::{Miss, Pointer};
use super::{BODY_BYTES_MAX, recordio};
use crate::config::{Direction, Model};

/// How much of a body an error quotes, in bytes to each side of where it is wrong.
const QUOTED_BYTES: usize = 40;

/// How far outside its declared scale a score may lie, as a share of the scale: a softmax in 32 bits does not
/// add up to one exactly.
const SCALE_SLACK: f64 = 1e-6;

/// Reads scores from answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    form: Form,
    accept: String,
    direction: Direction,
    scale: Option<[f64; 2]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// Random Cut Forest's, in each of its media types.
    Rcf,
    /// Numbers with newlines or commas between them.
    Csv,
    /// JSON, or JSON lines, with the scores where the pointer leads.
    Pointer(Pointer),
}

/// Whose fault it is that there are no scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The model has no score for this row (from 0): asked without it, it may answer for the others.
    Row(usize),
    /// The answer is not what the configuration says it is, whatever the rows.
    Answer,
}

/// An answer that does not hold one finite score for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerError {
    /// Whose fault it is.
    pub blame: Blame,
    /// What is wrong, with the row's number, from 1, where there is one.
    pub why: String,
    /// The bytes around the place, or the first ones, as printable text.
    pub quote: String,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the answer has \"{}\"", self.why, self.quote)
    }
}

impl std::error::Error for AnswerError {}

impl Reader {
    /// What `model` says of answers.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each, with the key in front.
    pub fn new(model: &Model) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let form = match model.response.as_str() {
            "rcf" => Some(Form::Rcf),
            "csv" => Some(Form::Csv),
            pointer if pointer.starts_with('/') => {
                let parsed =
                    Pointer::parse(pointer).map_err(|e| problems.push(format!("model.response: {e}")));
                parsed.ok().map(Form::Pointer)
            }
            other => {
                problems.push(format!(
                    "model.response: {other:?} is neither \"rcf\" nor \"csv\" nor a JSON pointer such as \"/predictions/*/score\""
                ));
                None
            }
        };
        let default = if form == Some(Form::Csv) { Media::Csv } else { Media::Json };
        let accept = model.accept.clone().unwrap_or_else(|| default.as_str().to_owned());
        if form == Some(Form::Rcf) && matches!(Media::of(&accept), None | Some(Media::Csv)) {
            problems.push(format!(
                "model.accept: {accept:?} is none of {}, {} and {}, in which response = \"rcf\" answers",
                Media::Json.as_str(),
                Media::JsonLines.as_str(),
                Media::RecordIo.as_str()
            ));
        }
        if let Some([low, high]) = model.scale
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            problems.push(format!("model.scale: [{low}, {high}] is not two rising numbers"));
        }
        match form {
            Some(form) if problems.is_empty() => {
                Ok(Reader { form, accept, direction: model.direction, scale: model.scale })
            }
            _ => Err(problems),
        }
    }

    /// What the request says it accepts.
    pub fn accept(&self) -> &str {
        &self.accept
    }

    /// The scores of the `rows` rows that were asked for, in order, each finite, higher is stranger.
    ///
    /// `content_type` is what the answer says its body is; where it says nothing known, it is what was accepted.
    /// Scores of which lower ones are stranger are mirrored at the middle of their scale, or at 0 where none is
    /// declared: `low + high - score`, or `-score`.
    ///
    /// # Errors
    /// [`AnswerError`]: the body is too large, is not what it should be, or does not hold exactly `rows`
    /// finite scores within their scale.
    pub fn read(
        &self,
        content_type: Option<&str>,
        body: &[u8],
        rows: usize,
    ) -> Result<Vec<f64>, AnswerError> {
        if body.len() > BODY_BYTES_MAX {
            let why = format!("{} bytes; {BODY_BYTES_MAX} are allowed", body.len());
            return Err(wrong(why, body, 0));
        }
        let said = content_type.and_then(Media::of).or_else(|| Media::of(&self.accept));
        let mut scores = match (&self.form, said) {
            (Form::Csv, _) => csv(body)?,
            (Form::Rcf, Some(Media::RecordIo)) => records(body)?,
            (Form::Rcf, Some(Media::Csv)) => {
                return Err(wrong("text/csv, which Random Cut Forest does not answer".to_owned(), body, 0));
            }
            (Form::Rcf, Some(Media::JsonLines)) => lines(body, &Pointer::of(&["score"]))?,
            (Form::Rcf, _) => json(body, &Pointer::of(&["scores", "*", "score"]))?,
            (Form::Pointer(pointer), Some(Media::JsonLines)) => lines(body, pointer)?,
            (Form::Pointer(pointer), _) => json(body, pointer)?,
        };
        if scores.len() != rows {
            return Err(wrong(format!("{} scores for {rows} rows", scores.len()), body, 0));
        }
        for (row, score) in scores.iter_mut().enumerate() {
            *score = self.turn(*score).map_err(|why| of_row(row, &why, body, 0))?;
        }
        Ok(scores)
    }

    /// Higher is stranger.
    fn turn(&self, score: f64) -> Result<f64, String> {
        if !score.is_finite() {
            return Err(format!("the score is {score}"));
        }
        if let Some([low, high]) = self.scale {
            let slack = (high - low) * SCALE_SLACK;
            if !(low - slack..=high + slack).contains(&score) {
                return Err(format!("the score is {score:?}, and model.scale is {low:?} to {high:?}"));
            }
        }
        match (self.direction, self.scale) {
            (Direction::HigherIsAnomalous, _) => Ok(score),
            (Direction::LowerIsAnomalous, Some([low, high])) => Ok(low + high - score),
            // Not `-score`, which would make -0.0 of 0.0.
            (Direction::LowerIsAnomalous, None) => Ok(0.0 - score),
        }
    }
}

/// `{"scores":[{"score":0.02},{"score":0.25}]}` and other documents.
fn json(body: &[u8], pointer: &Pointer) -> Result<Vec<f64>, AnswerError> {
    let mut scores = Vec::new();
    match pointer.pick(body, &mut scores) {
        Ok(()) => Ok(scores),
        Err(miss) => Err(missed(&miss, scores.len(), body)),
    }
}

/// A document a line; the developer guide's example has a comma after the first line, and a comma is forgiven
/// after any. Empty lines are no lines.
fn lines(body: &[u8], pointer: &Pointer) -> Result<Vec<f64>, AnswerError> {
    let mut scores = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        let line = line.strip_suffix(b",").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        pointer.pick(line, &mut scores).map_err(|miss| missed(&miss, scores.len(), line))?;
    }
    Ok(scores)
}

/// What stands in `part` of a body instead of the score of the row at `row`.
fn missed(miss: &Miss, row: usize, part: &[u8]) -> AnswerError {
    let at = offset(part, &miss.error);
    if miss.is_null {
        return of_row(row, "the score is no finite number (null, or what Python writes for NaN)", part, at);
    }
    match miss.error.is_data() {
        true => wrong(format!("row {}: {}", row + 1, miss.error), part, at),
        false => wrong(format!("no JSON, {row} scores in: {}", miss.error), part, at),
    }
}

/// Where in `part` the parser stopped.
fn offset(part: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        part.split(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(|l| l.len() + 1).sum();
    (before + error.column()).min(part.len())
}

/// One score a line, or one line of scores; a cell may stand in quotes.
fn csv(body: &[u8]) -> Result<Vec<f64>, AnswerError> {
    let text = std::str::from_utf8(body).map_err(|e| {
        wrong(format!("no CSV: byte {} belongs to no character", e.valid_up_to() + 1), body, e.valid_up_to())
    })?;
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut scores = Vec::new();
    let is_one_line = !text.contains('\n');
    for line in text.lines() {
        let line = line.trim();
        let cells = if is_one_line { line.strip_suffix(',').unwrap_or(line) } else { line };
        for cell in cells.split(',') {
            let place = cell.as_ptr() as usize - text.as_ptr() as usize;
            let bare = cell.trim().trim_matches('"');
            let score = match bare {
                "" => Err(of_row(scores.len(), "the score is missing", body, place)),
                _ => bare
                    .parse()
                    .map_err(|_| wrong(format!("row {}: no number", scores.len() + 1), body, place)),
            };
            scores.push(score?);
        }
        if !is_one_line && cells.contains(',') {
            let why =
                format!("row {}: several numbers on a line; one score a line was expected", scores.len());
            return Err(wrong(why, line.as_bytes(), 0));
        }
    }
    Ok(scores)
}

fn records(body: &[u8]) -> Result<Vec<f64>, AnswerError> {
    recordio::scores(body).map_err(|error| wrong(error.to_string(), body, error.offset))
}

fn wrong(why: String, body: &[u8], at: usize) -> AnswerError {
    AnswerError { blame: Blame::Answer, why, quote: quote(body, at) }
}

fn of_row(row: usize, why: &str, body: &[u8], at: usize) -> AnswerError {
    AnswerError { blame: Blame::Row(row), why: format!("row {}: {why}", row + 1), quote: quote(body, at) }
}

/// The bytes around `at`, with what cannot be printed escaped.
fn quote(body: &[u8], at: usize) -> String {
    let start = at.min(body.len()).saturating_sub(QUOTED_BYTES);
    let end = (start + 2 * QUOTED_BYTES).min(body.len());
    let shown = body.get(start..end).unwrap_or_default();
    let (before, behind) = (if start > 0 { "…" } else { "" }, if end < body.len() { "…" } else { "" });
    format!("{before}{}{behind}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn reader(response: &str) -> Reader {
        reader_of(Model { response: response.to_owned(), ..Model::default() })
    }

    fn reader_of(model: Model) -> Reader {
        Reader::new(&model).expect("a valid configuration")
    }

    const JSON: Option<&str> = Some("application/json");
    const LINES: Option<&str> = Some("application/jsonlines");
    const RECORD_IO: Option<&str> = Some("application/x-recordio-protobuf");

    fn record_io(scores: &[f64]) -> Vec<u8> {
        let mut body = Vec::new();
        scores.iter().for_each(|score| recordio::write_score(*score, &mut body));
        body
    }

    #[test]
    fn random_cut_forest_answers_in_three_ways() {
        let rcf = reader("rcf");
        assert_eq!(rcf.accept(), "application/json");
        for (content_type, body) in [
            (JSON, &br#"{"scores":[{"score":0.25},{"score":0.5}]}"#[..]),
            (
                Some("application/json; charset=utf-8"),
                br#" {"scores": [ {"score": 25e-2, "id": 1},{"score":0.5}] } "#,
            ),
            // As printed in the developer guide, with a comma after the first line.
            (LINES, b"{\"score\": 0.25},\n{\"score\": 0.5}\n"),
            (LINES, b"{\"score\":0.25}\r\n\r\n{\"score\":0.5}"),
            (RECORD_IO, &record_io(&[0.25, 0.5])),
        ] {
            assert_eq!(rcf.read(content_type, body, 2), Ok(vec![0.25, 0.5]), "{content_type:?}");
        }
    }

    #[test]
    fn where_the_answer_does_not_say_what_it_is_it_is_what_was_accepted() {
        let lines = reader_of(Model { accept: Some("application/jsonlines".to_owned()), ..Model::default() });
        assert_eq!(lines.accept(), "application/jsonlines");
        for content_type in [None, Some(""), Some("text/html"), Some("application/octet-stream")] {
            assert_eq!(lines.read(content_type, br#"{"score":1}"#, 1), Ok(vec![1.0]), "{content_type:?}");
        }
        assert_eq!(lines.read(JSON, br#"{"scores":[{"score":1}]}"#, 1), Ok(vec![1.0]), "it said so");
    }

    #[test]
    fn other_containers_answer_in_csv_and_json_of_their_own() {
        assert_eq!(reader("csv").accept(), "text/csv");
        assert_eq!(reader("/*").accept(), "application/json");
        for (response, content_type, body) in [
            ("csv", Some("text/csv"), "0.25\n0.5\n"),
            ("csv", Some("text/html; charset=utf-8"), "0.25\r\n\"5e-1\"\r\n"),
            ("csv", None, " 0.25, 0.5,"),
            ("/predictions/*/score", JSON, r#"{"predictions":[{"score":0.25},{"score":0.5}]}"#),
            ("/outputs/0/data/*", Some("text/plain"), r#"{"outputs":[{"data":[0.25,0.5]}]}"#),
            ("/*/0", JSON, "[[0.25],[0.5]]"),
            ("/result/score", LINES, "{\"result\":{\"score\":0.25}},\n{\"result\":{\"score\":0.5}}"),
        ] {
            assert_eq!(
                reader(response).read(content_type, body.as_bytes(), 2),
                Ok(vec![0.25, 0.5]),
                "{response} {body}"
            );
        }
        assert_eq!(reader("csv").read(None, b"0.5", 1), Ok(vec![0.5]));
    }

    #[test]
    fn an_answer_that_is_not_one_finite_score_a_row_is_none() {
        let (cut, infinite) = (&record_io(&[0.5, 0.5])[..30], record_io(&[0.5, 1e300]));
        let told = [
            ("rcf", JSON, &br#"{"scores":[{"score":1}]}"#[..]),
            ("rcf", JSON, br#"{"scores":[{"score":1},{"score":2},{"score":3}]}"#),
            ("rcf", JSON, br#"{"scores":[{"score":1},{"score":null}]}"#),
            ("rcf", JSON, br#"{"scores":[{"score":1},{"score":NaN}]}"#),
            ("rcf", JSON, br#"{"scores":[{"score":1},{"sc\u00f6re":2}]}"#),
            ("rcf", JSON, br#"{"scores":[{"score":1},{"score":"2"}]}"#),
            ("rcf", JSON, b""),
            ("rcf", JSON, b"<html>\n<b>502 Bad Gateway</b>\x00\n</html>"),
            ("rcf", Some("text/csv"), b"1\n2"),
            ("rcf", LINES, b"{\"score\":1}\n{\"score\":2}}"),
            ("rcf", LINES, b"{\"score\":1}\n{\"scores\":2}"),
            ("rcf", LINES, b"{\"score\":1},,\n{\"score\":2}"),
            ("rcf", RECORD_IO, cut),
            ("rcf", RECORD_IO, &infinite),
            ("csv", None, b"score\n1\n2"),
            ("csv", None, b"1\n\n2"),
            ("csv", None, b"1,2\n3,4"),
            ("csv", None, b"1\nnan"),
            ("csv", None, b"1\n\xff"),
            ("csv", None, b""),
            ("/*", JSON, b"[1e999, 2]"),
        ]
        .map(|(response, content_type, body)| {
            let error = reader(response).read(content_type, body, 2).expect_err("no scores");
            format!("{:?}: {error}\n", error.blame)
        });
        expect![[r#"
            Answer: 1 scores for 2 rows; the answer has "{\"scores\":[{\"score\":1}]}"
            Answer: 3 scores for 2 rows; the answer has "{\"scores\":[{\"score\":1},{\"score\":2},{\"score\":3}]}"
            Row(1): row 2: the score is no finite number (null, or what Python writes for NaN); the answer has "{\"scores\":[{\"score\":1},{\"score\":null}]}"
            Row(1): row 2: the score is no finite number (null, or what Python writes for NaN); the answer has "{\"scores\":[{\"score\":1},{\"score\":NaN}]}"
            Answer: row 2: no "score" at line 1 column 39; the answer has "{\"scores\":[{\"score\":1},{\"sc\\u00f6re\":2}]}"
            Answer: row 2: invalid type: string "2", expected a score at line 1 column 35; the answer has "{\"scores\":[{\"score\":1},{\"score\":\"2\"}]}"
            Answer: no JSON, 0 scores in: EOF while parsing a value at line 1 column 0; the answer has ""
            Answer: no JSON, 0 scores in: expected value at line 1 column 1; the answer has "<html>\n<b>502 Bad Gateway</b>\x00\n</html>"
            Answer: text/csv, which Random Cut Forest does not answer; the answer has "1\n2"
            Answer: no JSON, 2 scores in: trailing characters at line 1 column 12; the answer has "{\"score\":2}}"
            Answer: row 2: no "score" at line 1 column 12; the answer has "{\"scores\":2}"
            Answer: no JSON, 1 scores in: trailing characters at line 1 column 12; the answer has "{\"score\":1},"
            Answer: record 2 (at byte 28): cut short: 2 bytes where 8 begin a record; the answer has "\n#\xd7\xce\x13\x00\x00\x00\x12\x11\n\x05score\x12\x08\x12\x06\n\x04\x00\x00\x00?\x00\n#"
            Row(1): row 2: the score is inf; the answer has "\n#\xd7\xce\x13\x00\x00\x00\x12\x11\n\x05score\x12\x08\x12\x06\n\x04\x00\x00\x00?\x00\n#\xd7\xce\x13\x00\x00\x00\x12\x11\n\x05score\x12\x08\x12\x06\n\x04\x00\x00\x80\x7f\x00"
            Answer: row 1: no number; the answer has "score\n1\n2"
            Row(1): row 2: the score is missing; the answer has "1\n\n2"
            Answer: row 2: several numbers on a line; one score a line was expected; the answer has "1,2"
            Row(1): row 2: the score is NaN; the answer has "1\nnan"
            Answer: no CSV: byte 3 belongs to no character; the answer has "1\n\xff"
            Answer: 0 scores for 2 rows; the answer has ""
            Answer: no JSON, 0 scores in: number out of range at line 1 column 6; the answer has "[1e999, 2]"
        "#]].assert_eq(&told.concat());
    }

    #[test]
    fn a_body_beyond_the_limit_is_not_looked_at() {
        let mut body = vec![b' '; BODY_BYTES_MAX];
        body[0] = b'1';
        assert_eq!(reader("csv").read(None, &body, 1), Ok(vec![1.0]));
        body.push(b' ');
        let error = reader("csv").read(None, &body, 1).expect_err("too large");
        assert_eq!(error.why, "6291457 bytes; 6291456 are allowed");
    }

    #[test]
    fn higher_is_stranger_whatever_the_model_thinks() {
        let turned = |direction, scale, score: &str| {
            let model = Model { response: "csv".to_owned(), direction, scale, ..Model::default() };
            reader_of(model)
                .read(None, score.as_bytes(), 1)
                .map(|scores| scores[0])
                .map_err(|error| error.why)
        };
        use Direction::{HigherIsAnomalous, LowerIsAnomalous};
        assert_eq!(turned(HigherIsAnomalous, Some([0.0, 1.0]), "0.25"), Ok(0.25));
        assert_eq!(turned(LowerIsAnomalous, None, "-0.25"), Ok(0.25));
        assert_eq!(turned(LowerIsAnomalous, None, "0").map(f64::to_bits), Ok(0), "not -0");
        assert_eq!(turned(LowerIsAnomalous, Some([0.0, 1.0]), "0.25"), Ok(0.75));
        assert_eq!(turned(LowerIsAnomalous, Some([-1.0, 3.0]), "3"), Ok(-1.0));
        assert_eq!(
            turned(HigherIsAnomalous, Some([0.0, 1.0]), "1.0000001"),
            Ok(1.0000001),
            "rounded in 32 bits"
        );
        let outside = turned(LowerIsAnomalous, Some([0.0, 1.0]), "1.1");
        assert_eq!(outside, Err("row 1: the score is 1.1, and model.scale is 0.0 to 1.0".to_owned()));
    }

    #[test]
    fn what_reads_no_answer_is_a_problem() {
        let model = Model { response: "json".to_owned(), scale: Some([1.0, 1.0]), ..Model::default() };
        assert_eq!(
            Reader::new(&model),
            Err(vec![
                "model.response: \"json\" is neither \"rcf\" nor \"csv\" nor a JSON pointer such as \"/predictions/*/score\"".to_owned(),
                "model.scale: [1, 1] is not two rising numbers".to_owned(),
            ])
        );
        for accept in ["text/csv", "image/png"] {
            let model = Model { accept: Some(accept.to_owned()), ..Model::default() };
            assert!(
                Reader::new(&model).is_err_and(|problems| problems[0].starts_with("model.accept: ")),
                "{accept}"
            );
        }
    }

    proptest! {
        #[test]
        fn scores_come_back_to_the_bit(
            scores in proptest::collection::vec(proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO, 0..20),
        ) {
            let each = |write: fn(&f64) -> String, between: &str| {
                scores.iter().map(write).collect::<Vec<_>>().join(between)
            };
            let bits = |scores: &[f64]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
            let object = |score: &f64| format!(r#"{{"score":{score:?}}}"#);
            for (response, content_type, body) in [
                ("rcf", JSON, format!(r#"{{"scores":[{}]}}"#, each(object, ","))),
                ("rcf", LINES, each(object, ",\n")),
                ("/x/*", JSON, format!(r#"{{"x":[{}]}}"#, each(|score| format!("{score:?}"), ","))),
                ("csv", None, each(|score| format!("{score:?}"), "\n")),
                ("csv", None, each(|score| format!("{score:e}"), ",")),
            ] {
                let read = reader(response).read(content_type, body.as_bytes(), scores.len());
                prop_assert_eq!(read.map(|read| bits(&read)), Ok(bits(&scores)), "{}", body);
            }
            let narrow: Vec<f64> = scores.iter().map(|score| f64::from(*score as f32)).filter(|s| s.is_finite()).collect();
            let read = reader("rcf").read(RECORD_IO, &record_io(&narrow), narrow.len());
            prop_assert_eq!(read.map(|read| bits(&read)), Ok(bits(&narrow)));
        }

        #[test]
        fn no_bytes_make_it_panic_or_answer_for_other_rows(
            body in proptest::collection::vec(proptest::sample::select(&b"{}[]\",:.-+0123456789eE \n\\scoreNaIfityn\x00\xff\x0a\x23\xd7\xce"[..]), 0..200),
            rows in 0_usize..4,
        ) {
            for response in ["rcf", "csv", "/*", "/scores/*/score", "/0"] {
                for content_type in [JSON, LINES, RECORD_IO, None] {
                    if let Ok(scores) = reader(response).read(content_type, &body, rows) {
                        prop_assert_eq!(scores.len(), rows);
                        prop_assert!(scores.iter().all(|score| score.is_finite()));
                    }
                }
            }
            // The frame in order, the message any bytes.
            let mut framed = [0x0a, 0x23, 0xd7, 0xce].to_vec();
            framed.extend((body.len() as u32).to_le_bytes());
            framed.extend(&body);
            let _ = reader("rcf").read(RECORD_IO, &framed, rows);
            let _ = recordio::rows(&framed);
        }
    }
}
