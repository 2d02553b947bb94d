"""Calls a SageMaker endpoint (or `anomaly serve`) with boto3 and checks the answers against each other.

usage: boto3_invoke.py URL [COLUMNS]

URL is what `anomaly serve` prints; COLUMNS is the number of features of its model (default 4). Exits 0 if all is
as it should be, and 1 with a reason otherwise.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT = "any-endpoint"


def client(url):
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60),
    )


def invoke(runtime, content_type, body):
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType=content_type, Body=body)
    check(answer["InvokedProductionVariant"] == "AllTraffic", f"variant {answer['InvokedProductionVariant']!r}")
    return [row["score"] for row in json.loads(answer["Body"].read())["scores"]]


def check(holds, reason):
    if not holds:
        sys.exit(f"boto3_invoke: {reason}")


def check_scores(runtime, columns):
    rows = [[(n * 7 + column) % 13 + n / 8 for column in range(columns)] for n in range(20)]
    csv = "\n".join(",".join(map(repr, row)) for row in rows)
    plain = {"instances": [{"features": row} for row in rows]}
    nested = {"instances": [{"data": {"features": {"values": row}}} for row in rows]}
    # The last column first, and no zeros.
    some = [{column: row[column] for column in reversed(range(columns)) if row[column]} for row in rows]
    sparse = [{"keys": list(row), "values": list(row.values()), "shape": [columns]} for row in some]
    sparse = [{"data": {"features": row}} for row in sparse]
    scores = invoke(runtime, "text/csv", csv)
    check(len(scores) == len(rows), f"{len(scores)} scores for {len(rows)} rows")
    check(all(isinstance(score, float) and 0 <= score < 100 for score in scores), f"scores {scores}")
    for content_type, body in [
        ("text/csv; label_size=0", csv + "\n"),
        ("application/json", json.dumps(plain)),
        ("application/json", json.dumps(nested)),
        ("application/json", json.dumps({"instances": sparse})),
        ("application/jsonlines", "\n".join(map(json.dumps, sparse))),
    ]:
        found = invoke(runtime, content_type, body)
        check(found == scores, f"{content_type} gives {found}, text/csv gave {scores}")


def check_refusal(runtime):
    try:
        invoke(runtime, "text/csv", "1,x")
    except ClientError as problem:
        code, status = problem.response["Error"]["Code"], problem.response.get("OriginalStatusCode")
        check((code, status) == ("ModelError", 400), f"a bad row gives {code} with original status {status}")
        reason = problem.response.get("OriginalMessage", "")
        check("row 1, column 2" in reason, f"a bad row gives the reason {reason!r}")
    else:
        check(False, "a bad row was scored")


def main():
    check(len(sys.argv) in (2, 3), f"usage: {sys.argv[0]} URL [COLUMNS]")
    runtime = client(sys.argv[1])
    try:
        check_scores(runtime, int(sys.argv[2]) if len(sys.argv) == 3 else 4)
        check_refusal(runtime)
    except (BotoCoreError, ClientError) as problem:
        check(False, f"the endpoint failed: {problem}")
    print("boto3_invoke: CSV and JSON agree, a bad row is a ModelError with its reason")


if __name__ == "__main__":
    main()
