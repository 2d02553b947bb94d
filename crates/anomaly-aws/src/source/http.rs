//! A request to the function's URL: its body is a record.
//!
//! The event is of payload format 2.0 (AWS Lambda developer guide, "Invoking Lambda function URLs"). What is
//! answered is what Stream Analytics' Function output expects of its receiver: 200 when the body is in our hands,
//! 413 to be sent less at a time, and 200 to the empty array that tests the connection (Azure Stream Analytics
//! documentation, "Azure Functions output"). Every body of an answer is JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use anomaly_core::decode::Decoder;
use anomaly_core::names::HTTP_SECRET_HEADER;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::records::Decoded;
use anomaly_core::reject::Reject;
use anomaly_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};
use subtle::ConstantTimeEq;

use super::partition::Partition;

/// The secrets that open the door, by their SHA-256; none where AWS checks who calls.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<[u8; 32]>);

/// Not for logs, hashes though they are.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Reads the SHA-256 of each secret, in hexadecimal, parted by commas.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(digests: &str) -> Result<Self, String> {
        let digest = |text: &str| {
            digest(text.trim()).ok_or_else(|| "not the SHA-256 of a secret: 64 hexadecimal digits".to_owned())
        };
        digests.split(',').map(digest).collect::<Result<_, _>>().map(Secrets)
    }

    /// The one `secret`, as it is.
    pub fn plain(secret: &str) -> Self {
        Secrets(vec![Sha256::digest(secret).into()])
    }

    /// Whether `secret` is one of them, and not empty. It takes as long whether it is or not.
    fn admit(&self, secret: &str) -> bool {
        let given = Sha256::digest(secret);
        let is_any =
            self.0.iter().fold(subtle::Choice::from(0), |so_far, known| so_far | known.ct_eq(&given));
        bool::from(is_any) && !secret.is_empty()
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpReply {
    /// The status code.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, Cow<'static, str>>,
    /// The body: JSON.
    pub body: String,
}

impl HttpReply {
    fn new(status_code: u16, body: &serde_json::Value) -> Self {
        let headers = BTreeMap::from([("content-type", Cow::Borrowed("application/json"))]);
        HttpReply { status_code, headers, body: body.to_string() }
    }

    fn error(status_code: u16, error: impl fmt::Display) -> Self {
        Self::new(status_code, &serde_json::json!({ "error": error.to_string() }))
    }

    fn with(mut self, header: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.insert(header, value.into());
        self
    }

    /// To a body that could not be handed on: it is to be sent again.
    pub(super) fn unavailable() -> Self {
        Self::error(503, "the records could not be handed on; send them again").with("retry-after", "1")
    }

    /// To a body that was handed on. If all of it was at fault the caller is told why, beside the reject that
    /// was kept of it.
    pub(super) fn accepted(partitions: &[Partition<'_>]) -> Self {
        let entries = || partitions.iter().flat_map(|partition| partition.records.entries());
        let readings = entries().filter(|entry| matches!(entry, Decoded::Reading(_))).count();
        let mut rejects = entries().filter_map(|entry| match entry {
            Decoded::Rejected(reject) => Some(reject),
            Decoded::Reading(_) => None,
        });
        match rejects.next() {
            Some(first) if readings == 0 => Self::error(400, &first.reject),
            first => {
                let rejects = usize::from(first.is_some()) + rejects.count();
                Self::new(200, &serde_json::json!({ "readings": readings, "rejects": rejects }))
            }
        }
    }
}

/// What of an event of payload format 2.0 matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    headers: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(borrow)]
    request_context: Context<'a>,
    #[serde(borrow)]
    body: Option<Cow<'a, str>>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(borrow)]
    http: Http<'a>,
    #[serde(borrow)]
    api_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'a, str>>,
    time_epoch: Option<i64>,
    #[serde(borrow)]
    authorizer: Option<Authorizer<'a>>,
}

#[derive(Deserialize)]
struct Http<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
}

