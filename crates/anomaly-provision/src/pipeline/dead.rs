//! Where the events go that a function gave up on.

use crate::permission::{Statement, allow, deny_without_tls, document};
use crate::stack::Resource;
use crate::value::{Value, attribute, list, map, reference, sub};

/// The logical id of the bucket.
pub(super) const BUCKET: &str = "Dead";

pub(super) fn resources() -> Vec<Resource> {
    vec![bucket(), policy()]
}

/// The destination of an event source mapping. A bucket, because a queue would get a pointer into the stream
/// and a bucket gets the whole event (Lambda developer guide, "Retain failed records").
pub(super) fn on_failure() -> Value {
    map! { "OnFailure": map! { "Destination": attribute(&format!("{BUCKET}.Arn")) } }
}

/// What a function's role needs for [`on_failure`]; Lambda writes below `aws/lambda/`.
pub(super) fn keep_failed_batches() -> [Statement; 2] {
    [
        allow("KeepFailedBatch", ["s3:PutObject"], [sub(&format!("${{{BUCKET}.Arn}}/aws/lambda/*"))]),
        allow("FindBucket", ["s3:ListBucket"], [attribute(&format!("{BUCKET}.Arn"))]),
    ]
}

fn bucket() -> Resource {
    let encryption = map! { "ServerSideEncryptionByDefault": map! { "SSEAlgorithm": "AES256" } };
    let expire = map! {
        "Id": "expire",
        "Status": "Enabled",
        "ExpirationInDays": 90_u32,
        "AbortIncompleteMultipartUpload": map! { "DaysAfterInitiation": 7_u32 },
    };
    Resource::new(
        BUCKET,
        "AWS::S3::Bucket",
        map! {
            "BucketEncryption": map! { "ServerSideEncryptionConfiguration": list![encryption] },
            "PublicAccessBlockConfiguration": map! {
                "BlockPublicAcls": true,
                "BlockPublicPolicy": true,
                "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true,
            },
            "OwnershipControls": map! { "Rules": list![map! { "ObjectOwnership": "BucketOwnerEnforced" }] },
            "LifecycleConfiguration": map! { "Rules": list![expire] },
        },
    )
    .with("DeletionPolicy", "RetainExceptOnCreate")
    .with("UpdateReplacePolicy", "Retain")
    .because("Events that a function gave up on, whole. Survives the stack: a bucket with objects in it cannot be deleted.")
}

fn policy() -> Resource {
    let all = list![attribute(&format!("{BUCKET}.Arn")), sub(&format!("${{{BUCKET}.Arn}}/*"))];
    Resource::new(
        "DeadPolicy",
        "AWS::S3::BucketPolicy",
        map! { "Bucket": reference(BUCKET), "PolicyDocument": document(vec![deny_without_tls("s3:*", all)]) },
    )
}
