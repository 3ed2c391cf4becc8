// The report of training runs.
const charts = {
  loss: new LineChart({ title: `Loss (${unit.one === "value" ? "error per value" : unit.one === "target" ? "per target" : `nats per ${unit.one}`})`, height: 360, wide: true, formatY: value => format.figures(value, 4), formatRead: format.loss, group }),
  gradientNorm: new LineChart({ title: "Gradient norm before clipping", formatY: value => format.figures(value, 3), formatRead: value => format.figures(value, 4), log: true, group }),
  learningRate: new LineChart({ title: "Learning rate", formatY: value => format.figures(value, 3), formatRead: value => format.figures(value, 4), group }),
  tokensPerSecond: new LineChart({ title: `${unit.many[0].toUpperCase()}${unit.many.slice(1)} a second`, formatY: format.compact, group }),
};

function drawCharts() {
  const axis = axes[view.axis], shown = runs.filter(run => run.shown);
  for (const chart of group) Object.assign(chart, { xName: axis.name, formatX: axis.format, formatXRead: axis.read, xTicks: axis.ticks ?? linearTicks });
  for (const [name, chart] of Object.entries(charts)) {
    const lines = name === "loss" && !view.training ? [] : shown.filter(run => run.curves)
      .map(run => series(run, run.curves, run.curves[name], { smooth: name !== "learningRate", thin: name === "loss" && view.validation, kind: name === "loss" ? "training" : undefined }));
    if (name === "loss" && view.validation)
      for (const run of shown.filter(run => run.validation)) {
        const finite = run.validation.loss;
        lines.push(series(run, run.validation, { mean: finite, notFinite: finite.map((value, i) => value === null ? i : -1).filter(i => i >= 0) }, { points: finite.length <= 60, kind: "validation" }));
      }
    chart.show(lines);
  }
  drawMeasures();
  for (const { panel } of profiles) panel.show();
}

function summarySection() {
  const rows = runs.map(run => ({ run, name: run.name, ...run.summary }));
  const steps = row => row.steps === undefined ? "–" : row.plannedSteps && row.plannedSteps !== row.steps ? `${format.whole(row.steps)} of ${format.whole(row.plannedSteps)}` : format.whole(row.steps);
  const columns = [
    { key: "name", name: "run", text: true, cell: row => element("span", { class: "named", title: row.run.directory }, lineSample(row.run.index), " ", row.name) },
    { key: "bestLoss", name: "best validation loss", best: "low", format: format.loss },
    { key: "bestStep", name: "at step", format: format.whole },
    { key: "perplexity", name: "perplexity", best: "low", format: value => format.figures(value, 5) },
    { key: "lastLoss", name: "last training loss", format: format.loss },
    { key: "steps", name: "steps", cell: steps },
    { key: "tokens", name: unit.many, format: format.compact },
    { key: "parameters", name: "parameters", format: format.compact },
    { key: "seconds", name: "training time", format: format.time },
    { key: "tokensPerSecond", name: `${unit.many}/s (median)`, format: format.compact },
  ];
  if (rows.some(row => row.trainedParameters !== undefined))
    columns.splice(columns.findIndex(column => column.key === "parameters") + 1, 0, { key: "trainedParameters", name: "trained", cell: row => format.compact(row.trainedParameters ?? row.parameters) });
  if (rows.every(row => row.perplexity === undefined)) columns.splice(columns.findIndex(column => column.key === "perplexity"), 1);   // pictures and time series have none
  if (rows.some(row => row.skippedSteps > 0)) columns.push({ key: "skippedSteps", name: "skipped steps", format: format.whole });
  if (rows.some(row => row.spikeSteps > 0)) columns.push({ key: "spikeSteps", name: "spikes skipped", format: format.whole });
  return element("section", {}, element("h2", {}, "Summary"), recordTable(columns, rows),
    element("p", { class: "quiet small" }, `Training time is that of steps and evaluations, without pauses.${columns.some(column => column.key === "perplexity") ? " Perplexity is that of the best validation loss; it compares only runs with the same tokenizer and data." : ""}`));
}

/** Buttons of which one is pressed. */
function choice(name, options, chosen, choose) {
  const buttons = Object.entries(options).map(([key, text]) => element("button", { type: "button", "aria-pressed": String(key === chosen), onclick: () => {
    buttons.forEach(button => button.setAttribute("aria-pressed", String(button.dataset.key === key)));
    choose(key);
  }, "data-key": key }, text));
  return element("span", { class: "group", role: "group", "aria-label": name }, element("span", { class: "quiet" }, name), buttons);
}

function controls() {
  const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));
  const legend = runs.map(run => {
    const button = element("button", { type: "button", "aria-pressed": "true", title: "Show or hide; with Shift, this run alone", onclick: event => {
      const alone = event.shiftKey && !(run.shown && runs.every(other => other === run || !other.shown));
      for (const other of runs) other.shown = event.shiftKey ? !alone || other === run : other === run ? !other.shown : other.shown;
      legend.forEach((each, i) => pressed(each, runs[i].shown));
      drawCharts();
    } }, lineSample(run.index), run.name);
    return button;
  });
  const width = element("span", { class: "quiet small" });
  const slider = element("input", { type: "range", min: 0, max: 100, value: 0, "aria-label": "Smoothing", oninput: () => {
    view.smoothing = Number(slider.value);
    width.textContent = view.smoothing === 0 ? "off" : `over ${format.compact(Math.max(1, pace()))} steps`;
    drawCharts();
  } });
  width.textContent = "off";
  const toggle = (key, text) => { const box = element("input", { type: "checkbox", onchange: () => { view[key] = box.checked; drawCharts(); } }); box.checked = true; return element("label", {}, box, ` ${text}`); };
  return element("div", { class: "controls sticky print" },
    choice("over", { step: "steps", tokens: unit.many, time: "time" }, view.axis, key => { view.axis = key; for (const chart of group) chart.range = null; drawCharts(); }),
    element("label", {}, "smoothing ", slider), width,
    toggle("training", "training"), toggle("validation", "validation"),
    element("button", { type: "button", onclick: () => { for (const chart of group) chart.range = null; drawCharts(); } }, "whole range"),
    element("div", { class: "legend" }, legend));
}

