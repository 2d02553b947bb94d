"""The job of `invoke`, written as AWS's own samples write it: what ours is measured beside.

A batch of Kinesis records is decoded, scored by one call of a SageMaker endpoint and sent on, with
its scores, as one message of a FIFO queue.
"""

import base64
import json
import os

import boto3

sagemaker = boto3.client("sagemaker-runtime")
sqs = boto3.client("sqs")

ENDPOINT_NAME = os.environ["ENDPOINT_NAME"]
QUEUE_URL = os.environ["QUEUE_URL"]


def lambda_handler(event, context):
    readings = []
    for record in event["Records"]:
        payload = json.loads(base64.b64decode(record["kinesis"]["data"]))
        readings.append(
            {
                "sequence_number": record["kinesis"]["sequenceNumber"],
                "series": payload["device"],
                "time": payload["ts"],
                "features": [float(payload["temperature"]), float(payload["vibration"])],
            }
        )

    response = sagemaker.invoke_endpoint(
        EndpointName=ENDPOINT_NAME,
        ContentType="text/csv",
        Accept="application/json",
        Body="\n".join(",".join(str(value) for value in reading["features"]) for reading in readings),
    )
    scores = json.loads(response["Body"].read())["scores"]
    for reading, score in zip(readings, scores, strict=True):
        reading["score"] = score["score"]

    shard = event["Records"][0]["eventID"].split(":")[0]
    sqs.send_message(
        QueueUrl=QUEUE_URL,
        MessageBody=json.dumps({"partition": shard, "rows": readings}),
        MessageGroupId=shard,
        MessageDeduplicationId=readings[0]["sequence_number"] + "-" + readings[-1]["sequence_number"][-8:],
    )
    return {"batchItemFailures": []}
