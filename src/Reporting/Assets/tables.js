// Tables and plots of figures whose names are only known when they are read: evaluations and studies.

/** A name as words: bitsPerByte is "bits per byte". */
const words = name => name.replace(/\./g, " · ").replace(/([a-z0-9])([A-Z])/g, (_, before, upper) => `${before} ${upper.toLowerCase()}`);

function cellText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en-US") : format.figures(value, 5);
  return typeof value === "string" ? value : typeof value === "boolean" ? (value ? "yes" : "no") : JSON.stringify(value);
}

/** The class of a cell with text: short ones stay on one line. */
const textClass = text => String(text ?? "").length <= 32 ? "text short" : "text";

/** A table of objects that can be sorted by any of its columns.
 *  @param columns [{key, name, text, best, format}]; best is "low" or "high" where the best value is marked. */
function recordTable(columns, rows) {
  const body = element("tbody");
  const heads = columns.map(column => element("th", { class: column.text ? "text" : null, scope: "col" }, element("button", { type: "button", onclick: () => sort(column) }, column.name)));
  let sorted = null;
  const best = new Map(columns.filter(column => column.best && rows.length > 1).map(column => {
    const values = rows.map(row => row[column.key]).filter(value => typeof value === "number");
    return [column.key, values.length > 1 ? (column.best === "low" ? Math.min(...values) : Math.max(...values)) : null];
  }));
  const fill = order => body.replaceChildren(...order.map(row => element("tr", {}, columns.map(column => {
    const value = row[column.key];
    const kind = column.text ? textClass(value) : best.has(column.key) && value === best.get(column.key) ? "best" : null;
    return element("td", { class: kind }, column.cell ? column.cell(row) : (column.format ?? cellText)(value));
  }))));
  const sort = column => {
    sorted = { column, down: sorted?.column === column && !sorted.down };
    heads.forEach((head, i) => columns[i] === column ? head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    const rank = row => row[column.key] ?? null;
    fill([...rows].sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y))) * (sorted.down ? -1 : 1);
    }));
  };
  fill(rows);
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, heads)), body));
}

/** The columns that some rows have, those of a list first. */
function columnsOf(rows, first = []) {
  const keys = [...new Set(rows.flatMap(row => Object.keys(row)))].filter(key => rows.some(row => row[key] !== null));
  return [...first.filter(key => keys.includes(key)), ...keys.filter(key => !first.includes(key))]
    .map(key => ({ key, name: words(key), text: rows.some(row => typeof row[key] === "string") }));
}

const isList = value => Array.isArray(value) && value.length > 0;
const isRecord = value => value !== null && typeof value === "object" && !Array.isArray(value);

/** Lists of records, or several lists of one length, as records; null for anything else. */
function asRecords(value) {
  if (isList(value) && value.every(isRecord)) return value;
  if (isList(value) && value.length > 1 && value.every(item => typeof item === "number" || item === null)) return value.map((item, index) => ({ index, value: item }));
  if (!isRecord(value)) return null;
  const lists = Object.values(value);
  if (lists.length < 2 || !lists.every(list => isList(list) && list.length === lists[0].length)) return null;
  return lists[0].map((_, i) => Object.fromEntries(Object.entries(value).map(([key, list]) => [key, list[i]])));
}

/** Splits what a file of figures says into single figures and lists of records. */
function splitFigures(content, path = "") {
  const parts = { figures: {}, lists: {} };
  for (const [key, value] of Object.entries(content)) {
    const name = path ? `${path}.${key}` : key, records = asRecords(value);
    if (records) parts.lists[name] = records;
    else if (isRecord(value)) {
      const inner = splitFigures(value, name);
      Object.assign(parts.figures, inner.figures);
      Object.assign(parts.lists, inner.lists);
    } else parts.figures[name] = value;
  }
  return parts;
}

/** One plot over all rows: a line for each value of the series key.
 *  @param plot {title, x, y, series, logY} */
function recordPlot(plot, rows, group = []) {
  const names = [...new Set(rows.map(row => plot.series ? cellText(row[plot.series]) : words(plot.y)))];
  const chart = new LineChart({ title: plot.title ?? `${words(plot.y)} by ${words(plot.x)}`, xName: plot.xName ?? words(plot.x), formatX: value => cellText(Number(value.toPrecision(6))), formatY: value => format.figures(value, 4), log: plot.logY ?? false, group });
  chart.show(names.map((name, index) => {
    const points = rows.filter(row => (plot.series ? cellText(row[plot.series]) : words(plot.y)) === name && typeof row[plot.x] === "number").sort((a, b) => a[plot.x] - b[plot.x]);
    return { name, index, points: points.length <= 64, x: points.map(row => row[plot.x]), y: points.map(row => typeof row[plot.y] === "number" ? row[plot.y] : null) };
  }));
  const legend = element("div", { class: "controls print keys" }, element("div", { class: "legend" }, names.map((name, index) => element("span", { class: "group small" }, lineSample(index), name))));
  return element("div", {}, names.length > 1 ? legend : null, chart.root);
}

