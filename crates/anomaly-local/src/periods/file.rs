//! A file of periods: one a line, or JSON.

use std::fs;
use std::path::Path;

use anomaly_core::config::Zone;
use serde_json::Value;

use super::Period;

/// Keys of a JSON object whose lists are of every file and series; any other is the name of one.
const OF_ALL: [&str; 6] = ["anomalies", "exclude", "faults", "labels", "periods", "windows"];

/// The periods in the file at `path`; times without offset are of `zone`, or of UTC.
///
/// A line each, `FROM..TO`, `FROM,TO` (more cells are not looked at, nor is a header) or a date; empty lines and what
/// begins with `#` are passed over. Or JSON: a list of periods, each `{"start": …, "end": …}`, `["…", "…"]` or text as on
/// a line; or an object of such lists, under a name that says nothing (`faults`, `periods` …; what is no list is then passed
/// over) or under that of the file or series they are of, as the labels of the Numenta Anomaly Benchmark are.
///
/// # Errors
/// All that is wrong, a sentence each that begins with the path.
pub fn read(path: &Path, zone: Option<&Zone>) -> Result<Vec<Period>, Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    parse(&text, zone)
        .map_err(|problems| problems.into_iter().map(|problem| format!("{name}: {problem}")).collect())
}

fn parse(text: &str, zone: Option<&Zone>) -> Result<Vec<Period>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Found::default();
    match text.trim_start().chars().next() {
        Some('[' | '{') => match serde_json::from_str(text) {
            Ok(json) => found.json(&json, zone),
            Err(error) => found.problems.push(format!("not JSON: {error}")),
        },
        _ => found.lines(text, zone),
    }
    if found.periods.is_empty() && found.problems.is_empty() && !found.is_known_empty {
        found.problems.push("it holds no periods".to_owned());
    }
    if found.problems.is_empty() { Ok(found.periods) } else { Err(found.problems) }
}

#[derive(Default)]
struct Found {
    periods: Vec<Period>,
    problems: Vec<String>,
    /// A list is there, and nothing is in it.
    is_known_empty: bool,
}

impl Found {
    fn lines(&mut self, text: &str, zone: Option<&Zone>) {
        let lines = text.lines().map(str::trim).enumerate();
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
        // A header names columns, and no time is without a digit.
        lines.next_if(|(_, line)| line.contains(',') && !line.bytes().any(|b| b.is_ascii_digit()));
        for (index, line) in lines {
            self.keep(of_line(line, zone), None, || format!("line {}", index + 1));
        }
    }

    fn json(&mut self, json: &Value, zone: Option<&Zone>) {
        match json {
            Value::Object(lists) => {
                // Beside a list under a known name other keys may say anything.
                let is_known =
                    lists.iter().any(|(key, list)| OF_ALL.contains(&key.as_str()) && list.is_array());
                for (key, list) in lists.iter().filter(|(_, list)| list.is_array() || !is_known) {
                    let only = (!OF_ALL.contains(&key.as_str())).then_some(key.as_str());
                    self.list(list, only, zone, key);
                }
            }
            list => self.list(list, None, zone, "it"),
        }
    }

    fn list(&mut self, list: &Value, only: Option<&str>, zone: Option<&Zone>, name: &str) {
        let Value::Array(list) = list else {
            self.problems.push(format!("{name}: not a list of periods, but {}", short(list)));
            return;
        };
        self.is_known_empty |= list.is_empty();
        for (index, period) in list.iter().enumerate() {
            self.keep(of_json(period, zone), only, || format!("{name}, entry {}", index + 1));
        }
    }

    fn keep(&mut self, period: Result<Period, String>, only: Option<&str>, place: impl Fn() -> String) {
        match period {
            Ok(period) => self.periods.push(Period { only: only.map(str::to_owned), ..period }),
            Err(problem) => self.problems.push(format!("{}: {problem}", place())),
        }
    }
}

fn of_line(line: &str, zone: Option<&Zone>) -> Result<Period, String> {
    let cell = |cell: &str| cell.trim().trim_matches('"').to_owned();
    let mut cells = line.split(',').map(cell);
    match (cells.next(), cells.next()) {
        (Some(from), Some(to)) => Period::between(&from, &to, zone),
        _ => Period::parse(line, zone),
    }
}

