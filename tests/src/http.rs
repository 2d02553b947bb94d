//! Plain HTTP through the connector that lies under the SDK's clients.

use anyhow::{Context, Result};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpClient};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// No connection is used twice: MiniStack now and then leaves a request on a used one unread until its
/// keep-alive time of 75 s is over.
const IDLE_MAX: usize = 0;

/// A client that trusts the given certificates and no others.
#[derive(Debug)]
pub struct Http {
    connector: Connector,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether Lambda's error header was set, and to what.
    pub function_error: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Http {
    /// A client for addresses whose certificates `pem` signed; `http://` addresses work as well.
    ///
    /// # Errors
    /// When `pem` is no certificate.
    pub fn trusting(pem: &str) -> Result<Self> {
        let builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let builder = builder.pool_max_idle_per_host(IDLE_MAX);
        Ok(Http { connector: builder.tls_context(trust(pem)?).build() })
    }

    /// A client for `http://` addresses.
    pub fn plain() -> Self {
        Http { connector: Connector::builder().build_http() }
    }

    /// Sends one request. The credentials are made up: the cloud on this machine looks at the name only.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn send(&self, method: &str, url: &str, service: &str, body: Vec<u8>) -> Result<Answer> {
        self.send_with(method, url, &[("authorization", &authorization(service))], body).await
    }

    /// Has `target`, `SERVICE.Operation`, done in AWS' JSON protocol, where a header names the operation.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn ask(&self, url: &str, target: &str, body: Vec<u8>) -> Result<Answer> {
        let service = target.split('.').next().unwrap_or_default();
        let headers = [
            ("authorization", authorization(service)),
            ("x-amz-target", target.to_owned()),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
        ];
        self.send_with("POST", url, &headers.each_ref().map(|(name, value)| (*name, value.as_str())), body)
            .await
    }

    /// Sends one request with these headers and no others.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn send_with(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer> {
        let mut request = Request::new(SdkBody::from(body));
        request.set_method(method).context("method")?;
        request.set_uri(url).with_context(|| url.to_owned())?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, (*value).to_owned());
        }
        let response = self.connector.call(request).await.with_context(|| format!("{method} {url}"))?;
        let status = response.status().as_u16();
        let function_error = response.headers().get("x-amz-function-error").map(str::to_owned);
        let body = ByteStream::new(response.into_body()).collect().await?.to_vec();
        Ok(Answer { status, function_error, body })
    }
}

/// The same for the SDK's clients.
///
/// # Errors
/// When `pem` is no certificate.
pub fn sdk_client(pem: &str) -> Result<SharedHttpClient> {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let builder = builder.pool_max_idle_per_host(IDLE_MAX);
    Ok(builder.tls_context(trust(pem)?).build_https())
}

fn trust(pem: &str) -> Result<TlsContext> {
    let store = TrustStore::empty().with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().context("certificate")
}

fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=none"
    )
}
