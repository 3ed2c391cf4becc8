// What the measures of evaluation.measures found while runs were trained: curves on the axes of all others, and figures by place.

/** window64-stride32 as words: "window 64, stride 32". */
const conditionText = condition => (condition ?? "").split("-").map(part => part.replace(/^([a-z]+)([0-9.]+)$/i, "$1 $2")).join(", ");

/** accuracyInTop5 as words: "accuracy in top 5". */
const figureText = figure => words(figure).replace(/([a-z])([0-9]+)$/, "$1 $2");

const unique = values => [...new Set(values)];
const placeNames = { lossByPosition: "tokens seen before", foundByDepth: "depth in the prompt" };

/** The conditions of a figure; each has a colour where there is one run, else a pattern of dashes, and the run the colour. */
function conditionsOf(curves, measure, figure) {
  return unique(runs.flatMap(run => run[curves].filter(curve => curve.measure === measure && curve.figure === figure).map(curve => curve.condition ?? "")));
}

const conditionIndex = (run, place) => runs.length === 1 ? place : run.index % 8 + 8 * place;

function conditionName(run, condition) {
  const text = conditionText(condition);
  return runs.length === 1 ? text || run.name : text ? `${run.name}, ${text}` : run.name;
}

/** Which line is which condition, where there are several; of several runs the dashes tell it, so that they are shown in grey. */
function conditionKeys(conditions) {
  return conditions.length < 2 ? null : element("div", { class: "legend" },
    conditions.map((condition, place) => element("span", { class: "group small" }, lineSample(runs.length === 1 ? place : 7 + 8 * place), conditionText(condition) || (runs.length === 1 ? runs[0].name : "the run"))));
}

/** One chart for each figure of each measure; they share the axis, the smoothing and the zoom of the other curves. */
function measureCharts() {
  return unique(runs.flatMap(run => run.measures.map(curve => curve.measure))).map(measure => {
    const figures = unique(runs.flatMap(run => run.measures.filter(curve => curve.measure === measure).map(curve => curve.figure)));
    return { measure, charts: figures.map(figure => {
      const conditions = conditionsOf("measures", measure, figure);
      const chart = new LineChart({ title: figureText(figure), formatY: value => format.figures(value, 4), formatRead: value => format.figures(value, 5), group });
      return { chart, conditions, lines: () => runs.filter(run => run.shown).flatMap(run => run.measures.filter(curve => curve.measure === measure && curve.figure === figure).map(curve => ({
        ...series(run, curve, { mean: curve.values, notFinite: curve.values.map((value, i) => value === null ? i : -1).filter(i => i >= 0) }, { points: curve.values.length <= 60 }),
        name: conditionName(run, curve.condition), index: conditionIndex(run, conditions.indexOf(curve.condition ?? "")),
      }))) };
    }) };
  });
}

const measured = measureCharts();
const drawMeasures = () => { for (const { charts } of measured) for (const { chart, lines } of charts) chart.show(lines()); };

/** Figures by position or depth after a step that can be chosen. */
function profilePanel(measure, figure) {
  const profiles = runs.flatMap(run => run.profiles.filter(each => each.measure === measure && each.figure === figure).map(profile => ({ run, ...profile })));
  const steps = unique(profiles.map(profile => profile.step)).sort((a, b) => a - b), conditions = conditionsOf("profiles", measure, figure);
  const chart = new LineChart({ title: figureText(figure), xName: placeNames[figure] ?? "place", formatX: value => cellText(value), formatY: value => format.figures(value, 4), group: [] });
  const title = element("span", { class: "small" });
  const slider = element("input", { type: "range", min: 0, max: steps.length - 1, value: steps.length - 1, "aria-label": `Step of ${figureText(figure)}`, oninput: show });
  function show() {
    const step = steps[Number(slider.value)];
    title.textContent = `step ${format.whole(step)}`;
    chart.show(runs.filter(run => run.shown).flatMap(run => conditions.map((condition, place) => {
      const profile = profiles.findLast(each => each.run === run && each.condition === condition && each.step <= step);
      return profile ? { name: conditionName(run, condition), index: conditionIndex(run, place), x: profile.places, y: profile.values, points: profile.places.length <= 64 } : null;
    })).filter(line => line !== null));
  }
  show();
  return { show, root: element("div", {}, chart.root, steps.length > 1 ? element("div", { class: "group" }, slider, title) : null, conditionKeys(conditions)) };
}

const profiles = unique(runs.flatMap(run => run.profiles.map(profile => profile.measure))).flatMap(measure =>
  unique(runs.flatMap(run => run.profiles.filter(profile => profile.measure === measure).map(profile => profile.figure))).map(figure => ({ measure, panel: profilePanel(measure, figure) })));

/** The last figures of every measure: a row for each figure, a column for each run. */
function lastFigures() {
  const rows = measured.flatMap(({ measure, charts }) => charts.flatMap(({ chart, conditions }) => conditions.map(condition => ({ measure, figure: chart.title, condition: conditionText(condition), curve: { measure, condition } }))));
  const value = (run, row) => run.measures.find(curve => curve.measure === row.measure && figureText(curve.figure) === row.figure && (curve.condition ?? "") === row.curve.condition)?.values.findLast(each => each !== null) ?? null;
  const holders = runs.filter(run => run.measures.length);
  const columns = [{ key: "measure", name: "measure", text: true }, { key: "figure", name: "figure", text: true }, { key: "condition", name: "condition", text: true }, ...holders.map(run => ({ key: `run${run.index}`, name: run.name }))];
  return recordTable(columns, rows.map(row => ({ ...row, ...Object.fromEntries(holders.map(run => [`run${run.index}`, value(run, row)])) })));
}

/** All measures, below the curves of training. */
function measureParts() {
  return measured.flatMap(({ measure, charts }) => [
    element("h3", {}, `Evaluation: ${measure}`),
    element("div", { class: "charts" }, ...charts.map(({ chart, conditions }) => element("div", {}, chart.root, conditionKeys(conditions))), ...profiles.filter(each => each.measure === measure).map(each => each.panel.root)),
  ]).concat(measured.length ? [element("details", {}, element("summary", { class: "small" }, "Last figures of the evaluations in training"), lastFigures())] : []);
}
