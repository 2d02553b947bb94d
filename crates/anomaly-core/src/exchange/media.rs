//! The media types that both sides of an endpoint speak.

/// A media type of rows and scores.
///
/// Source: Amazon SageMaker developer guide, "Common Data Formats for Inference" and "RCF Response Formats".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `text/csv`: one row a line, no header.
    Csv,
    /// `application/json`: `{"instances":[{"features":[…]}]}` and `{"scores":[{"score":…}]}`.
    Json,
    /// `application/jsonlines`: `{"features":[…]}` and `{"score":…}` a line.
    JsonLines,
    /// `application/x-recordio-protobuf`: a record of tensors each.
    RecordIo,
}

impl Media {
    /// The media type of a `Content-Type`, whose parameters (`; label_size=0`, `; charset=utf-8`) change
    /// nothing; `None` if it is none of these.
    pub fn of(content_type: &str) -> Option<Self> {
        match essence(content_type).as_str() {
            "text/csv" => Some(Media::Csv),
            "application/json" => Some(Media::Json),
            "application/jsonlines" | "application/x-jsonlines" | "application/x-ndjson" => {
                Some(Media::JsonLines)
            }
            "application/x-recordio-protobuf" => Some(Media::RecordIo),
            _ => None,
        }
    }

    /// The first of the media types in an `Accept` that is one of these.
    pub fn accepted(accept: &str) -> Option<Self> {
        accept.split(',').find_map(Media::of)
    }

    /// The name, as SageMaker spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Media::Csv => "text/csv",
            Media::Json => "application/json",
            Media::JsonLines => "application/jsonlines",
            Media::RecordIo => "application/x-recordio-protobuf",
        }
    }
}

/// A content type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether bodies of `content_type` are one JSON document: `application/json`, `application/vnd.x+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_change_nothing() {
        for (content_type, expected) in [
            ("text/csv", Some(Media::Csv)),
            ("text/csv; label_size=0", Some(Media::Csv)),
            ("Application/JSON;charset=utf-8", Some(Media::Json)),
            ("application/jsonlines", Some(Media::JsonLines)),
            (" application/x-ndjson ", Some(Media::JsonLines)),
            ("application/x-recordio-protobuf", Some(Media::RecordIo)),
            ("application/vnd.mine+json", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(Media::of(content_type), expected, "{content_type}");
        }
        for media in [Media::Csv, Media::Json, Media::JsonLines, Media::RecordIo] {
            assert_eq!(Media::of(media.as_str()), Some(media));
        }
    }

    #[test]
    fn the_first_that_is_known_is_accepted() {
        assert_eq!(
            Media::accepted("text/html, application/jsonlines;q=0.9, text/csv"),
            Some(Media::JsonLines)
        );
        assert_eq!(Media::accepted("*/*"), None);
    }

    #[test]
    fn json_has_dialects() {
        assert!(is_json("application/json") && is_json("application/vnd.mine+json; v=1"));
        assert!(!is_json("application/jsonlines") && !is_json("text/csv"));
    }
}