/** Which of a record's figures is the place, and which the value at it. */
function axesOf(records) {
  const numbers = Object.keys(records[0]).filter(key => records.every(record => typeof record[key] === "number" || record[key] === null));
  const x = ["position", "to", "end", "from", "start", "length", "index"].find(key => numbers.includes(key)) ?? numbers[0];
  const y = ["loss", "meanLoss", "perplexity", "accuracy", "negativeLogLikelihood", "value"].find(key => numbers.includes(key) && key !== x) ?? numbers.find(key => key !== x);
  return x && y ? { x, y, xName: ["to", "end", "from", "start", "index"].includes(x) ? "position" : words(x) } : null;
}

/** Records as they are plotted: counts as a share, and a line for each depth at which something was hidden. */
function plotted(label, record) {
  const share = typeof record.found === "number" && record.trials > 0 ? { accuracy: record.found / record.trials } : {};
  return { line: typeof record.depth === "number" ? `${label}, depth ${record.depth}` : label, ...record, ...share };
}

// What must be equal for the best figure of a column to mean anything.
const conditions = ["data", "window", "stride", "tokenizer", "vocabularySize", "documentsApart", "beginningToken", "beginningInEveryWindow"];
const bests = { meanLoss: "low", perplexity: "low", bitsPerByte: "low", bitsPerToken: "low", accuracy: "high", topAccuracy: "high", bleu: "high" };

/** Every evaluation of every run: a table of single figures, then each list as a plot and a table that can be opened. */
function evaluationSection(evaluations) {
  const parts = evaluations.map(({ run, name, content }) => ({ label: evaluations.some(other => other.run === run && other.name !== name) ? `${run} · ${name}` : run, run, file: name, ...splitFigures(content) }));
  const rows = parts.map(({ run, file, figures }) => ({ run, file, ...figures }));
  const important = ["run", "file", "perplexity", "meanLoss", "bitsPerByte", "bitsPerToken", "bleu", "accuracy", "topAccuracy", "tokens", "window", "stride", "tokenizer", "data"], all = columnsOf(rows, important), columns = all.filter(column => important.includes(column.key));
  const comparable = conditions.every(key => rows.every(row => (row[key] ?? null) === (rows[0][key] ?? null)));
  for (const column of columns) column.best = comparable ? bests[column.key] : undefined;
  const lists = [...new Set(parts.flatMap(part => Object.keys(part.lists)))].map(key => {
    const records = parts.filter(part => part.lists[key]).flatMap(part => part.lists[key].map(record => ({ run: part.label, ...record })));
    const points = records.map(({ run, ...record }) => plotted(run, record)), axes = axesOf(points);
    return element("div", {}, axes && points.length > 1 ? recordPlot({ ...axes, title: `${words(axes.y)} by ${axes.xName}`, series: "line" }, points) : element("h3", {}, words(key)),
      element("details", {}, element("summary", { class: "small" }, `Table of ${records.length.toLocaleString("en-US")} rows`), recordTable(columnsOf(records, ["run"]), records.slice(0, 2000)),
        records.length > 2000 ? element("p", { class: "quiet small" }, "The first 2,000 rows are shown.") : null));
  });
  return element("section", {}, ...[element("h2", {}, "Evaluations"), recordTable(columns, rows),
    all.length > columns.length ? element("details", {}, element("summary", { class: "small" }, `All ${all.length} figures`), recordTable(all, rows)) : null,
    element("p", { class: "quiet small" }, comparable || rows.length === 1 ? "" : "These figures were not measured alike, so that no best one is marked: they compare only where data, window, stride and tokenizer are the same (bits per byte also between tokenizers)."), ...lists].filter(part => part !== null));
}

const LONG_TABLE = 80;   // rows; longer ones are opened by those who want them

/** A study: its title, its table, its plots. */
function studySection({ run, name, content }) {
  const rows = isList(content.rows) ? content.rows.filter(isRecord) : [];
  return element("section", {}, element("h2", {}, cellText(content.title ?? `${run}: ${name}`)),
    content.description ? element("p", {}, cellText(content.description)) : null,
    !rows.length ? element("p", { class: "quiet" }, `${name} has no rows.`) : rows.length <= LONG_TABLE ? recordTable(columnsOf(rows), rows)
      : element("details", {}, element("summary", { class: "small" }, `Table of ${rows.length.toLocaleString("en-US")} rows`), recordTable(columnsOf(rows), rows)),
    element("div", { class: "charts" }, (isList(content.plots) ? content.plots : []).filter(plot => isRecord(plot) && rows.some(row => plot.x in row && plot.y in row)).map(plot => recordPlot(plot, rows))));
}
