"""confluent-kafka, driven by one JSON argument; see ../README.md."""

import json
import signal
import sys
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

stopped = False


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}, ensure_ascii=False, default=str), flush=True)


def emit_error(error, topic=None):
    if isinstance(error, KafkaException):
        error = error.args[0]
    fields = {"code": error.code(), "name": error.name().lstrip("_"), "text": error.str(), "fatal": error.fatal()}
    emit("error", **fields, **({"topic": topic} if topic else {}))


def hexed(value):
    if value is None:
        return None
    return (value.encode() if isinstance(value, str) else bytes(value)).hex()


def unhexed(value):
    return None if value is None else bytes.fromhex(value)


def settings(request):
    config = {"client.id": "test-confluent"}
    if request.get("config_file"):
        with open(request["config_file"]) as file:
            config |= dict(line.strip().split("=", 1) for line in file if "=" in line and not line.startswith("#"))
    else:
        config["bootstrap.servers"] = request["bootstrap"]
    if request.get("login"):
        config |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": request.get("mechanism", "SCRAM-SHA-512"),
            "sasl.username": request["login"],
            "sasl.password": request["password"],
        }
    # Global errors (login refused, all brokers down) come by callback, not with a poll's answer.
    config["error_cb"] = emit_error
    return config | request.get("settings", {})


# ---- consume ---------------------------------------------------------------------------------------------------


def consumer_of(request):
    base = settings(request)
    config = base | {
        "group.id": request.get("group", base.get("group.id", "unused")),
        "auto.offset.reset": request.get("from", "earliest"),
        "enable.auto.commit": False,
        "enable.partition.eof": bool(request.get("until_end")),
        "group.protocol": request.get("protocol", "classic"),
        # The default of a second makes a reader of a backlog several times slower.
        "fetch.queue.backoff.ms": 5,
    }
    return Consumer(config | request.get("settings", {}))


def open_consumer(request):
    consumer = consumer_of(request)
    seeks = {(s["topic"], s["partition"]): s["offset"] for s in request.get("seek", [])}

    def on_assign(consumer, partitions):
        for partition in partitions:
            partition.offset = seeks.get((partition.topic, partition.partition), partition.offset)
        if request.get("protocol") == "consumer":
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        emit("assigned", partitions=[[p.topic, p.partition] for p in partitions])

    if "assign" in request:
        consumer.assign(
            [TopicPartition(a["topic"], a["partition"], a.get("offset", OFFSET_BEGINNING)) for a in request["assign"]]
        )
        emit("assigned", partitions=[[a["topic"], a["partition"]] for a in request["assign"]])
    else:
        topics = [request["pattern"]] if "pattern" in request else request["topics"]
        consumer.subscribe(topics, on_assign=on_assign)
    return consumer


def messages(consumer, request):
    """Yields messages until the request's end condition or a signal."""
    wanted, idle_ms = request.get("max"), request.get("idle_ms")
    ended, count, last = set(), 0, time.monotonic()
    while not stopped and (wanted is None or count < wanted):
        message = consumer.poll(0.1)
        if message is None:
            if idle_ms is not None and (time.monotonic() - last) * 1000 > idle_ms:
                return
            if ended and ended >= {(p.topic, p.partition) for p in consumer.assignment()}:
                return
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                ended.add((message.topic(), message.partition()))
            else:
                emit_error(message.error(), message.topic())
            continue
        ended.discard((message.topic(), message.partition()))
        count, last = count + 1, time.monotonic()
        yield message


def emit_record(message):
    kind, timestamp = message.timestamp()
    kinds = {TIMESTAMP_CREATE_TIME: "create", TIMESTAMP_LOG_APPEND_TIME: "append"}
    emit(
        "record",
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp=timestamp,
        timestamp_type=kinds.get(kind, "none"),
        key=hexed(message.key()),
        value=hexed(message.value()),
        headers=[[name, hexed(value)] for name, value in message.headers() or []],
        at=time.time_ns() // 1000,
    )


def finish(consumer, request, count, **more):
    if request.get("commit") == "end" and count:
        try:
            offsets = consumer.commit(asynchronous=False) or []
            emit("committed", offsets=[[o.topic, o.partition, o.offset] for o in offsets])
        except KafkaException as error:
            emit_error(error)
    consumer.close()
    emit("done", count=count, **more)


def consume(request):
    consumer, count, size, started, ended = open_consumer(request), 0, 0, None, None
    for message in messages(consumer, request):
        count += 1
        if request.get("summary"):
            started = started or time.time_ns() // 1000
            ended = time.time_ns() // 1000
            size += len(message.value() or b"")
        else:
            emit_record(message)
        if request.get("commit") == "each":
            consumer.commit(message=message, asynchronous=False)
    more = {"bytes": size, "first_at": started, "last_at": ended} if request.get("summary") else {}
    finish(consumer, request, count, **more)


