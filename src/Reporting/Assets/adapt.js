// Variants of a model under a budget of cache: loss against bytes, the Pareto front, and a table.
const bytes = value => value >= 1024 ? `${format.figures(value / 1024, 3)} KiB` : `${format.figures(value, 3)} B`;
const percent = value => `${value >= 0 ? "+" : "−"}${format.figures(Math.abs(value) * 100, 3)} %`;
const measured = data.points.filter(point => !point.error);

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Points at their cache (logarithm) and loss; the front is a line, the budget and the highest loss that is allowed are dashed. */
function draw(place) {
  const width = place.clientWidth, height = 380, [left, right, top, bottom] = [70, 24, 20, height - 46];
  if (width === 0) return;
  const all = [data.original, ...measured], limit = data.original.loss * (1 + data.maxLoss);
  const sizes = [...all.map(point => point.cacheBytesPerToken), data.budget], losses = [...all.map(point => point.loss), limit];
  const [small, large] = [Math.min(...sizes) * 0.85, Math.max(...sizes) * 1.18], span = Math.max(...losses) - Math.min(...losses) || 0.1;
  const [low, high] = [Math.min(...losses) - span * 0.08, Math.max(...losses) + span * 0.08];
  const x = value => left + Math.log(value / small) / Math.log(large / small) * (width - left - right);
  const y = value => bottom - (value - low) / (high - low) * (bottom - top);
  const text = theme.color("text") || "currentColor", quiet = theme.color("quiet") || "gray", chosen = lineColor(1);
  const root = svg("svg", { width, height, role: "img", "aria-label": "Loss against cache of each variant" });
  const label = (at, to, what, anchor = "middle", color = quiet) => root.append(svg("text", { x: at, y: to, "text-anchor": anchor, fill: color, "font-size": 12 }, what));
  const line = (x1, y1, x2, y2, options = {}) => root.append(svg("line", { x1, y1, x2, y2, stroke: quiet, ...options }));
  line(left, bottom, width - right, bottom);
  line(left, top, left, bottom);
  for (let i = 0; i <= 4; i++) {
    const value = low + (high - low) * i / 4;
    label(left - 8, y(value) + 4, value.toFixed(3), "end");
  }
  let last = -Infinity;
  for (const size of [...new Set(all.map(point => point.cacheBytesPerToken))].sort((a, b) => a - b)) {
    if (x(size) - last < 60) continue;   // no room for its name
    label(last = x(size), bottom + 18, bytes(size));
  }
  label((left + width) / 2, height - 8, "cache for each token of the context");
  line(x(data.budget), top, x(data.budget), bottom, { "stroke-dasharray": "6 4" });
  label(x(data.budget), top - 6, `budget ${bytes(data.budget)}`);
  line(left, y(limit), width - right, y(limit), { "stroke-dasharray": "6 4" });
  label(width - right, y(limit) - 5, `${percent(data.maxLoss)} loss`, "end");
  // Of loss and cache alone: speed has no axis here.
  const front = measured.filter(point => !measured.some(other => other.loss <= point.loss && other.cacheBytesPerToken <= point.cacheBytesPerToken
    && (other.loss < point.loss || other.cacheBytesPerToken < point.cacheBytesPerToken))).sort((a, b) => a.cacheBytesPerToken - b.cacheBytesPerToken);
  root.append(svg("polyline", { points: front.map(point => `${x(point.cacheBytesPerToken)},${y(point.loss)}`).join(" "), fill: "none", stroke: lineColor(0), "stroke-width": 1.5 }));
  for (const point of all) {
    const color = point === data.original ? text : point.isChosen ? chosen : point.isOnFront ? lineColor(0) : quiet;
    const dot = svg("circle", { cx: x(point.cacheBytesPerToken), cy: y(point.loss), r: point.isChosen ? 7 : 5, fill: color });
    dot.append(svg("title", {}, `${point.name}: loss ${format.loss(point.loss)}, ${bytes(point.cacheBytesPerToken)} a token, ${format.figures(point.tokensPerSecond, 3)} tokens/s`));
    root.append(dot);
    if (point === data.original) label(x(point.cacheBytesPerToken) - 10, y(point.loss) + 4, point.name, "end", text);
    else label(x(point.cacheBytesPerToken), y(point.loss) - 9, String(data.points.indexOf(point) + 1), "middle", text);
  }
  place.replaceChildren(root);
}

function row(point, remark, number) {
  const change = point === data.original ? "" : percent(point.change);
  const cells = point.error ? [number, point.name, "–", "", "–", "–", point.error]
    : [number, point.name, format.loss(point.loss), change, bytes(point.cacheBytesPerToken), format.figures(point.tokensPerSecond, 3), remark];
  return element("tr", { class: point.isChosen ? "best" : null }, cells.map((cell, i) => element(i === 1 || i === 6 ? "th" : "td", {}, cell)));
}

const place = element("div", { class: "wide" });
document.getElementById("main").append(
  element("header", {}, element("h1", {}, `Variants of ${data.source}`), theme.button()),
  element("p", {}, `Each begins with its weights and is trained for ${format.whole(data.steps)} steps at a context of ${format.whole(data.context)} tokens. Allowed are ${bytes(data.budget)} of cache a token, and a loss of ${percent(data.maxLoss)} at most. The line is the front of loss and cache; the table marks that of loss, cache and speed.`),
  element("figure", { class: "wide" }, place),
  element("div", { class: "wide" }, element("table", {},
    element("thead", {}, element("tr", {}, ["", "variant", "loss", "change", "cache/token", "tokens/s", ""].map(name => element("th", { scope: "col" }, name)))),
    element("tbody", {}, row(data.original, "", ""), data.points.map((point, i) => row(point, point.isChosen ? "taken" : point.isOnFront ? "front" : "", String(i + 1)))))));
new ResizeObserver(() => draw(place)).observe(place);
theme.listeners.push(() => draw(place));
draw(place);
