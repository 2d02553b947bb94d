//! From a request's body to rows of numbers, or to a reason that names row and column.

use anomaly_core::exchange::{Media, Sparse, recordio};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Problem;

/// What the body is written in.
pub(crate) fn media(content_type: &str) -> Result<Media, Problem> {
    Media::of(content_type).ok_or_else(|| Problem::ContentType { found: content_type.to_owned() })
}

/// The rows of `body`, at least one, each with a finite value for every one of `features`, in their order.
pub(crate) fn rows(media: Media, body: &[u8], features: &[String]) -> Result<Vec<Vec<f64>>, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::Rows("the body is empty: at least one row is needed".to_owned()));
    }
    let rows: Vec<Vec<f64>> = match media {
        Media::Csv => {
            let row = |(row_idx, line)| csv_row(row_idx, line, features);
            lines(text(body)?).map(row).collect::<Result<_, _>>()?
        }
        Media::Json => instances(text(body)?, features)?,
        Media::JsonLines => {
            let mut sparse = Sparse::of(features.len());
            let row = |(row_idx, line)| json_row(row_idx, line, features, &mut sparse);
            lines(text(body)?).map(row).collect::<Result<_, _>>()?
        }
        Media::RecordIo => {
            recordio::rows_of(body, features.len()).map_err(|error| Problem::Rows(error.to_string()))?
        }
    };
    if rows.is_empty() {
        return Err(Problem::Rows("\"instances\" is empty: at least one row is needed".to_owned()));
    }
    rows.iter().enumerate().try_for_each(|(row_idx, row)| check(row_idx, row, features))?;
    Ok(rows)
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|e| {
        Problem::Rows(format!("the body is not UTF-8: byte {} belongs to no character", e.valid_up_to() + 1))
    })
}

/// Lines with their index; the end of the last line, and empty lines at the end, are no lines.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_end().lines().enumerate()
}

fn csv_row(row_idx: usize, line: &str, features: &[String]) -> Result<Vec<f64>, Problem> {
    line.split(',')
        .map(str::trim)
        .enumerate()
        .map(|(column_idx, cell)| {
            number(cell).ok_or_else(|| not_a_number(row_idx, column_idx, features, bare(cell)))
        })
        .collect()
}

/// The number in a cell of CSV.
pub(crate) fn number(cell: &str) -> Option<f64> {
    bare(cell).parse().ok()
}

/// Some writers quote every cell.
fn bare(cell: &str) -> &str {
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
}

/// Finite, and as many as the model takes.
fn check(row_idx: usize, row: &[f64], features: &[String]) -> Result<(), Problem> {
    if row.len() != features.len() {
        return Err(Problem::Rows(format!(
            "row {}: {} values where the model takes {}: {}",
            row_idx + 1,
            row.len(),
            features.len(),
            listed(features)
        )));
    }
    match row.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(column_idx) => Err(Problem::Rows(format!(
            "{}: {} is not finite",
            place(row_idx, column_idx, features),
            row[column_idx]
        ))),
    }
}

#[derive(Deserialize)]
struct Body {
    instances: Vec<Instance>,
}

/// Both shapes of an instance; an instance has one of them.
#[derive(Deserialize)]
struct Instance {
    features: Option<Vec<f64>>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    features: Tensor,
}

/// All values, or those at `keys`.
#[derive(Deserialize)]
struct Tensor {
    values: Vec<f64>,
    keys: Option<Vec<u64>>,
    #[serde(default)]
    shape: Vec<u64>,
}

/// What an instance says of its row.
enum Said {
    All(Vec<f64>),
    Some(Tensor),
}

impl Instance {
    fn said(self) -> Option<Said> {
        match (self.features, self.data) {
            (Some(values), None) => Some(Said::All(values)),
            (None, Some(Data { features: Tensor { values, keys: None, .. } })) => Some(Said::All(values)),
            (None, Some(Data { features })) => Some(Said::Some(features)),
            _ => None,
        }
    }
}

