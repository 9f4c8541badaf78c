"""Opens `count` consumers that wait for records, says so, and keeps them until standard input ends."""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition


async def main() -> None:
    want = json.loads(sys.argv[1])
    consumers = []
    for _ in range(want["count"]):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=want["bootstrap"],
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username=want["login"],
            sasl_plain_password=want["password"],
            enable_auto_commit=False,
            fetch_max_wait_ms=500,
        )
        await consumer.start()
        consumer.assign([TopicPartition(want["topic"], 0)])
        await consumer.seek_to_end()
        consumers.append(consumer)
    waits = [asyncio.create_task(consumer.getone()) for consumer in consumers]
    print(json.dumps({"idle": len(consumers)}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for wait in waits:
        wait.cancel()
    for consumer in consumers:
        await consumer.stop()


asyncio.run(main())