def decode(request):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    deserialise = AvroDeserializer(SchemaRegistryClient(registry_settings(request)))
    consumer, count = open_consumer(request), 0
    for message in messages(consumer, request):
        count += 1
        value = deserialise(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        key = message.key()
        emit("decoded", topic=message.topic(), offset=message.offset(), key=key and key.decode(), value=value)
    finish(consumer, request, count)


# ---- produce, look, administer ---------------------------------------------------------------------------------


def produce(request):
    config = {"compression.type": request.get("compression", "none"), "acks": request.get("acks", "all")}
    # Linger, so that compression sees batches.
    # "commit" or "abort": all records in one transaction that ends so.
    transaction = request.get("transaction")
    if transaction:
        config["transactional.id"] = request["transactional_id"]
    producer = Producer(settings(request) | config | {"linger.ms": 50, "message.timeout.ms": 15000} | request.get("settings", {}))
    count = 0
    if transaction:
        producer.init_transactions(30)
        producer.begin_transaction()

    def delivered(error, message):
        nonlocal count
        if error:
            emit_error(error, message.topic())
        else:
            count += 1
            emit("delivered", topic=message.topic(), partition=message.partition(), offset=message.offset())

    for record in request["records"]:
        options = {name: record[name] for name in ("partition", "timestamp") if record.get(name) is not None}
        headers = [(name, unhexed(value)) for name, value in record.get("headers", [])]
        producer.produce(
            request["topic"],
            key=unhexed(record.get("key")),
            value=unhexed(record.get("value")),
            headers=headers,
            on_delivery=delivered,
            **options,
        )
        producer.poll(0)
    left = producer.flush(30)
    if transaction == "commit":
        producer.commit_transaction(30)
    elif transaction == "abort":
        producer.abort_transaction(30)
    emit("done", count=count, left=left)


def metadata(request):
    admin = AdminClient(settings(request))
    asked = request.get("topics") or [None]
    for topic in asked:
        answer = admin.list_topics(topic, timeout=request.get("timeout", 15))
        for name, entry in sorted(answer.topics.items()):
            if entry.error:
                emit_error(entry.error, name)
            else:
                emit("topic", topic=name, partitions=sorted(entry.partitions))
    for broker in answer.brokers.values():
        emit("broker", id=broker.id, host=broker.host, port=broker.port)
    emit("done", count=len(asked))


def partitions_of(consumer, topics):
    for topic in topics:
        for partition in sorted(consumer.list_topics(topic, timeout=15).topics[topic].partitions):
            yield TopicPartition(topic, partition)


def committed(request):
    consumer = consumer_of(request)
    for entry in consumer.committed(list(partitions_of(consumer, request["topics"])), timeout=15):
        offset = entry.offset if entry.offset >= 0 else None
        emit("offset", topic=entry.topic, partition=entry.partition, offset=offset)
    consumer.close()
    emit("done", count=0)


def offsets(request):
    consumer = consumer_of(request)
    for entry in partitions_of(consumer, request["topics"]):
        low, high = consumer.get_watermark_offsets(entry, timeout=15)
        emit("offsets", topic=entry.topic, partition=entry.partition, low=low, high=high)
    consumer.close()
    emit("done", count=0)


def create_topic(request):
    admin = AdminClient(settings(request))
    answers = admin.create_topics([NewTopic(request["topic"], 1, 1)], request_timeout=15)
    for topic, answer in answers.items():
        try:
            answer.result()
            emit("created", topic=topic)
        except KafkaException as error:
            emit_error(error, topic)
    emit("done", count=1)


# ---- registry --------------------------------------------------------------------------------------------------


def registry_settings(request):
    registry = request["registry"]
    config = {"url": registry["url"]}
    if registry.get("trust"):
        config["ssl.ca.location"] = registry["trust"]
    if registry.get("login"):
        config["basic.auth.user.info"] = f"{registry['login']}:{registry['password']}"
    return config


def registry(request):
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    client = SchemaRegistryClient(registry_settings(request))
    action, subject = request["action"], request.get("subject")
    try:
        match action:
            case "register":
                emit("registry", id=client.register_schema(subject, Schema(request["schema"], "AVRO")))
            case "schema":
                emit("registry", schema=client.get_schema(request["id"]).schema_str)
            case "versions":
                emit("registry", versions=client.get_versions(subject))
            case "compatible":
                emit("registry", compatible=client.test_compatibility(subject, Schema(request["schema"], "AVRO")))
            case other:
                sys.exit(f"unknown action {other}")
    except SchemaRegistryError as error:
        emit("error", code=error.error_code, name=str(error.http_status_code), text=error.error_message, fatal=False)
    emit("done", count=1)


OPERATIONS = {
    "consume": consume,
    "decode": decode,
    "produce": produce,
    "metadata": metadata,
    "committed": committed,
    "offsets": offsets,
    "create_topic": create_topic,
    "registry": registry,
}


def stop(_signal, _frame):
    global stopped
    stopped = True


def main():
    request = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        OPERATIONS[request["op"]](request)
    except KafkaException as error:
        emit_error(error)
        sys.exit(3)


if __name__ == "__main__":
    main()