function curveSection() {
  const most = Math.max(...runs.map(run => run.curves?.recordsPerBucket ?? 1));
  const notes = [
    "Drag to zoom in, double-click for the whole range.",
    runs.some(run => run.validation) ? "Validation has a dot at every evaluation." : "",
    most > 1 ? `Where a run has very many records, a point is the mean of up to ${format.whole(most)} neighbouring ones, and the band behind reaches from their lowest to their highest.` : "",
    runs.some(run => run.curves && [run.curves.loss, run.curves.gradientNorm].some(curve => curve.notFinite.length > 0)) ? "Triangles at the upper edge: the value was NaN or infinite there." : "",
  ];
  return element("section", {}, element("h2", {}, "Curves"), controls(), element("div", { class: "charts" }, Object.values(charts).map(chart => chart.root)), element("p", { class: "quiet small" }, notes.filter(Boolean).join(" ")), measureParts());
}

function sampleSection() {
  const steps = [...new Set(runs.flatMap(run => run.samples.map(set => set.step)))].sort((a, b) => a - b);
  const list = element("div", { class: "samples" }), title = element("span", {});
  const slider = element("input", { type: "range", min: 0, max: steps.length - 1, value: steps.length - 1, "aria-label": "Step of the samples", oninput: show });
  function show() {
    const step = steps[Number(slider.value)];
    title.textContent = `step ${format.whole(step)}`;
    const cards = runs.flatMap(run => {
      const set = run.samples.findLast(each => each.step <= step);
      return (set?.texts ?? []).map((text, prompt) => ({ prompt, card: element("article", { class: "sample" },
        element("h3", {}, lineSample(run.index), element("span", {}, run.name), set.step === step ? null : element("span", { class: "quiet small" }, `step ${format.whole(set.step)}`)),
        element("pre", {}, text.prompt ? element("mark", {}, text.prompt) : "", text.text)) }));
    });
    list.replaceChildren(...cards.sort((a, b) => a.prompt - b.prompt).map(({ card }) => card));
  }
  show();
  return element("section", {}, element("h2", {}, "Samples"), element("div", { class: "controls" }, steps.length > 1 ? slider : null, title), list);
}

/** The attention maps of all runs, one at a time. */
function attentionSection(maps) {
  const place = element("div");
  const show = key => {
    const map = maps[key].content, view = attentionView(map);
    place.replaceChildren(element("p", { class: "quiet" }, `${map.model}: ${view.counts}`), ...map.picture ? [pictureView(map)] : [], view.root);
    requestAnimationFrame(view.draw);
  };
  const names = Object.fromEntries(maps.map(({ run, name }, i) => [i, maps.length === 1 ? run : `${run} · ${name}`]));
  show(0);
  return element("section", {}, element("h2", {}, "Attention"), maps.length > 1 ? element("div", { class: "controls" }, choice("map", names, "0", key => show(Number(key)))) : null, place);
}

function settingSections() {
  const named = data.runs.filter(run => run.configured), several = named.length > 1;
  const value = text => text === null || text === undefined ? "–" : text;
  const differing = data.settings.filter(row => row.differs), common = data.settings.filter(row => !row.differs);
  const table = (head, rows) => element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, head.map(text => element("th", { class: "text", scope: "col" }, text)))),
    element("tbody", {}, rows.map(row => element("tr", {}, element("td", { class: "path code" }, row.path), row.values.map(text => element("td", { class: `${textClass(text)} code` }, value(text))))))));
  const parts = [];
  if (several) parts.push(element("h2", {}, "What sets the runs apart"), differing.length ? table(["setting", ...named.map(run => run.name)], differing) : element("p", { class: "quiet" }, "Their configurations are equal."));
  if (common.length) parts.push(element("details", {}, element("summary", {}, element("strong", {}, several ? `Settings that all runs share (${common.length})` : `Configuration (${common.length} settings)`)), table(["setting", "value"], common)));
  return element("section", {}, several ? null : element("h2", {}, "Configuration"), parts);
}

const warnings = data.warnings.length ? element("aside", { class: "warnings" }, element("strong", {}, "Not everything could be read"), element("ul", {}, data.warnings.map(text => element("li", {}, text)))) : null;
const figures = kind => data.runs.flatMap(run => run[kind].map(file => ({ run: run.name, ...file })));
document.getElementById("main").replaceChildren(...[
  element("header", { class: "head" }, element("div", {}, element("h1", {}, runs.length === 1 ? `Training report: ${runs[0].name}` : runs.length ? `Training report of ${runs.length} runs` : "Report"), runs.length === 1 ? element("p", { class: "quiet" }, runs[0].directory) : null), theme.button()),
  warnings, runs.length ? summarySection() : null,
  runs.some(run => run.curves || run.validation || run.measures.length) ? curveSection() : null,
  figures("studies").length ? element("div", {}, figures("studies").map(studySection)) : null,
  figures("evaluations").length ? evaluationSection(figures("evaluations")) : null,
  runs.some(run => run.samples.length) ? sampleSection() : null,
  figures("stepTimes").length ? stepTimeSection(figures("stepTimes")) : null,
  figures("attention").length ? attentionSection(figures("attention")) : null,
  data.settings.length ? settingSections() : null,
].filter(part => part !== null));
drawCharts();
