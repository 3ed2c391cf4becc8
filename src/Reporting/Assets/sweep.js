// The report of a sweep: a table of its configurations, their parallel coordinates and the curves of their runs.
const paths = data.axes.map(axis => axis.path), shortName = path => path.split(".").pop();
const rows = data.rows.map((row, index) => ({
  ...row.result, index, isBest: row.isBest, curves: row.curves, shown: true,
  name: paths.length ? paths.map((path, i) => `${shortName(path)}=${row.result.values[i]}`).join(", ") : "as the recipe",
}));
const signed = value => value === null || value === undefined ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(4);
const state = row => [row.isBest ? "best" : row.isDropped ? "stopped early" : row.isComplete || row.failed > 0 ? null : "unfinished", row.failed ? `${row.failed} failed` : null].filter(Boolean).join(", ");

function tableSection() {
  const values = rows.map(row => ({
    ...row, number: String(row.configuration + 1), ...Object.fromEntries(paths.map((path, i) => [path, data.axes[i].numbers ? data.axes[i].numbers[row.index] : row.values[i]])),
    difference: row.toBest?.mean, p: row.toBest?.pValue, state: state(row),
  }));
  const columns = [
    { key: "number", name: "", text: true, cell: row => element("span", { class: "named" }, lineSample(row.index), " ", row.number) },
    ...paths.map((path, i) => ({ key: path, name: shortName(path), text: !data.axes[i].numbers, cell: row => row.values[i] })),
    { key: "runs", name: "runs" },
    { key: "mean", name: "best validation loss, mean", best: "low", format: format.loss },
    { key: "deviation", name: "standard deviation", format: format.loss },
    { key: "difference", name: "to the best", format: signed },
    { key: "interval", name: "95 % interval", cell: row => row.toBest?.low === undefined ? "–" : `${signed(row.toBest.low)} … ${signed(row.toBest.high)}` },
    { key: "p", name: "p", format: value => value === null || value === undefined ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3) },
    { key: "steps", name: "steps", format: format.whole },
    { key: "minutes", name: "minutes", format: value => value.toFixed(1) },
    { key: "state", name: "", text: true },
  ];
  const notes = [
    "The loss is the best of each run, in nats per token.",
    rows.some(row => row.toBest) ? (data.seeds > 1
      ? "Differences to the best configuration are paired by seed: mean, 95 % interval and two-sided p of Student's t test. p is that of one comparison: of many configurations, some differ by chance, and the best of many looks better than it is."
      : "With one seed for each configuration nothing can be said of what is chance: sweep with --seeds.") : "",
    data.rungs.length ? `At step ${data.rungs.map(format.whole).join(" and ")} the best 1/${data.halving} of the configurations went on; the others are shown as they were then and are not compared.` : "",
  ];
  return element("section", {}, element("h2", {}, "Configurations"), recordTable(columns, values), element("p", { class: "quiet small" }, notes.filter(Boolean).join(" ")));
}

function parallelSection() {
  if (paths.length === 0) return null;
  const axes = data.axes.map((axis, i) => ({ name: axis.path, numbers: axis.numbers ?? null, texts: rows.map(row => row.values[i]) }));
  axes.push({ name: "validation loss", numbers: rows.map(row => row.mean ?? null), texts: rows.map(row => format.loss(row.mean)) });
  const parallel = new ParallelCoordinates(axes, rows.map(row => ({ name: `configuration ${row.configuration + 1}`, best: row.isBest, quiet: !row.isComplete })));
  return element("section", {}, element("h2", {}, "Parallel coordinates"), parallel.root,
    rows.some(row => !row.isComplete) ? element("p", { class: "quiet small" }, "Dashed: not trained in full.") : null);
}

const chart = new LineChart({ title: "Validation loss (nats per token)", height: 380, wide: true, xName: "step", formatX: format.compact, formatXRead: format.whole, formatY: value => format.figures(value, 4), formatRead: format.loss });
let everyRun = false;

function drawCurves() {
  chart.show(rows.filter(row => row.shown).flatMap(row => {
    const { step, mean, low, high, runs } = row.curves;
    const single = everyRun ? runs.map(run => ({ name: `${row.name}, seed ${run.seed}`, index: row.index, x: run.step, y: run.loss, thin: true, kind: "run" })) : [];
    return [{ name: row.name, index: row.index, x: step, y: mean, low, high, points: step.length <= 60, kind: everyRun ? "mean" : undefined }, ...single];
  }));
}

function curvesSection() {
  const legend = rows.map(row => element("button", { type: "button", "aria-pressed": "true", title: "Show or hide; with Shift, this configuration alone", onclick: event => {
    const alone = event.shiftKey && !(row.shown && rows.every(other => other === row || !other.shown));
    for (const other of rows) other.shown = event.shiftKey ? !alone || other === row : other === row ? !other.shown : other.shown;
    legend.forEach((button, i) => button.setAttribute("aria-pressed", String(rows[i].shown)));
    drawCurves();
  } }, lineSample(row.index), row.name));
  const single = element("input", { type: "checkbox", onchange: () => { everyRun = single.checked; drawCurves(); } });
  return element("section", {}, element("h2", {}, "Curves"), element("div", { class: "controls print" }, element("label", {}, single, " every run"),
    element("button", { type: "button", onclick: () => { chart.range = null; chart.draw(); } }, "whole range"), element("div", { class: "legend" }, legend)),
    element("div", { class: "charts" }, chart.root),
    element("p", { class: "quiet small" }, "A line is the mean over seeds, the band one standard deviation to each side. Drag to zoom in, double-click for the whole range."));
}

function failureSection() {
  if (!data.failures.length) return null;
  return element("section", {}, element("h2", {}, "Failed runs"), recordTable([{ key: "run", name: "run", text: true }, { key: "error", name: "error", text: true }], data.failures));
}

const count = rows.reduce((sum, row) => sum + row.runs, 0);
document.getElementById("main").replaceChildren(...[
  element("header", { class: "head" }, element("div", {}, element("h1", {}, `Sweep of ${data.recipe}`), element("p", { class: "quiet" }, `${data.directory}: ${format.whole(rows.length)} configurations, ${format.whole(count)} runs`)), theme.button()),
  data.warnings.length ? element("aside", { class: "warnings" }, element("strong", {}, "Not everything could be read"), element("ul", {}, data.warnings.map(text => element("li", {}, text)))) : null,
  tableSection(), parallelSection(), curvesSection(), failureSection(),
].filter(part => part !== null));
drawCurves();