/// There where AWS has checked the caller's signature (function URLs with `AuthType: AWS_IAM`).
#[derive(Deserialize)]
struct Authorizer<'a> {
    #[serde(borrow)]
    iam: Option<&'a serde_json::value::RawValue>,
}

/// Reads a request: its one record, or the answer to a request that has none for us.
///
/// # Errors
/// The parser's sentence if `event` is no request of payload format 2.0.
pub(super) fn read<'a>(
    event: &'a str,
    decoder: &Decoder,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Result<Partition<'a>, HttpReply>, serde_json::Error> {
    let request: Request<'a> = serde_json::from_str(event)?;
    Ok(request.check(secrets).map_or_else(|| request.record(decoder, now), Err))
}

/// What says that a body is beyond a limit that half of it may keep. Nothing of it is taken then: the caller
/// still has it, and sends less at a time.
fn too_much(entry: &Decoded) -> Option<&Reject> {
    match entry {
        Decoded::Rejected(reject) => match &reject.reject {
            beyond @ (Reject::TooLarge { .. } | Reject::Expanded { .. } | Reject::Readings { .. }) => {
                Some(beyond)
            }
            _ => None,
        },
        Decoded::Reading(_) => None,
    }
}

impl<'a> Request<'a> {
    /// The answer to a request whose body need not be looked at.
    fn check(&self, secrets: &Secrets) -> Option<HttpReply> {
        let context = &self.request_context;
        let is_signed = context.authorizer.as_ref().is_some_and(|authorizer| authorizer.iam.is_some());
        let secret = self.headers.get(HTTP_SECRET_HEADER).map_or("", |secret| secret);
        if !(is_signed || secrets.admit(secret)) {
            let why = format!("the header {HTTP_SECRET_HEADER} does not hold the secret");
            return Some(HttpReply::error(401, why).with("www-authenticate", HTTP_SECRET_HEADER));
        }
        match &*context.http.method {
            "POST" | "PUT" => None,
            method => Some(
                HttpReply::error(405, format!("{method} brings no records; POST them"))
                    .with("allow", "POST, PUT"),
            ),
        }
    }

    fn record(&self, decoder: &Decoder, now: Timestamp) -> Result<Partition<'a>, HttpReply> {
        let body = self.bytes()?;
        let mut partition = Partition::new(self.partition(), 1);
        let position = self.position(&partition.name, now);
        partition.decode(decoder, &body, &position, None);
        match partition.records.entries().iter().find_map(too_much) {
            Some(reject) => Err(HttpReply::error(413, reject)),
            None => Ok(partition),
        }
    }

    fn bytes(&self) -> Result<Cow<'_, [u8]>, HttpReply> {
        let body = self.body.as_deref().unwrap_or_default();
        if body.is_empty() {
            return Err(HttpReply::error(400, "the body is empty; send a record or an array of records"));
        }
        if !self.is_base64_encoded {
            return Ok(Cow::Borrowed(body.as_bytes()));
        }
        let bytes = base64_simd::STANDARD.decode_to_vec(body.as_bytes());
        bytes.map(Cow::Owned).map_err(|_| HttpReply::error(400, "the body is not Base64"))
    }

    /// The function URL's own id: whoever posts to it is one source.
    fn partition(&self) -> SmolStr {
        format_smolstr!("http/{}", self.request_context.api_id.as_deref().unwrap_or(super::UNKNOWN))
    }

    /// Requests promise no order, and one that is sent again has another id: it is another request.
    fn position(&self, partition: &SmolStr, now: Timestamp) -> Position {
        let context = &self.request_context;
        let arrived = context.time_epoch.and_then(Timestamp::from_ms).unwrap_or(now);
        let id = context.request_id.as_deref().unwrap_or_default();
        let sequence = Sequence::of_message(arrived, 0, id);
        Position { partition: partition.clone(), sequence, sub: 0, arrived }
    }
}
