//! Names that more than one crate must spell alike: environment variables, table attributes, limits.
//!
//! The functions read them and the templates write them; a name is written once, here.

/// The configuration the functions share, as compact JSON ([`crate::config::Config`]).
pub const ANOMALY_CONFIG: &str = "ANOMALY_CONFIG";
/// `invoke`: the name of the SageMaker endpoint that scores.
pub const ENDPOINT_NAME: &str = "ENDPOINT_NAME";
/// `invoke`: the URL of the FIFO queue that takes scored chunks.
pub const QUEUE_URL: &str = "QUEUE_URL";
/// `invoke` behind a URL with a secret: the SHA-256 of what [`HTTP_SECRET_HEADER`] must hold, in lower-case
/// hexadecimal digits; two of them, parted by a comma, while one secret replaces another. Not set: AWS has
/// checked the caller's signature already, or there is no URL.
pub const HTTP_SECRET_SHA256: &str = "HTTP_SECRET_SHA256";
/// The header in which a caller of `invoke`'s URL brings the secret, in lower case as Lambda hands it over.
pub const HTTP_SECRET_HEADER: &str = "x-anomaly-secret";
/// `classify`: the table of series states.
pub const STATES_TABLE: &str = "STATES_TABLE";
/// `classify` and `publish`: the table of alert transitions.
pub const OUTBOX_TABLE: &str = "OUTBOX_TABLE";
/// `classify`: the table of rejected records.
pub const REJECTS_TABLE: &str = "REJECTS_TABLE";
/// `classify`: the table of what was judged.
pub const JOURNAL_TABLE: &str = "JOURNAL_TABLE";
/// `invoke`: the table of series' last readings, for models that take several as one row.
pub const WINDOWS_TABLE: &str = "WINDOWS_TABLE";
/// `publish`: the topic that tells people.
pub const TOPIC_ARN: &str = "TOPIC_ARN";

/// States table: the partition key, a string.
pub const SERIES: &str = "series";
/// States table: the encoded [`crate::classify::SeriesState`], binary.
pub const STATE: &str = "state";
/// Windows table, whose partition key is [`SERIES`] too: the encoded [`crate::window::Window`], binary.
pub const WINDOW: &str = "window";
/// States and windows tables: how often the row was written, a number; the optimistic lock.
pub const REVISION: &str = "revision";

/// States table: present while a sweep has something to do in the state
/// ([`SeriesState::due`](crate::classify::SeriesState::due)), readings that wait or a silence to be told: one of
/// [`HELD_SHARDS`] numbers, as a string; key of the sparse index.
pub const HELD: &str = "held";
/// How many values [`HELD`] has: one key of an index takes 1,000 writes a second (DynamoDB developer guide,
/// "Designing partition keys").
pub const HELD_SHARDS: usize = 8;
/// States table: when that is, milliseconds since 1970, a number; sort key of the
/// sparse index.
pub const HELD_AT_MS: &str = "held_at_ms";
/// The sparse index of the states over [`HELD`] and [`HELD_AT_MS`].
pub const HELD_INDEX: &str = "held";

/// Outbox table: the partition key, the alert's id, a string.
pub const ALERT: &str = "alert";
/// Outbox table: the sort key, the transition's number, counting from 1.
pub const TRANSITION: &str = "transition";
/// Outbox table: the transition itself, a string of JSON ([`crate::wire::TransitionV1`]).
pub const BODY: &str = "body";
/// Outbox table: present (with [`PENDING_VALUE`]) until the transition was sent; key of the sparse index.
pub const PENDING: &str = "pending";
/// The one value of [`PENDING`].
pub const PENDING_VALUE: &str = "1";
/// Outbox table: when the row was written, milliseconds since 1970, a number; sort key of the sparse index.
pub const CREATED_MS: &str = "created_ms";
/// Outbox table: until when somebody is publishing the row, milliseconds since 1970.
pub const LEASE_UNTIL_MS: &str = "lease_until_ms";
/// Outbox table: when the row was sent, milliseconds since 1970.
pub const SENT_MS: &str = "sent_ms";
/// Outbox table: the id SNS gave the message.
pub const MESSAGE_ID: &str = "message_id";
/// Outbox, rejects and journal tables: when DynamoDB may delete the row, seconds since 1970.
pub const EXPIRES_S: &str = "expires_s";
/// The sparse index of the outbox over [`PENDING`] and [`CREATED_MS`].
pub const PENDING_INDEX: &str = "pending";

/// Rejects table: the partition key, the source partition, a string.
pub const PARTITION: &str = "partition";
/// Rejects table: the sort key, sequence number and sub-sequence number, a string.
pub const POSITION: &str = "position";
/// Rejects table: the reject, a string of JSON ([`crate::wire::RejectV1`]).
pub const REJECT: &str = "reject";

/// Journal table: the partition key, what is read and written in order, a string.
pub const STRAND: &str = "strand";
/// Journal table: the sort key, the last place that the row tells of, a string that sorts as the place does.
pub const LAST: &str = "last";
/// Journal table: the places judged, a string of JSON ([`crate::position::Runs`]).
pub const RUNS: &str = "runs";
