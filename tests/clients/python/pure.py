"""kafka-python and aiokafka reading and listing topics, driven by one JSON argument; see ../README.md."""

import asyncio
import json
import signal
import ssl
import sys
import time


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def emit_error(error):
    emit("error", code=getattr(error, "errno", None), name=type(error).__name__, text=str(error), fatal=True)


def hexed(value):
    return None if value is None else bytes(value).hex()


def connection(request):
    config = {"bootstrap_servers": request["bootstrap"].split(","), "client_id": f"test-{request['client']}"}
    if request.get("login"):
        config |= {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": request["login"],
            "sasl_plain_password": request["password"],
        }
    config |= request.get("settings", {})
    if request["client"] == "aiokafka" and "ssl_cafile" in config:
        config["ssl_context"] = ssl.create_default_context(cafile=config.pop("ssl_cafile"))
    return config


def settings(request):
    config = {
        "group_id": request["group"],
        "auto_offset_reset": request.get("from", "earliest"),
        "enable_auto_commit": False,
    }
    return config | connection(request)


def emit_record(record):
    emit(
        "record",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        timestamp_type={0: "create", 1: "append"}.get(record.timestamp_type, "none"),
        key=hexed(record.key),
        value=hexed(record.value),
        headers=[[name, hexed(value)] for name, value in record.headers],
        at=time.time_ns() // 1000,
    )


class Ends:
    """The request's end condition: so many records, or so long without one."""

    def __init__(self, request):
        self.max, self.idle_ms = request.get("max"), request.get("idle_ms")
        self.count, self.last, self.stopped = 0, time.monotonic(), False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))

    def saw(self, record):
        emit_record(record)
        self.count, self.last = self.count + 1, time.monotonic()

    def full(self):
        return self.max is not None and self.count >= self.max

    def reached(self):
        idle = self.idle_ms is not None and (time.monotonic() - self.last) * 1000 > self.idle_ms
        return self.stopped or idle or self.full()


def kafka_python(request):
    from kafka import KafkaConsumer

    consumer, ends = KafkaConsumer(**settings(request)), Ends(request)
    consumer.subscribe(request["topics"])
    while not ends.reached():
        # Joining a group must fit into one poll: with a short one, on a loaded machine, it begins again and again.
        for records in consumer.poll(timeout_ms=3000).values():
            for record in records:
                if not ends.full():
                    ends.saw(record)
    if request.get("commit") == "end" and ends.count:
        consumer.commit()
    consumer.close()
    emit("done", count=ends.count)


async def aiokafka(request):
    from aiokafka import AIOKafkaConsumer

    consumer, ends = AIOKafkaConsumer(*request["topics"], **settings(request)), Ends(request)
    await consumer.start()
    try:
        while not ends.reached():
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for record in records:
                    if not ends.full():
                        ends.saw(record)
        if request.get("commit") == "end" and ends.count:
            await consumer.commit()
    finally:
        await consumer.stop()
    emit("done", count=ends.count)


def emit_cluster(topics, brokers):
    for name, partitions in sorted(topics):
        emit("topic", topic=name, partitions=sorted(partitions))
    for number, host, port in brokers:
        emit("broker", id=number, host=host, port=port)
    emit("done", count=0)


def kafka_python_metadata(request):
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(**connection(request))
    topics = [(t["name"], [p["partition_index"] for p in t["partitions"]]) for t in admin.describe_topics()]
    brokers = [(b["broker_id"], b["host"], b["port"]) for b in admin.describe_cluster()["brokers"]]
    admin.close()
    emit_cluster(topics, brokers)


async def aiokafka_metadata(request):
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(**connection(request))
    await admin.start()
    try:
        topics = [(t["topic"], [p["partition"] for p in t["partitions"]]) for t in await admin.describe_topics()]
        brokers = [(b["node_id"], b["host"], b["port"]) for b in (await admin.describe_cluster())["brokers"]]
    finally:
        await admin.close()
    emit_cluster(topics, brokers)


OPERATIONS = {
    ("kafka-python", "consume"): kafka_python,
    ("kafka-python", "metadata"): kafka_python_metadata,
    ("aiokafka", "consume"): lambda request: asyncio.run(aiokafka(request)),
    ("aiokafka", "metadata"): lambda request: asyncio.run(aiokafka_metadata(request)),
}


def main():
    request = json.loads(sys.argv[1])
    try:
        OPERATIONS[request["client"], request["op"]](request)
    except Exception as error:  # whatever the client throws is the test's matter
        emit_error(error)
        sys.exit(3)


if __name__ == "__main__":
    main()
