// KafkaJS, driven by one JSON argument; see ../README.md.
'use strict'

const { performance } = require('node:perf_hooks')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4js')
const { decompress } = require('fzstd')

// KafkaJS brings gzip only. These three are plain JavaScript (nothing prebuilt is downloaded); zstd can only be read.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async () => { throw new Error('this client only reads zstd') },
  decompress: async (buffer) => Buffer.from(decompress(buffer)),
})

const COMPRESSION = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4 }

const emit = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`)
const hexed = (value) => (value === null || value === undefined ? null : Buffer.from(value).toString('hex'))
const unhexed = (value) => (value === null || value === undefined ? null : Buffer.from(value, 'hex'))

function emitError (error, topic) {
  const root = error.cause && error.cause.type ? error.cause : error
  emit('error', { code: root.code ?? null, name: root.type ?? root.name, text: root.message, topic, fatal: !root.retriable })
}

// One access token by client credentials (RFC 6749 section 4.4), as docs/how-to/subscribe.md shows.
function accessToken ({ url, clientId, clientSecret, scope, ca }) {
  const form = new URLSearchParams({ grant_type: 'client_credentials', scope }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': form.length }
  return new Promise((resolve, reject) => {
    const asked = require('https').request(url, { method: 'POST', headers, auth: `${clientId}:${clientSecret}`, ca }, (answer) => {
      let body = ''
      answer.on('data', (chunk) => { body += chunk })
      answer.on('end', () => (answer.statusCode === 200
        ? resolve({ value: JSON.parse(body).access_token })
        : reject(new Error(`no token: ${answer.statusCode} ${body}`))))
    })
    asked.on('error', reject)
    asked.end(form)
  })
}

// The settings and the group of a request that names a configuration file.
function configured (request) {
  if (!request.config_file) return request
  const config = JSON.parse(require('fs').readFileSync(request.config_file))
  const settings = { ...config.kafka, ...request.settings }
  if (config.token) settings.sasl.oauthBearerProvider = () => accessToken(config.token)
  return { bootstrap: '', group: config.groupId, ...request, settings }
}

function open (request) {
  const sasl = request.login
    ? { mechanism: request.mechanism || 'scram-sha-512', username: request.login, password: request.password }
    : undefined
  const clientId = 'test-kafkajs'
  const retry = { retries: 8, initialRetryTime: 100, maxRetryTime: 2000 }
  // KafkaJS logs JSON to standard output; ours is for events.
  const logCreator = () => ({ label, log }) => process.stderr.write(`${label} ${JSON.stringify(log)}\n`)
  const brokers = request.bootstrap.split(',')
  return new Kafka({ clientId, brokers, sasl, ssl: false, retry, logLevel: logLevel.INFO, logCreator, ...request.settings })
}

// Microseconds since 1970. Date tells whole milliseconds; the part of one comes from the clock that runs since the start. Cut
// off, a reading would be told to be from before its disclosure, which is written in the same millisecond.
function micros () {
  const whole = Date.now()
  const exact = performance.timeOrigin + performance.now()
  return Math.floor(Math.min(Math.max(exact, whole), whole + 0.999) * 1000)
}

async function consume (asked) {
  const request = configured(asked)
  const consumer = open(request).consumer({
    groupId: request.group, sessionTimeout: 10000, heartbeatInterval: 1000, rebalanceTimeout: 10000, maxWaitTimeInMs: 500, ...request.consumer,
  })
  let count = 0; let bytes = 0; let fetches = 0; let firstAt = null; let lastAt = null; let last = Date.now()
  let finish
  const finished = new Promise((resolve) => { finish = resolve })
  const next = new Map()
  const ends = new Map()
  const atEnd = () => ends.size > 0 && [...ends].every(([place, end]) => end === 0 || (next.get(place) ?? 0) >= end)

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = Object.entries(payload.memberAssignment).flatMap(([topic, list]) => list.map((p) => [topic, p]))
    emit('assigned', { partitions })
    for (const { topic, partition, offset } of request.seek || []) consumer.seek({ topic, partition, offset: String(offset) })
  })
  consumer.on(consumer.events.FETCH, ({ payload }) => {
    fetches += 1
    if (request.fetches) emit('fetch', { took_ms: payload.duration })
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    emitError(payload.error)
    if (!payload.restart) finish()
  })
  process.once('SIGTERM', finish)
  process.once('SIGINT', finish)

  await consumer.connect()
  const topics = request.pattern ? [new RegExp(request.pattern)] : request.topics
  await consumer.subscribe({ topics, fromBeginning: (request.from || 'earliest') === 'earliest' })
  if (request.until_end) {
    const admin = open(request).admin()
    await admin.connect()
    for (const topic of request.topics) {
      for (const { partition, high, low } of await admin.fetchTopicOffsets(topic)) {
        ends.set(`${topic}/${partition}`, high === low ? 0 : Number(high))
      }
    }
    await admin.disconnect()
  }
  const timer = setInterval(() => {
    if (request.idle_ms !== undefined && Date.now() - last > request.idle_ms) finish()
    if (request.until_end && atEnd()) finish()
  }, 50)

  await consumer.run({
    autoCommit: request.commit === 'auto',
    autoCommitInterval: 300,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      for (const message of batch.messages) {
        if (!isRunning() || isStale()) return
        if (request.max !== undefined && count >= request.max) return finish()
        count += 1
        last = Date.now()
        next.set(`${batch.topic}/${batch.partition}`, Number(message.offset) + 1)
        if (request.summary) {
          firstAt = firstAt ?? micros()
          lastAt = micros()
          bytes += message.value ? message.value.length : 0
        } else {
          emit('record', {
            topic: batch.topic,
            partition: batch.partition,
            offset: Number(message.offset),
            timestamp: Number(message.timestamp),
            timestamp_type: (message.attributes & 8) === 8 ? 'append' : 'create',
            key: hexed(message.key),
            value: hexed(message.value),
            headers: Object.entries(message.headers || {}).flatMap(([name, value]) =>
              (Array.isArray(value) ? value : [value]).map((one) => [name, hexed(one)])),
            at: micros(),
          })
        }
        resolveOffset(message.offset)
        if (request.commit === 'each') {
          await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: String(Number(message.offset) + 1) }])
        }
      }
      await heartbeat()
      if (request.max !== undefined && count >= request.max) finish()
    },
  })
  await finished
  clearInterval(timer)
  if (request.commit === 'end' && count > 0) {
    const offsets = [...next].map(([place, offset]) => {
      const cut = place.lastIndexOf('/')
      return { topic: place.slice(0, cut), partition: Number(place.slice(cut + 1)), offset: String(offset) }
    })
    await consumer.commitOffsets(offsets).catch(emitError)
    emit('committed', { offsets: offsets.map((o) => [o.topic, o.partition, Number(o.offset)]) })
  }
  await consumer.disconnect()
  emit('done', { count, fetches, ...(request.summary ? { bytes, first_at: firstAt, last_at: lastAt } : {}) })
}

async function produce (request) {
  const producer = open(request).producer()
  await producer.connect()
  const messages = request.records.map((record) => ({
    key: unhexed(record.key),
    value: unhexed(record.value),
    headers: Object.fromEntries((record.headers || []).map(([name, value]) => [name, unhexed(value)])),
    ...(record.partition === undefined || record.partition === null ? {} : { partition: record.partition }),
    ...(record.timestamp === undefined || record.timestamp === null ? {} : { timestamp: String(record.timestamp) }),
  }))
  let count = 0
  try {
    const acks = request.acks === undefined || request.acks === 'all' ? -1 : Number(request.acks)
    const answers = await producer.send({ topic: request.topic, acks, compression: COMPRESSION[request.compression || 'none'], messages })
    for (const answer of answers || []) {
      emit('delivered', { topic: answer.topicName, partition: answer.partition, offset: Number(answer.baseOffset) })
    }
    count = messages.length
  } catch (error) {
    emitError(error, request.topic)
  }
  await producer.disconnect()
  emit('done', { count })
}

async function withAdmin (request, work) {
  const admin = open(request).admin()
  await admin.connect()
  try {
    await work(admin)
  } catch (error) {
    emitError(error)
  }
  await admin.disconnect()
  emit('done', { count: 0 })
}

const metadata = (request) => withAdmin(request, async (admin) => {
  const { topics } = await admin.fetchTopicMetadata({ topics: request.topics })
  for (const { name, partitions } of topics) emit('topic', { topic: name, partitions: partitions.map((p) => p.partitionId).sort((a, b) => a - b) })
  for (const { nodeId, host, port } of (await admin.describeCluster()).brokers) emit('broker', { id: nodeId, host, port })
})

const committed = (request) => withAdmin(request, async (admin) => {
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId: request.group, topics: request.topics })) {
    for (const { partition, offset } of partitions) emit('offset', { topic, partition, offset: offset === '-1' ? null : Number(offset) })
  }
})

const offsets = (request) => withAdmin(request, async (admin) => {
  for (const topic of request.topics) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      emit('offsets', { topic, partition, low: Number(low), high: Number(high) })
    }
  }
})

const createTopic = (request) => withAdmin(request, async (admin) => {
  await admin.createTopics({ topics: [{ topic: request.topic, numPartitions: 1, replicationFactor: 1 }] })
  emit('created', { topic: request.topic })
})

const OPERATIONS = { consume, produce, metadata, committed, offsets, create_topic: createTopic }

const request = JSON.parse(process.argv[2])
OPERATIONS[request.op](request).then(() => process.exit(0), (error) => {
  emitError(error)
  process.exit(3)
})
