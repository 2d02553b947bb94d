//! Clients of the cloud on this machine.

use anyhow::{Context, Result, ensure};
use aws_credential_types::Credentials;
use serde_json::{Value, json};

use crate::http::{self, Answer, Http};
use crate::ministack::MiniStack;

/// The region everything is in.
pub const REGION: &str = "us-east-1";

/// One client per service, all of them the account's owner.
#[derive(Debug)]
pub struct Cloud {
    /// CloudFormation.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    http: Http,
    url: String,
}

/// A client of the SDK crate `$sdk`. Their builders are alike but share no trait.
macro_rules! client {
    ($sdk:ident, $url:expr, $http:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
            .region($sdk::config::Region::from_static(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url($url)
            .http_client($http.clone())
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl Cloud {
    /// Clients of `ministack`.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub fn of(ministack: &MiniStack) -> Result<Self> {
        let url = ministack.url();
        let sdk = http::sdk_client(ministack.certificate())?;
        Ok(Cloud {
            cloudformation: client!(aws_sdk_cloudformation, &url, sdk),
            dynamodb: client!(aws_sdk_dynamodb, &url, sdk),
            kinesis: client!(aws_sdk_kinesis, &url, sdk),
            sns: client!(aws_sdk_sns, &url, sdk),
            sqs: client!(aws_sdk_sqs, &url, sdk),
            http: Http::trusting(ministack.certificate())?,
            url,
        })
    }

    /// Makes the bucket `bucket`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn make_bucket(&self, bucket: &str) -> Result<()> {
        self.s3("PUT", bucket, Vec::new()).await.map(drop)
    }

    /// Stores an object at `bucket/key`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put_object(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.s3("PUT", path, bytes).await.map(drop)
    }

    /// Calls the function `name` and waits for what it answers.
    ///
    /// # Errors
    /// When the call fails, or the function does.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Value> {
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.url);
        let answer = self.http.send("POST", &url, "lambda", serde_json::to_vec(event)?).await?;
        let body = text(&answer);
        ensure!(answer.status == 200 && answer.function_error.is_none(), "{name} failed: {body}");
        serde_json::from_slice(&answer.body).with_context(|| format!("{name} answered {body}"))
    }

    /// Makes an event source mapping, as Lambda's API describes it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn map_event_source(&self, mapping: &Value) -> Result<()> {
        let url = format!("{}/2015-03-31/event-source-mappings/", self.url);
        let answer = self.http.send("POST", &url, "lambda", serde_json::to_vec(mapping)?).await?;
        ensure!((200..300).contains(&answer.status), "event source mapping: {}", text(&answer));
        Ok(())
    }

    /// Has `target`, `SERVICE.Operation`, done in AWS' JSON protocol.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn ask(&self, target: &str, request: &Value) -> Result<Value> {
        let answer = self.http.ask(&self.url, target, serde_json::to_vec(request)?).await?;
        ensure!(answer.status == 200, "{target}: {}", text(&answer));
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// What the secret `id` holds.
    ///
    /// # Errors
    /// When there is none.
    pub async fn secret(&self, id: &str) -> Result<String> {
        let answer = self.ask("secretsmanager.GetSecretValue", &json!({ "SecretId": id })).await?;
        Ok(answer["SecretString"].as_str().context("a secret of text")?.to_owned())
    }

    /// Makes a table with the key `id` and a stream of new images; the answer is the stream's ARN.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn make_table(&self, name: &str) -> Result<String> {
        let request = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
        });
        let made = self.ask("DynamoDB_20120810.CreateTable", &request).await?;
        Ok(made["TableDescription"]["LatestStreamArn"].as_str().context("a stream")?.to_owned())
    }

    /// Posts to a function's URL as somebody without an account; the answer is the status.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn post(&self, url: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<u16> {
        let id = url.trim_start_matches("https://").split('.').next().unwrap_or_default();
        // The names of AWS' hosts do not lead here: by path, as MiniStack has it.
        let here = format!("{}/_aws/lambda-url/{id}/", self.url);
        Ok(self.http.send_with("POST", &here, headers, body).await?.status)
    }

    async fn s3(&self, method: &str, path: &str, bytes: Vec<u8>) -> Result<Answer> {
        let answer = self.http.send(method, &format!("{}/{path}", self.url), "s3", bytes).await?;
        ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, text(&answer));
        Ok(answer)
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
