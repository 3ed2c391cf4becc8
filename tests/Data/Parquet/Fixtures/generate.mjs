// Writes the Parquet files that the tests read, with four writers that share no code:
//   parquet-wasm 0.7 (Rust arrow), DuckDB 1.4 (C++), hyparquet-writer 0.17 and @dsnp/parquetjs 1.8 (JavaScript).
// npm install parquet-wasm@0.7 apache-arrow hyparquet-writer @duckdb/node-api @dsnp/parquetjs && node generate.mjs <folder>
// The tests read the results, so this runs only when files are to be added. Values are in values.json: null or a string.
import fs from 'node:fs'
import path from 'node:path'

const folder = process.argv[2] ?? '.'
const rows = 240
const words = 'the of attention is all you need naïve Straße 漢字 仮名 😀 zażółć gęślą jaźń'.split(' ')
let state = 12345
const random = n => (state = (Math.imul(state, 1103515245) + 12345) >>> 0, (state >>> 8) % n)
const sentence = () => Array.from({ length: random(9) }, () => words[random(words.length)]).join(' ')

const values = Array.from({ length: rows }, (_, i) =>
  i % 40 === 7 ? 'chapter\n'.repeat(60) + i : random(6) === 0 ? null : random(3) === 0 ? `common ${random(5)}` : sentence())
const whole = values.map(v => v ?? '')
fs.writeFileSync(path.join(folder, 'values.json'), JSON.stringify(values, null, 0).replaceAll('","', '",\n"') + '\n')

const save = (name, bytes) => { fs.writeFileSync(path.join(folder, name), bytes); console.log(name, bytes.length) }

// --- Rust: every codec, every encoding, both page versions, neighbours of other types
{
  const wasm = await import('parquet-wasm/node')
  const arrow = await import('apache-arrow')
  const text = arrow.vectorFromArray(values, new arrow.Utf8())
  const table = new arrow.Table({
    id: arrow.vectorFromArray(values.map((_, i) => i), new arrow.Int32()),
    tags: arrow.vectorFromArray(values.map((_, i) => i % 3 ? ['a', `b${i}`] : i % 2 ? [] : null), new arrow.List(new arrow.Field('item', new arrow.Utf8(), true))),
    meta: arrow.vectorFromArray(values.map((v, i) => i % 5 === 0 ? null : { body: v, score: i / 7 }),
      new arrow.Struct([new arrow.Field('body', new arrow.Utf8(), true), new arrow.Field('score', new arrow.Float64(), true)])),
    text,
  })
  const ipc = arrow.tableToIPC(table, 'stream')
  const { Compression, Encoding, WriterVersion, WriterPropertiesBuilder } = wasm
  const write = (name, build) => save(name, wasm.writeParquet(wasm.Table.fromIPCStream(ipc), build(new WriterPropertiesBuilder()
    .setMaxRowGroupSize(100).setDataPageSizeLimit(1500).setWriteBatchSize(16)).build()))
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'LZ4', 'ZSTD', 'LZ4_RAW'])
    write(`rust-${codec.toLowerCase()}-v1-dictionary.parquet`, p => p.setCompression(Compression[codec]).setWriterVersion(WriterVersion.V1))
  for (const codec of ['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'LZ4', 'ZSTD', 'LZ4_RAW'])
    write(`rust-${codec.toLowerCase()}-v2-plain.parquet`, p => p.setCompression(Compression[codec]).setWriterVersion(WriterVersion.V2)
      .setDictionaryEnabled(false).setColumnEncoding('text', Encoding.PLAIN))
  for (const version of ['V1', 'V2'])
    for (const encoding of ['DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY', 'PLAIN'])
      write(`rust-zstd-${version.toLowerCase()}-${encoding.toLowerCase()}.parquet`, p => p.setCompression(Compression.ZSTD).setWriterVersion(WriterVersion[version])
        .setDictionaryEnabled(false).setColumnEncoding('text', Encoding[encoding]))
  write('rust-snappy-v2-fallback.parquet', p => p.setCompression(Compression.SNAPPY).setWriterVersion(WriterVersion.V2).setDictionaryPageSizeLimit(600))
}

// --- C++: DuckDB
{
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const db = await (await DuckDBInstance.create(':memory:')).connect()
  await db.run('create table t(n integer, text varchar, list varchar[], pair struct(body varchar, n integer))')
  for (const [i, v] of values.entries()) {
    const s = v === null ? 'null' : `'${v.replaceAll("'", "''")}'`
    await db.run(`insert into t values (${i}, ${s}, ['x', ${s}], {body: ${s}, n: ${i}})`)
  }
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'])
    for (const version of ['V1', 'V2']) {
      const name = path.join(folder, `duckdb-${codec}-${version.toLowerCase()}.parquet`)
      await db.run(`copy (select * from t order by n) to '${name}' (format parquet, codec '${codec}', parquet_version '${version}', row_group_size 100, dictionary_size_limit ${version === 'V2' ? 1 : 1000000})`)
      console.log(name, fs.statSync(name).size)
    }
}

// --- JavaScript: hyparquet-writer
{
  const { parquetWriteBuffer } = await import('hyparquet-writer')
  for (const encoding of ['PLAIN', 'RLE_DICTIONARY', 'DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY'])
    save(`hyparquet-snappy-${encoding.toLowerCase()}.parquet`, Buffer.from(parquetWriteBuffer({
      columnData: [
        { name: 'n', data: values.map((_, i) => i), type: 'INT32' },
        { name: 'text', data: values, type: 'STRING', nullable: true, encoding },
      ], rowGroupSize: 100, pageSize: 1500,
    })))
  save('hyparquet-uncompressed-required.parquet', Buffer.from(parquetWriteBuffer({
    columnData: [{ name: 'text', data: whole, type: 'STRING', nullable: false }], codec: 'UNCOMPRESSED', rowGroupSize: 100,
  })))
}

// --- JavaScript: parquetjs
{
  const parquet = (await import('@dsnp/parquetjs')).default
  for (const [codec, v2] of [['UNCOMPRESSED', false], ['SNAPPY', true], ['GZIP', false], ['BROTLI', true]]) {
    const schema = new parquet.ParquetSchema({
      n: { type: 'INT64' },
      many: { type: 'UTF8', repeated: true },
      text: { type: 'UTF8', optional: true, compression: codec },
      group: { optional: true, fields: { body: { type: 'UTF8', optional: true, compression: codec } } },
    })
    const name = path.join(folder, `parquetjs-${codec.toLowerCase()}-${v2 ? 'v2' : 'v1'}.parquet`)
    const writer = await parquet.ParquetWriter.openFile(schema, name, { useDataPageV2: v2, rowGroupSize: 100, pageSize: 1500 })
    for (const [i, v] of values.entries())
      await writer.appendRow({ n: i, many: ['p', 'q'], ...(v === null ? {} : { text: v }), ...(i % 5 === 0 ? {} : { group: v === null ? {} : { body: v } }) })
    await writer.close()
    console.log(name, fs.statSync(name).size)
  }
}
