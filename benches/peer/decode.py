"""Records a second of `json` and `base64`: python decode.py EVENT.json SAMPLES"""

import base64
import json
import statistics
import sys
import time


def decode(body):
    readings = []
    for record in json.loads(body)["Records"]:
        payload = json.loads(base64.b64decode(record["kinesis"]["data"]))
        features = (float(payload["temperature"]), float(payload["vibration"]))
        readings.append((record["kinesis"]["sequenceNumber"], payload["device"], payload["ts"], features))
    return readings


def main():
    with open(sys.argv[1], "rb") as file:
        body = file.read()
    rates = []
    for _ in range(int(sys.argv[2])):
        began = time.thread_time_ns()
        records = len(decode(body))
        rates.append(records * 1e9 / (time.thread_time_ns() - began))
    print(json.dumps({"python": statistics.median(rates)}))


main()
