//! A body's frame and the shape of its rows: those of the known media types, and templates of the user's.

/// A piece of a text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// What stood between `${` and `}`.
    Name(String),
}

/// The pieces of `text`, neighbouring texts joined.
///
/// # Errors
/// A `${` without its `}`.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("\"${{\" at byte {} has no \"}}\"", text.len() - rest.len() - 1));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Name(name.trim().to_owned()));
            rest = after;
        } else {
            literal.push('$');
            rest = rest.strip_prefix('$').unwrap_or(rest);
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// A body: `head`, the rows joined, `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) head: String,
    pub(super) between: &'static str,
    pub(super) tail: String,
    /// Whether a body takes more than one row.
    pub(super) many: bool,
    /// How a row is written.
    pub(super) row: Vec<Part>,
}

/// A part of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// All numbers, with commas between them.
    Numbers,
    /// The number at this index.
    Feature(usize),
}

impl Template {
    /// Rows of plain numbers, one a line.
    pub(super) fn csv() -> Self {
        Template::of("", "\n", "", vec![Part::Numbers])
    }

    /// SageMaker's `{"instances":[{"features":[…]}]}`.
    pub(super) fn json() -> Self {
        Template::of(r#"{"instances":["#, ",", "]}", instance())
    }

    /// An instance a line.
    pub(super) fn json_lines() -> Self {
        Template::of("", "\n", "", instance())
    }

    fn of(head: &str, between: &'static str, tail: &str, row: Vec<Part>) -> Self {
        Template { head: head.to_owned(), between, tail: tail.to_owned(), many: true, row }
    }

    /// The user's template, for rows of the features of these names.
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each, with the key in front.
    pub(super) fn parse(request: &str, row: Option<&str>, features: &[String]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut read = |key: &str, text: &str| {
            pieces(text).map_err(|problem| problems.push(format!("model.{key}: {problem}"))).ok()
        };
        let (request, row) = (read("request", request), row.map(|row| read("request_row", row)));
        let (Some(request), Some(row)) = (request, row.map_or(Some(None), |row| row.map(Some))) else {
            return Err(problems);
        };
        let template = match frame(&request) {
            Some((head, join, tail)) => many(head, join, tail, row, features, &mut problems),
            None => one(request, row, features, &mut problems),
        };
        if problems.is_empty() { Ok(template) } else { Err(problems) }
    }
}

fn instance() -> Vec<Part> {
    vec![Part::Text(r#"{"features":["#.to_owned()), Part::Numbers, Part::Text("]}".to_owned())]
}

/// What stands before the first of `${rows}` and `${lines}`, which of them it is, and what stands behind.
fn frame(request: &[Piece]) -> Option<(&[Piece], &str, &[Piece])> {
    request.iter().enumerate().find_map(|(index, piece)| match piece {
        Piece::Name(name) if name == "rows" || name == "lines" => {
            Some((&request[..index], name.as_str(), &request[index + 1..]))
        }
        _ => None,
    })
}

/// A body of many rows.
fn many(
    head: &[Piece],
    join: &str,
    tail: &[Piece],
    row: Option<Vec<Piece>>,
    features: &[String],
    problems: &mut Vec<String>,
) -> Template {
    let mut text = |pieces: &[Piece]| {
        let mut all = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => all.push_str(text),
                Piece::Name(name) if name == "rows" || name == "lines" => {
                    problems.push(format!("model.request: ${{{name}}} is a second place for the rows"));
                }
                Piece::Name(name) if is_of_a_row(name) => problems.push(format!(
                    "model.request: ${{{name}}} is of one row; beside ${{{join}}} it belongs in model.request_row"
                )),
                Piece::Name(name) => problems.push(format!(
                    "model.request: unknown placeholder ${{{name}}}; there are ${{rows}}, ${{lines}}, ${{row}} and ${{feature.NAME}}"
                )),
            }
        }
        all
    };
    let (head, tail) = (text(head), text(tail));
    let row = row.unwrap_or_else(|| vec![Piece::Name("row".to_owned())]);
    let row = parts("request_row", row, features, problems);
    let template = Template { head, between: ",", tail, many: true, row };
    match join {
        "rows" => Template { head: template.head + "[", tail: format!("]{}", template.tail), ..template },
        _ => Template { between: "\n", ..template },
    }
}

/// A body of one row.
fn one(
    request: Vec<Piece>,
    row: Option<Vec<Piece>>,
    features: &[String],
    problems: &mut Vec<String>,
) -> Template {
    if row.is_some() {
        problems.push(
            "model.request_row: says how each row of ${rows} or ${lines} is written, and model.request has neither"
                .to_owned(),
        );
    }
    if !request.iter().any(|piece| matches!(piece, Piece::Name(_))) {
        problems.push(
            "model.request: has no place for the rows; write ${rows}, ${lines}, or ${row} for one row a request"
                .to_owned(),
        );
    }
    let row = parts("request", request, features, problems);
    Template { head: String::new(), between: "", tail: String::new(), many: false, row }
}

fn is_of_a_row(name: &str) -> bool {
    name == "row" || name.starts_with("feature.")
}

fn parts(key: &str, pieces: Vec<Piece>, features: &[String], problems: &mut Vec<String>) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => parts.push(Part::Text(text)),
            Piece::Name(name) if name == "row" => {
                parts.extend([Part::Text("[".to_owned()), Part::Numbers, Part::Text("]".to_owned())])
            }
            Piece::Name(name) => match feature(&name, features) {
                Ok(index) => parts.push(Part::Feature(index)),
                Err(problem) => problems.push(format!("model.{key}: {problem}")),
            },
        }
    }
    parts
}

