//! SDK clients, built bare: no aws-config, which would look for profiles and roles that a function never has.
//!
//! TLS is rustls with ring: aws-lc gathers entropy for some 30 ms of CPU in the first handshake, which a small
//! function feels. A plain `http://` address works as well, for what stands in for AWS on a laptop.

use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::{TimeoutConfig, TimeoutConfigBuilder};

use crate::config::Connection;

/// How long a connection may take: within a region it is milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an endpoint may take: a container must answer within 60 s (SageMaker developer guide, "Use your
/// own inference code"), and a second for the way. It is every client's, because clients share connections, and
/// the trusted certificates behind them, only where these two times are the same.
const READ_TIMEOUT: Duration = Duration::from_secs(61);
/// How long one attempt at a small request may take.
#[cfg(any(feature = "cloudformation", feature = "dynamodb", feature = "sns", feature = "sqs"))]
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts at a small request, with a back-off that doubles from at most a second: some six seconds in all
/// where a service refuses at once.
#[cfg(any(feature = "cloudformation", feature = "dynamodb", feature = "sns", feature = "sqs"))]
const ATTEMPTS_MAX: u32 = 4;
/// Attempts at an endpoint: one. The driver of the batch asks again itself, within its budget: retries below it
/// would multiply with its own (`anomaly_pipeline::invoke::RetryPolicy`).
#[cfg(feature = "sagemaker")]
const ENDPOINT_ATTEMPTS_MAX: u32 = 1;

/// Makes clients over one HTTP client.
#[derive(Clone, Debug)]
pub struct Connector {
    connection: Connection,
    http: SharedHttpClient,
}

impl Connector {
    /// A connector to `connection`.
    pub fn new(connection: &Connection) -> Self {
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        Connector { connection: connection.clone(), http }
    }
}

/// The client of one service. The services' configuration types have no trait in common.
macro_rules! client {
    ($(#[$doc:meta])* $feature:literal, $name:ident, $sdk:ident, $retry:expr, $timeout:expr) => {
        #[cfg(feature = $feature)]
        impl Connector {
            $(#[$doc])*
            pub(crate) fn $name(&self) -> $sdk::Client {
                let Connection { region, access_key_id, secret_access_key, session_token, endpoint_urls } =
                    &self.connection;
                let mut config = $sdk::Config::builder()
                    .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
                    .region($sdk::config::Region::new(region.clone()))
                    .credentials_provider(aws_credential_types::Credentials::new(
                        access_key_id,
                        secret_access_key,
                        session_token.clone(),
                        None,
                        "environment",
                    ))
                    .http_client(self.http.clone())
                    .retry_config(RetryConfig::standard().with_max_attempts($retry))
                    .timeout_config($timeout);
                config.set_endpoint_url(endpoint_urls.$name.clone());
                $sdk::Client::from_conf(config.build())
            }
        }
    };
}

client!(
    /// Rows to an endpoint. There is no limit on an attempt: the driver's deadline is one.
    "sagemaker", sagemaker_runtime, aws_sdk_sagemakerruntime, ENDPOINT_ATTEMPTS_MAX, timeouts().build()
);
client!("sqs", sqs, aws_sdk_sqs, ATTEMPTS_MAX, timeouts().operation_attempt_timeout(ATTEMPT_TIMEOUT).build());
client!(
    "dynamodb",
    dynamodb,
    aws_sdk_dynamodb,
    ATTEMPTS_MAX,
    timeouts().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
);
client!(
    "cloudformation",
    cloudformation,
    aws_sdk_cloudformation,
    ATTEMPTS_MAX,
    timeouts().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
);
client!("sns", sns, aws_sdk_sns, ATTEMPTS_MAX, timeouts().operation_attempt_timeout(ATTEMPT_TIMEOUT).build());

fn timeouts() -> TimeoutConfigBuilder {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT)
}
