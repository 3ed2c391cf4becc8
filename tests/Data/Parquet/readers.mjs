// Prints the columns and rows of a Parquet file as one of three readers that share no code sees them: duckdb (C++), rust, javascript.
// npm install @duckdb/node-api parquet-wasm apache-arrow hyparquet hyparquet-compressors; then, in that folder,
// node --input-type=module - <reader> <file> < readers.mjs. Integers are written as text, floating-point numbers as their 64 bits.
import fs from 'node:fs'

const [reader, file] = process.argv.slice(2)
const kinds = {
  DOUBLE: 'number', Float64: 'number', BIGINT: 'integer', Int64: 'integer', INT64: 'integer', VARCHAR: 'text', Utf8: 'text', BYTE_ARRAY: 'text',
}

// The readers decode UTF-8 with it, and it drops a byte order mark unless told not to.
globalThis.TextDecoder = class extends TextDecoder { constructor(label, options) { super(label, { ...options, ignoreBOM: true }) } }

const readers = {
  async duckdb() {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const result = await connection.runAndReadAll(`select * from read_parquet('${file.replaceAll("'", "''")}')`)
    const types = result.columnTypes()
    return { columns: result.columnNames().map((name, i) => [name, kinds[types[i]]]), rows: result.getRows() }
  },
  async rust() {
    const [wasm, arrow] = [await import('parquet-wasm/node'), await import('apache-arrow')]
    const table = arrow.tableFromIPC(wasm.readParquet(fs.readFileSync(file)).intoIPCStream())
    const columns = table.schema.fields.map(field => [field.name, kinds[field.type]])
    return { columns, rows: Array.from({ length: table.numRows }, (_, row) => columns.map((_, i) => table.getChildAt(i).get(row))) }
  },
  async javascript() {
    const { parquetMetadata, parquetReadObjects, parquetSchema } = await import('hyparquet')
    const { compressors } = await import('hyparquet-compressors')
    const bytes = new Uint8Array(fs.readFileSync(file)).buffer
    const columns = parquetSchema(parquetMetadata(bytes)).children.map(({ element }) => [element.name, kinds[element.type]])
    const rows = await parquetReadObjects({ file: bytes, compressors })
    return { columns, rows: rows.map(row => columns.map(([name]) => row[name])) }
  },
}

const bits = new DataView(new ArrayBuffer(8))
const cell = (value, kind) => {
  if (value === null || value === undefined) return null
  if (kind !== 'number') return String(value)
  bits.setFloat64(0, value)
  return bits.getBigUint64(0).toString(16).padStart(16, '0')
}
const { columns, rows } = await readers[reader]()
const lines = [columns, ...rows.map(row => row.map((value, i) => cell(value, columns[i][1])))].map(line => JSON.stringify(line) + '\n')
for (let at = 0; at < lines.length; at += 10_000) fs.writeSync(1, lines.slice(at, at + 10_000).join(''))