fn feature(name: &str, features: &[String]) -> Result<usize, String> {
    let Some(wanted) = name.strip_prefix("feature.") else {
        return Err(format!("unknown placeholder ${{{name}}}; there are ${{row}} and ${{feature.NAME}}"));
    };
    features.iter().position(|feature| feature == wanted).ok_or_else(|| match features {
        [] => format!("${{{name}}} needs input.features, which is empty"),
        _ => format!("{wanted:?} is no feature; there are: {}", features.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request: &str, row: Option<&str>) -> Result<Template, Vec<String>> {
        Template::parse(request, row, &["cpu".to_owned(), "memory".to_owned()])
    }

    #[test]
    fn pieces_are_text_and_names() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let name = |name: &str| Piece::Name(name.to_owned());
        for (given, expected) in [
            ("", vec![]),
            ("a", vec![text("a")]),
            ("${x}", vec![name("x")]),
            ("a${ x }b${y}", vec![text("a"), name("x"), text("b"), name("y")]),
            ("$$ $${x} $5 $", vec![text("$ ${x} $5 $")]),
            ("$$${x}", vec![text("$"), name("x")]),
            ("{}}${}", vec![text("{}}"), name("")]),
        ] {
            assert_eq!(pieces(given), Ok(expected), "{given}");
        }
        assert_eq!(pieces("ab${x"), Err("\"${\" at byte 2 has no \"}\"".to_owned()));
    }

    #[test]
    fn the_known_forms_are_templates() {
        assert_eq!(
            parse(r#"{"instances":${rows}}"#, Some(r#"{"features":${row}}"#)).map(|t| t.row),
            parse("${lines}", Some(r#"{"features":${row}}"#)).map(|t| t.row)
        );
    }

    #[test]
    fn what_is_wrong_is_all_named() {
        for (request, row, expected) in [
            (
                "{}",
                None,
                &[
                    "model.request: has no place for the rows; write ${rows}, ${lines}, or ${row} for one row a request",
                ][..],
            ),
            (
                "${rows",
                Some("${"),
                &[
                    "model.request: \"${\" at byte 0 has no \"}\"",
                    "model.request_row: \"${\" at byte 0 has no \"}\"",
                ],
            ),
            (
                "${rows}${lines}${row}${cpu}",
                Some("${feature.disk}${all}"),
                &[
                    "model.request: ${lines} is a second place for the rows",
                    "model.request: ${row} is of one row; beside ${rows} it belongs in model.request_row",
                    "model.request: unknown placeholder ${cpu}; there are ${rows}, ${lines}, ${row} and ${feature.NAME}",
                    "model.request_row: \"disk\" is no feature; there are: cpu, memory",
                    "model.request_row: unknown placeholder ${all}; there are ${row} and ${feature.NAME}",
                ],
            ),
            (
                "${row}",
                Some("${row}"),
                &[
                    "model.request_row: says how each row of ${rows} or ${lines} is written, and model.request has neither",
                ],
            ),
            (
                "${raw}",
                None,
                &["model.request: unknown placeholder ${raw}; there are ${row} and ${feature.NAME}"],
            ),
        ] {
            let problems = parse(request, row).expect_err("problems");
            assert_eq!(problems, expected, "{request} {row:?}");
        }
        let problems = Template::parse("${feature.cpu}", None, &[]).expect_err("problems");
        assert_eq!(problems, ["model.request: ${feature.cpu} needs input.features, which is empty"]);
    }
}
