"""Produces records directly, one every few milliseconds, and reads them through `bootstrap`; prints the ages in microseconds."""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition


def settings(bootstrap: str, login: str, password: str) -> dict:
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": login,
        "sasl.password": password,
    }


def main() -> None:
    want = json.loads(sys.argv[1])
    producer = Producer(settings(want["direct"], want["admin"], want["admin_password"]) | {"linger.ms": 0, "acks": "all"})
    consumer = Consumer(
        settings(want["bootstrap"], want["login"], want["password"])
        | {"group.id": want["group"], "enable.auto.commit": False, "fetch.wait.max.ms": 500}
    )
    _, high = consumer.get_watermark_offsets(TopicPartition(want["topic"], 0), timeout=30)
    consumer.assign([TopicPartition(want["topic"], 0, high)])
    ages = []
    value = bytes.fromhex(want["value"])
    headers = [(name, text.encode()) for name, text in want["headers"]]
    for number in range(want["count"] + 20):
        sent = time.perf_counter_ns()
        producer.produce(want["topic"], value, want["key"], partition=0, headers=headers)
        producer.poll(0)
        message = consumer.poll(30)
        if message is None or message.error():
            sys.exit("no record within 30 s" if message is None else str(message.error()))
        if number >= 20:
            ages.append((time.perf_counter_ns() - sent) / 1000)
        time.sleep(0.001)
    ages.sort()
    print(json.dumps({"p50_us": ages[len(ages) // 2], "p99_us": ages[len(ages) * 99 // 100], "count": len(ages)}))
    consumer.close()


main()