impl Said {
    fn row(self, row_idx: usize, sparse: &mut Sparse) -> Result<Vec<f64>, Problem> {
        match self {
            Said::All(values) => Ok(values),
            Said::Some(Tensor { values, keys, shape }) => sparse
                .row(&keys.unwrap_or_default(), &values, &shape)
                .map_err(|why| Problem::Rows(format!("row {}: {why}", row_idx + 1))),
        }
    }
}

/// All instances the quick way, or the long way round to say where the body is wrong.
fn instances(text: &str, features: &[String]) -> Result<Vec<Vec<f64>>, Problem> {
    let mut sparse = Sparse::of(features.len());
    let quick = serde_json::from_str::<Body>(text)
        .ok()
        .and_then(|body| body.instances.into_iter().map(Instance::said).collect::<Option<Vec<_>>>());
    if let Some(all) = quick {
        return all.into_iter().enumerate().map(|(row_idx, said)| said.row(row_idx, &mut sparse)).collect();
    }
    let body: Value = serde_json::from_str(text).map_err(|e| Problem::Rows(format!("not JSON: {e}")))?;
    let Some(instances) = body.get("instances").and_then(Value::as_array) else {
        return Err(Problem::Rows(
            "no list of \"instances\": expected {\"instances\": [{\"features\": [1.5, 16.0]}]}".to_owned(),
        ));
    };
    let row = |(row_idx, instance)| explained(row_idx, instance, features, &mut sparse);
    instances.iter().enumerate().map(row).collect()
}

fn json_row(
    row_idx: usize,
    line: &str,
    features: &[String],
    sparse: &mut Sparse,
) -> Result<Vec<f64>, Problem> {
    let quick = serde_json::from_str::<Instance>(line).ok().and_then(Instance::said);
    if let Some(said) = quick {
        return said.row(row_idx, sparse);
    }
    let instance: Value = serde_json::from_str(line)
        .map_err(|e| Problem::Rows(format!("row {}: not JSON: {e}", row_idx + 1)))?;
    explained(row_idx, &instance, features, sparse)
}

/// The values of an instance, or what is wrong with it.
fn explained(
    row_idx: usize,
    instance: &Value,
    features: &[String],
    sparse: &mut Sparse,
) -> Result<Vec<f64>, Problem> {
    let row = |what: &str| Problem::Rows(format!("row {}: {what}", row_idx + 1));
    if instance.get("features").is_none() && instance.pointer("/data/features/keys").is_some() {
        let tensor = instance.pointer("/data/features").cloned().unwrap_or_default();
        let tensor = serde_json::from_value::<Tensor>(tensor).map_err(|_| {
            row("\"keys\" and \"shape\" are not lists of whole numbers, or \"values\" none of numbers")
        })?;
        return Said::Some(tensor).row(row_idx, sparse);
    }
    let values = match (instance.get("features"), instance.pointer("/data/features/values")) {
        (Some(_), Some(_)) => return Err(row("both \"features\" and \"data\": one of them is needed")),
        (values, None) | (None, values) => values.and_then(Value::as_array),
    };
    let values =
        values.ok_or_else(|| row("no list of \"features\" and no \"data\".\"features\".\"values\""))?;
    values
        .iter()
        .enumerate()
        .map(|(column_idx, value)| {
            value.as_f64().ok_or_else(|| not_a_number(row_idx, column_idx, features, &value.to_string()))
        })
        .collect()
}

fn not_a_number(row_idx: usize, column_idx: usize, features: &[String], found: &str) -> Problem {
    let place = place(row_idx, column_idx, features);
    Problem::Rows(match found {
        "" => format!("{place}: the cell is empty"),
        _ => format!("{place}: not a number: {:?}", cut(found)),
    })
}