fn of_json(period: &Value, zone: Option<&Zone>) -> Result<Period, String> {
    let time = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let ends = match period {
        Value::String(text) => return Period::parse(text, zone),
        Value::Array(ends) => match &ends[..] {
            [from, to] => Some((from, to)),
            _ => None,
        },
        Value::Object(keys) => {
            let named = |names: [&str; 2]| names.iter().find_map(|name| keys.get(*name));
            named(["start", "from"]).zip(named(["end", "to"]))
        }
        _ => None,
    };
    let ends = ends.and_then(|(from, to)| time(from).zip(time(to)));
    let (from, to) = ends.ok_or_else(|| {
        format!("{} is no period: write {{\"start\": \"…\", \"end\": \"…\"}}", short(period))
    })?;
    Period::between(&from, &to, zone)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let said = match parse(text, None) {
            Ok(periods) => periods.iter().map(|period| format!("{period}\n")).collect(),
            Err(problems) => format!("{}\n", problems.join("\n")),
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn lines() {
        check(
            "# maintenance\nstart,end,why\n2026-03-01T10:00Z,2026-03-01T11:00Z,\"disk\"\n\n\"2026-04-01\",2026-04-02\n2026-05-01\n2026-06-01..2026-06-02T12:00\n",
            expect![[r#"
                2026-03-01T10:00:00Z..2026-03-01T11:00:00Z
                2026-04-01T00:00:00Z..2026-04-02T23:59:59.999Z
                2026-05-01T00:00:00Z..2026-05-01T23:59:59.999Z
                2026-06-01T00:00:00Z..2026-06-02T12:00:00Z
            "#]],
        );
        check(
            "2026-03-01..2026-02-01\nsoon\n2026-03-01,later\n",
            expect![[r#"
                line 1: 2026-03-01..2026-02-01 ends before it begins; is it 2026-02-01..2026-03-01?
                line 2: "soon" is no period: write FROM..TO, such as 2026-03-01T22:00+01:00..2026-03-02, or a date
                line 3: "later" is no time: write it as 2026-03-01T22:00+01:00, or a date
            "#]],
        );
        check(
            "# nothing\n",
            expect![[r#"
                it holds no periods
            "#]],
        );
    }

    #[test]
    fn json() {
        check(
            r#"{"faults": [{"start": "2026-03-01T10:00Z", "end": "2026-03-01T11:00Z", "kind": "disk"}],
                "realTraffic/speed.csv": [["2015-09-08 01:49:00.000000", "2015-09-08 02:00:00.000000"]],
                "quiet.csv": []}"#,
            expect![[r#"
                2026-03-01T10:00:00Z..2026-03-01T11:00:00Z
                2015-09-08T01:49:00Z..2015-09-08T02:00:00Z of realTraffic/speed.csv
            "#]],
        );
        check(
            r#"["2026-03-01", {"from": 1400000000, "to": 1400000060}]"#,
            expect![[r#"
                2026-03-01T00:00:00Z..2026-03-01T23:59:59.999Z
                2014-05-13T16:53:20Z..2014-05-13T16:54:20Z
            "#]],
        );
        check("[]", expect![""]);
        check(
            r#"{"series": "web", "faults": [{"start": "2026-03-01", "end": "2026-03-01"}]}"#,
            expect![[r#"
                2026-03-01T00:00:00Z..2026-03-01T23:59:59.999Z
            "#]],
        );
        check(
            r#"{"a.csv": 3, "series": "web"}"#,
            expect![[r#"
                a.csv: not a list of periods, but 3
                series: not a list of periods, but "web"
            "#]],
        );
        check(
            r#"{"periods": [7, ["2026-03-01"], {"start": "2026-03-01"}]}"#,
            expect![[r#"
                periods, entry 1: 7 is no period: write {"start": "…", "end": "…"}
                periods, entry 2: ["2026-03-01"] is no period: write {"start": "…", "end": "…"}
                periods, entry 3: {"start":"2026-03-01"} is no period: write {"start": "…", "end": "…"}
            "#]],
        );
        check(
            "{",
            expect![[r#"
            not JSON: EOF while parsing an object at line 1 column 1
        "#]],
        );
    }
}
