"""Runs `lambda_function.lambda_handler` against the Lambda Runtime API.

It does less than AWS's own `awslambdaric`, and so flatters Python's start.
"""

import http.client
import json
import os

import lambda_function

API = "/2018-06-01/runtime/invocation/"


def main():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", API + "next")
        response = connection.getresponse()
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        event = json.loads(response.read())
        try:
            path, answer = "/response", lambda_function.lambda_handler(event, None)
        except Exception as error:  # reported, as the runtime would
            path, answer = "/error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        connection.request("POST", API + request_id + path, json.dumps(answer))
        connection.getresponse().read()


main()