/// "row 3, column 2 (cpu)", counted from 1.
fn place(row_idx: usize, column_idx: usize, features: &[String]) -> String {
    let name = features.get(column_idx).map(|name| format!(" ({})", cut(name))).unwrap_or_default();
    format!("row {}, column {}{name}", row_idx + 1, column_idx + 1)
}

/// The names, or the first of them.
fn listed(features: &[String]) -> String {
    let names: Vec<String> = features.iter().take(8).map(|name| cut(name)).collect();
    let more = if features.len() > 8 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// At most 40 characters: a reason goes into a header-sized message, not a dump.
fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(40).collect();
    if text.chars().nth(40).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use anomaly_core::config;

    fn check(media: Media, body: &str) -> Result<Vec<Vec<f64>>, String> {
        let features = ["cpu".to_owned(), "memory".to_owned()];
        rows(media, body.as_bytes(), &features).map_err(|problem| match problem {
            Problem::Rows(reason) => reason,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn an_unknown_content_type_is_told_back() {
        assert_eq!(media("Text/CSV; label_size=0").ok(), Some(Media::Csv));
        assert!(matches!(media("image/png"), Err(Problem::ContentType { found }) if found == "image/png"));
    }

    #[test]
    fn record_io() {
        let mut body = Vec::new();
        for row in [[1.5, 16.0], [-2.0, 1e3]] {
            recordio::write_row(config::Tensor::Float64, &row, &mut body);
        }
        let features = ["cpu".to_owned(), "memory".to_owned()];
        assert_eq!(
            rows(Media::RecordIo, &body, &features).ok(),
            Some(vec![vec![1.5, 16.0], vec![-2.0, 1e3]])
        );
        recordio::write_sparse(&[1], &[3.0], 2, &mut body);
        assert_eq!(
            rows(Media::RecordIo, &body, &features).ok().and_then(|rows| rows.last().cloned()),
            Some(vec![0.0, 3.0])
        );
        recordio::write_row(config::Tensor::Float32, &[1.0, f64::NAN], &mut body);
        let Err(Problem::Rows(reason)) = rows(Media::RecordIo, &body, &features) else { panic!("a problem") };
        assert_eq!(reason, "row 4, column 2 (memory): NaN is not finite");
        let Err(Problem::Rows(reason)) = rows(Media::RecordIo, b"1,2", &features) else {
            panic!("a problem")
        };
        assert_eq!(reason, "record 1 (at byte 0): cut short: 3 bytes where 8 begin a record");
    }

    #[test]
    fn csv() {
        let two = Ok(vec![vec![1.5, 16.0], vec![-2.0, 1e3]]);
        for body in
            ["1.5,16\n-2,1e3", "1.5,16\n-2,1e3\n", "1.5,16\r\n-2,1e3\r\n\r\n", " 1.5 , 16\n\"-2\",1e3"]
        {
            assert_eq!(check(Media::Csv, body), two, "{body:?}");
        }
        for (body, reason) in [
            ("", "the body is empty: at least one row is needed"),
            ("\n \n", "the body is empty: at least one row is needed"),
            ("1,2\n3", "row 2: 1 values where the model takes 2: cpu, memory"),
            ("1,2\n3,4,5", "row 2: 3 values where the model takes 2: cpu, memory"),
            ("1,2\n\n3,4", "row 2, column 1 (cpu): the cell is empty"),
            ("1,", "row 1, column 2 (memory): the cell is empty"),
            ("cpu,memory\n1,2", "row 1, column 1 (cpu): not a number: \"cpu\""),
            ("1,2\n3,NaN", "row 2, column 2 (memory): NaN is not finite"),
            ("1,2\n-inf,4", "row 2, column 1 (cpu): -inf is not finite"),
            ("1,1e999", "row 1, column 2 (memory): inf is not finite"),
            ("1,2,x", "row 1, column 3: not a number: \"x\""),
        ] {
            assert_eq!(check(Media::Csv, body), Err(reason.to_owned()), "{body:?}");
        }
        let long = check(Media::Csv, &format!("1,{}", "é".repeat(500))).unwrap_err();
        assert!(long.ends_with("…\"") && long.chars().count() < 90, "{long}");
        let broken = rows(Media::Csv, b"1,\xff", &[]).map_err(|p| format!("{p:?}")).unwrap_err();
        assert!(broken.contains("byte 3"), "{broken}");
    }

    #[test]
    fn json() {
        let two = Ok(vec![vec![1.5, 16.0], vec![-2.0, 1e3]]);
        for body in [
            r#"{"instances":[{"features":[1.5,16]},{"features":[-2,1e3]}]}"#,
            r#"{"instances":[{"data":{"features":{"values":[1.5,16]}}},{"features":[-2,1e3]}], "configuration":{}}"#,
        ] {
            assert_eq!(check(Media::Json, body), two, "{body}");
        }
        let lines = "{\"features\":[1.5,16]}\n{\"data\":{\"features\":{\"values\":[-2,1e3]}}}\n";
        assert_eq!(check(Media::JsonLines, lines), two);
        let sparse = r#"{"data":{"features":{"keys":[1],"shape":[2],"values":[16]}}}"#;
        let one = Ok(vec![vec![0.0, 16.0], vec![1.5, 2.0]]);
        let dense = r#"{"features":[1.5,2]}"#;
        assert_eq!(check(Media::Json, &format!(r#"{{"instances":[{sparse},{dense}]}}"#)), one);
        assert_eq!(check(Media::JsonLines, &format!("{sparse}\n{dense}\n")), one);
        for (body, reason) in [
            (r#"{"instances":[]}"#, "\"instances\" is empty: at least one row is needed"),
            (r#"{"rows":[]}"#, "no list of \"instances\""),
            (r#"[[1,2]]"#, "no list of \"instances\""),
            (r#"{"instances":[{"features":[1,2]},{"features":[1]}]}"#, "row 2: 1 values where"),
            (r#"{"instances":[{"features":[1,null]}]}"#, "row 1, column 2 (memory): not a number: \"null\""),
            (r#"{"instances":[{"features":["1",2]}]}"#, "row 1, column 1 (cpu): not a number: \"\\\"1\\\"\""),
            (r#"{"instances":[{"features":{"a":1}}]}"#, "row 1: no list of \"features\""),
            (r#"{"instances":[{"data":{}}]}"#, "row 1: no list of \"features\""),
            (r#"{"instances":[{"features":[1,2],"data":{"features":{"values":[1,2]}}}]}"#, "row 1: both"),
            (
                r#"{"instances":[{"data":{"features":{"keys":[2],"shape":[2],"values":[1]}}}]}"#,
                "row 1: key 2 is not 0 to 1",
            ),
            (
                r#"{"instances":[{"data":{"features":{"keys":[1],"shape":[9],"values":[1]}}}]}"#,
                "row 1: its \"shape\" is [9]",
            ),
            (
                r#"{"instances":[{"data":{"features":{"keys":[-1],"values":[1]}}}]}"#,
                "row 1: \"keys\" and \"shape\"",
            ),
            (
                r#"{"instances":[{"data":{"features":{"keys":[1],"values":["a"]}}}]}"#,
                "row 1: \"keys\" and \"shape\"",
            ),
            (r#"{"instances":[{"features":[1,1e999]}]}"#, "not JSON: number out of range"),
            (r#"{"instances":[{"features":[1,NaN]}]}"#, "not JSON: expected"),
            (r#"{"instances":"#, "not JSON: EOF"),
        ] {
            let found = check(Media::Json, body).unwrap_err();
            assert!(found.starts_with(reason), "{body}: {found}");
        }
        let found = check(Media::JsonLines, "{\"features\":[1,2]}\n{").unwrap_err();
        assert!(found.starts_with("row 2: not JSON"), "{found}");
    }
}
