"""Reads `count` records of one topic with librdkafka as fast as it goes and prints one JSON line.

Timed in the client from the first record to the last, so that start-up and rebalance do not count. The fetch settings keep
librdkafka's own queue from being the bottleneck: its default back-off of a second when the queue is full would make a
direct reader several times slower and any proxy look good.
"""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition


def main() -> None:
    want = json.loads(sys.argv[1])
    consumer = Consumer(
        {
            "bootstrap.servers": want["bootstrap"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": want["login"],
            "sasl.password": want["password"],
            "group.id": want["group"],
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 1000000,
            "queued.max.messages.kbytes": 262144,
            "fetch.message.max.bytes": 1048576,
            "check.crcs": False,
        }
    )
    consumer.assign([TopicPartition(want["topic"], partition, offset) for partition, offset in enumerate(want["begin"])])
    left, size, first = want["count"], 0, 0.0
    while left > 0:
        batch = consumer.consume(min(left, 10000), timeout=30)
        if not batch:
            sys.exit("no records for 30 s")
        if not first:
            # The first batch waited for the connection: it is not counted.
            first, counted_from = time.perf_counter(), want["count"] - left + len(batch)
        else:
            size += sum(len(message.value()) for message in batch)
        for message in batch:
            if message.error():
                sys.exit(str(message.error()))
        left -= len(batch)
    seconds = time.perf_counter() - first
    records = want["count"] - counted_from - left
    print(json.dumps({"records": records, "bytes": size, "seconds": seconds}))
    consumer.close()


main()
