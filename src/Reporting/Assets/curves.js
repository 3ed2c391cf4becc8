// The curves of runs: what all of them share, axes, smoothing and colours.
// A directory of a study or of evaluations alone is listed in its own section only.
const runs = data.runs.filter(run => run.curves || run.validation || run.measures.length || run.configured).map((run, index) => ({ ...run, index, shown: true }));

// What they count: tokens, pictures or values; "targets" where they differ.
const unit = runs.length > 0 && runs.every(run => run.unit.many === runs[0].unit.many) ? runs[0].unit : { one: "target", many: "targets", speed: "targets/s" };

const axes = {
  step: { name: "step", values: curve => curve.step, format: format.compact, read: format.whole },
  tokens: { name: unit.many, values: curve => curve.tokens, format: format.compact, read: format.compact },
  time: { name: "time", values: curve => curve.seconds, format: format.time, read: format.time, ticks: timeTicks },
};
const view = { axis: "step", smoothing: 0, training: true, validation: true };

/** Means of what is near, on both sides so that the curve does not lag: each point counts exp(-distance / pace), with the distance in
 *  steps, so that runs recorded at different intervals are smoothed alike. Gaps stay gaps. */
function smooth(steps, values, pace) {
  const sums = values.map(() => 0), weights = values.map(() => 0);
  const pass = order => {
    let [sum, weight, last] = [0, 0, null];
    for (const i of order) {
      if (values[i] === null) continue;
      const kept = last === null ? 0 : Math.exp(-Math.abs(steps[i] - last) / pace);
      [sum, weight, last] = [sum * kept + values[i], weight * kept + 1, steps[i]];
      sums[i] += sum;
      weights[i] += weight;
    }
  };
  const order = [...values.keys()];
  pass(order);
  pass(order.reverse());
  return values.map((value, i) => value === null ? null : (sums[i] - value) / (weights[i] - 1));   // each pass counted the point itself
}

const longest = Math.max(1, ...runs.map(run => run.summary.steps ?? 0));
const pace = () => longest * 0.2 * (view.smoothing / 100) ** 2;

/** One figure of a run as a series of a chart; places without a value on the axis are left out. */
function series(run, curve, figure, options = {}) {
  const all = axes[view.axis].values(curve), keep = all.map((place, i) => place === null ? -1 : i).filter(i => i >= 0);
  const pick = values => values && keep.map(i => values[i]);
  const smoothed = view.smoothing > 0 && options.smooth ? smooth(curve.step, figure.mean, pace()) : null;
  return {
    name: run.name, index: run.index, x: pick(all), y: pick(smoothed ?? figure.mean), raw: smoothed ? pick(figure.mean) : null,
    low: pick(figure.lowest), high: pick(figure.highest), marks: figure.notFinite?.map(i => keep.indexOf(i)).filter(i => i >= 0), ...options,
  };
}

const group = [];
