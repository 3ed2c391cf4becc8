// A line chart on a canvas: gaps where there is no value, bands from the lowest to the highest where a point stands for several,
// linear or logarithmic, zoomed by dragging, read by hovering, touching or with the arrow keys.

/** Places for ticks that people can read: multiples of 1, 2 or 5 times a power of ten. */
function linearTicks(low, high, most) {
  const rough = (high - low) / Math.max(1, most), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999) ?? rough;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** Ticks of a clock: seconds, minutes, hours or days that divide the next unit. */
function timeTicks(low, high, most) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const step = steps.find(size => (high - low) / size <= most);
  if (high - low < most || step === undefined) return linearTicks(low, high, most);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high, most) {
  const decades = Math.log10(high / low);
  if (decades < 1) return linearTicks(low, high, most).filter(tick => tick > 0);
  const every = Math.max(1, Math.ceil(decades / most)), parts = decades <= most / 3 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    if (power % every === 0) for (const part of parts) ticks.push(Number((part * 10 ** power).toPrecision(3)));
  return ticks.filter(tick => tick >= low * 0.999 && tick <= high * 1.001);
}

/** The index of the value nearest to a place in an ascending list without gaps. */
function nearest(values, place) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < place) low = middle + 1; else high = middle;
  }
  return low > 0 && place - values[low - 1] < values[low] - place ? low - 1 : low;
}

class LineChart {
  /** @param options {title, height, xName, formatX, xTicks, formatY, formatRead, log, group}; charts of one group (an array) share cursor and zoom. */
  constructor(options) {
    Object.assign(this, { height: 230, formatX: format.compact, xTicks: linearTicks, formatRead: options.formatY, log: false, group: [], series: [], range: null, cursor: null }, options);
    this.group.push(this);
    this.canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": `${this.title}; the arrow keys move the read-out` });
    this.readout = element("div", { class: "readout", role: "status", hidden: true });
    this.plot = element("div", { class: "plot" }, this.canvas, this.readout);
    const log = element("input", { type: "checkbox", onchange: () => { this.log = log.checked; this.draw(); } });
    log.checked = this.log;
    this.root = element("figure", { class: options.wide ? "wide" : null }, element("figcaption", {}, element("span", {}, this.title), element("label", {}, log, " log scale")), this.plot);
    this.listen();
    new ResizeObserver(() => { if (this.plot.clientWidth !== this.drawnWidth) this.draw(); }).observe(this.plot);
    theme.listeners.push(() => this.draw());
  }

  /** @param series [{name, index, x, y, low, high, raw, marks, points, thin}] with x ascending and null in y for gaps. */
  show(series) {
    this.series = series;
    this.draw();
  }

  listen() {
    const place = event => { const box = this.canvas.getBoundingClientRect(); return this.xAt(event.clientX - box.left); };
    const zoom = range => { for (const chart of this.group) { chart.range = range; chart.draw(); } };
    this.canvas.addEventListener("pointermove", event => {
      this.point(place(event));
      if (this.drag) { this.drag.to = this.cursor; this.draw(); }
    });
    this.canvas.addEventListener("pointerleave", () => { if (!this.drag) this.point(null); });
    this.canvas.addEventListener("pointerdown", event => {
      this.point(place(event));
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.drag = { from: this.cursor, to: this.cursor };
    });
    this.canvas.addEventListener("pointerup", () => {
      if (!this.drag) return;
      const [from, to] = [this.drag.from, this.drag.to].sort((a, b) => a - b);
      this.drag = null;
      if (this.area && this.toX(to) - this.toX(from) > 8) zoom([from, to]); else this.draw();
    });
    this.canvas.addEventListener("pointercancel", () => { this.drag = null; this.point(null); });
    this.canvas.addEventListener("dblclick", () => zoom(null));
    this.canvas.addEventListener("keydown", event => {
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
      if (event.key === "Escape") { zoom(null); this.point(null); return; }
      if (!(event.key in moves) || !this.area) return;
      event.preventDefault();
      const { low, high } = this.area.x;
      this.point(Math.min(high, Math.max(low, (this.cursor ?? low) + moves[event.key] * (high - low) / 100)));
    });
    this.canvas.addEventListener("blur", () => this.point(null));
  }

  /** Moves the cursor of the whole group; only the chart that is pointed at shows the figures. */
  point(x) {
    for (const chart of this.group) {
      chart.cursor = x;
      chart.reads = chart === this;
      chart.draw();
    }
  }

  toX(value) { const { left, width, x } = this.area; return left + (value - x.low) / (x.high - x.low) * width; }
  xAt(pixel) { if (!this.area) return null; const { left, width, x } = this.area; return Math.min(x.high, Math.max(x.low, x.low + (pixel - left) / width * (x.high - x.low))); }
  toY(value) {
    const { top, height, y } = this.area;
    const share = y.log ? Math.log(value / y.low) / Math.log(y.high / y.low) : (value - y.low) / (y.high - y.low);
    return top + height - share * height;
  }
  shows(value) { return value !== null && value !== undefined && (!this.log || value > 0); }

  /** The extent of what is to be seen, in both directions. */
  extent() {
    let [xLow, xHigh, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x } of this.series) if (x.length > 0) { xLow = Math.min(xLow, x[0]); xHigh = Math.max(xHigh, x[x.length - 1]); }
    if (xLow === Infinity) return null;
    if (this.range && this.range[1] > xLow && this.range[0] < xHigh) [xLow, xHigh] = this.range;
    for (const line of this.series)
      for (const values of [line.y, line.raw, line.low, line.high])
        for (let i = 0; values && i < values.length; i++)
          if (line.x[i] >= xLow && line.x[i] <= xHigh && this.shows(values[i])) { low = Math.min(low, values[i]); high = Math.max(high, values[i]); }
    if (low === Infinity) [low, high] = this.log ? [1, 10] : [0, 1];
    if (xHigh === xLow) [xLow, xHigh] = [xLow - 0.5, xHigh + 0.5];
    if (high === low) { const by = this.log ? 0 : Math.abs(low) * 0.05 || 0.5; [low, high] = this.log ? [low / 1.5, high * 1.5] : [low >= 0 ? Math.max(0, low - by) : low - by, high + by]; }
    if (this.log) { const by = (high / low) ** 0.04; [low, high] = [low / by, high * by]; }
    else { const by = (high - low) * 0.04; [low, high] = [low >= 0 ? Math.max(0, low - by) : low - by, high + by]; }
    return { x: { low: xLow, high: xHigh }, y: { low, high, log: this.log } };
  }

  draw() {
    const width = this.plot.clientWidth, { height, canvas } = this;
    this.drawnWidth = width;
    if (width === 0) return;
    const ratio = Math.max(2, devicePixelRatio || 1);   // at least 2, so that it is sharp on paper
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== height * ratio) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), height * ratio];
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    const extent = this.extent();
    if (!extent) { this.area = null; this.empty(pen, width); return; }
    const yTicks = (this.log ? logTicks : linearTicks)(extent.y.low, extent.y.high, Math.max(3, height / 45));
    const left = Math.ceil(Math.max(...yTicks.map(tick => pen.measureText(this.formatY(tick)).width), 16)) + 10;
    this.area = { ...extent, left, top: 8, width: width - left - 14, height: height - 46 };
    this.axes(pen, yTicks);
    pen.save();
    pen.beginPath();
    pen.rect(left - 5, this.area.top - 5, this.area.width + 10, this.area.height + 10);   // marks at the edge are whole
    pen.clip();
    for (const line of this.series) this.band(pen, line);
    for (const line of this.series) if (line.raw) this.line(pen, line, line.raw, 1, 0.3);
    for (const line of this.series) this.line(pen, line, line.y, line.thin ? 1.3 : 2, 1);
    for (const line of this.series) this.marks(pen, line);
    this.dragged(pen);
    pen.restore();
    this.read(pen);
  }

  empty(pen, width) {
    pen.fillStyle = theme.color("quiet");
    pen.textAlign = "center";
    pen.fillText("nothing to show", width / 2, this.height / 2);
    this.readout.hidden = true;
  }

  axes(pen, yTicks) {
    const { left, top, width, height, x } = this.area;
    pen.lineWidth = 1;
    pen.strokeStyle = theme.color("grid");
    pen.fillStyle = theme.color("quiet");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of yTicks) {
      const y = Math.round(this.toY(tick)) + 0.5;
      pen.beginPath(); pen.moveTo(left, y); pen.lineTo(left + width, y); pen.stroke();
      pen.fillText(this.formatY(tick), left - 6, y);
    }
    pen.textBaseline = "top";
    const bottom = top + height;
    for (const tick of this.xTicks(x.low, x.high, Math.max(2, width / 65))) {
      const at = Math.round(this.toX(tick)) + 0.5, label = this.formatX(tick), half = pen.measureText(label).width / 2;
      pen.beginPath(); pen.moveTo(at, top); pen.lineTo(at, bottom); pen.stroke();
      pen.textAlign = at + half > left + width + 12 ? "right" : "center";
      pen.fillText(label, pen.textAlign === "right" ? left + width + 12 : at, bottom + 6);
    }
    pen.textAlign = "center";
    pen.fillText(this.xName, left + width / 2, bottom + 23);
    pen.strokeStyle = theme.color("line");
    pen.strokeRect(left + 0.5, top + 0.5, width, height);
  }

  band(pen, { x, low, high, index }) {
    if (!low || !high) return;
    pen.fillStyle = lineColor(index);
    pen.globalAlpha = 0.16;
    for (let from = 0; from < x.length; from++) {
      if (!this.shows(low[from])) continue;
      let to = from;
      while (to + 1 < x.length && this.shows(low[to + 1])) to++;
      pen.beginPath();
      for (let i = from; i <= to; i++) pen.lineTo(this.toX(x[i]), this.toY(high[i]));
      for (let i = to; i >= from; i--) pen.lineTo(this.toX(x[i]), this.toY(low[i]));
      pen.fill();
      from = to;
    }
    pen.globalAlpha = 1;
  }

  line(pen, { x, index, points }, y, width, alpha) {
    pen.strokeStyle = pen.fillStyle = lineColor(index);
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(lineDash(index));
    pen.beginPath();
    let drawing = false;
    const alone = [];
    for (let i = 0; i < x.length; i++) {
      if (!this.shows(y[i])) { drawing = false; continue; }
      const [px, py] = [this.toX(x[i]), this.toY(y[i])];
      if (drawing) pen.lineTo(px, py); else pen.moveTo(px, py);
      if (points || (!drawing && !this.shows(y[i + 1]))) alone.push([px, py]);
      drawing = true;
    }
    pen.stroke();
    pen.setLineDash([]);
    for (const [px, py] of alone) { pen.beginPath(); pen.arc(px, py, points ? 3.2 : 1.8, 0, 7); pen.fill(); }
    pen.globalAlpha = 1;
  }

  /** Where values were not finite: triangles at the upper edge, since no axis has a place for them. */
  marks(pen, { x, marks, index }) {
    pen.fillStyle = lineColor(index);
    for (const i of marks ?? []) {
      const [at, top] = [this.toX(x[i]), this.area.top + 1];
      pen.beginPath(); pen.moveTo(at - 4, top); pen.lineTo(at + 4, top); pen.lineTo(at, top + 8); pen.fill();
    }
  }

  dragged(pen) {
    if (!this.drag) return;
    const [from, to] = [this.toX(this.drag.from), this.toX(this.drag.to)];
    pen.fillStyle = theme.color("accent");
    pen.globalAlpha = 0.15;
    pen.fillRect(from, this.area.top, to - from, this.area.height);
    pen.globalAlpha = 1;
  }

  /** The cursor, and beside it the values nearest to it, highest first. */
  read(pen) {
    this.readout.hidden = true;
    if (this.cursor === null || this.cursor < this.area.x.low || this.cursor > this.area.x.high) return;
    const { top, height } = this.area, found = [], notFinite = [];
    for (const line of this.series) {
      const i = line.x.length ? nearest(line.x, this.cursor) : -1;
      if (i < 0 || Math.abs(this.toX(line.x[i]) - this.toX(this.cursor)) > 24) continue;
      if (this.shows(line.y[i])) found.push({ line, i, value: line.y[i] });
      else if (line.marks?.includes(i)) notFinite.push({ line, i, value: null });
    }
    const at = found.length + notFinite.length > 0 ? [...found, ...notFinite].map(({ line, i }) => line.x[i]).reduce((a, b) => Math.abs(b - this.cursor) < Math.abs(a - this.cursor) ? b : a) : this.cursor;
    pen.strokeStyle = theme.color("quiet");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(this.toX(at), top); pen.lineTo(this.toX(at), top + height); pen.stroke();
    for (const { line, i, value } of found) {
      pen.fillStyle = lineColor(line.index);
      pen.beginPath(); pen.arc(this.toX(line.x[i]), this.toY(value), 4, 0, 7); pen.fill();
    }
    if (!this.reads || found.length + notFinite.length === 0) return;
    found.sort((a, b) => b.value - a.value);
    this.tell(at, [...found, ...notFinite]);
  }

  valueText({ line, i, value }) {
    if (value === null) return "not finite";
    const own = this.formatRead(value);
    if (line.low && line.high && line.low[i] !== line.high[i]) return `${own} (${this.formatRead(line.low[i])} … ${this.formatRead(line.high[i])})`;
    return line.raw && this.shows(line.raw[i]) ? `${own} (raw ${this.formatRead(line.raw[i])})` : own;
  }

  /** One row for each name, highest first, with a column for each kind of line that has one. */
  tell(at, points) {
    const kinds = [...new Set(points.map(({ line }) => line.kind))].sort(), names = [...new Set(points.map(({ line }) => line.name))];
    const most = Math.max(6, Math.floor(this.height / 21));
    const row = name => {
      const own = points.filter(({ line }) => line.name === name);
      return element("tr", {}, element("td", {}, swatch(own[0].line.index)), element("td", { class: "text" }, name), kinds.map(kind => element("td", {}, own.filter(({ line }) => line.kind === kind).map(point => this.valueText(point)))));
    };
    this.readout.replaceChildren(
      element("table", {}, element("thead", {}, element("tr", {}, element("th", { colspan: 2, class: "text" }, `${this.xName} ${(this.formatXRead ?? this.formatX)(at)}`), kinds.map(kind => element("th", {}, kind ?? "")))),
        element("tbody", {}, names.slice(0, most).map(row))),
      names.length > most ? `and ${names.length - most} more` : "");
    this.readout.hidden = false;
    const { left, top, width } = this.area, x = this.toX(at), right = x < left + width / 2;
    this.readout.style.top = `${top + 6}px`;
    this.readout.style.left = right ? `${x + 12}px` : "auto";
    this.readout.style.right = right ? "auto" : `${this.plot.clientWidth - x + 12}px`;
  }
}

/** A line sample that is drawn once, for the read-out, which is made anew whenever it moves. */
function swatch(index) {
  const sample = element("canvas", { width: 36, height: 12, style: "width:18px;height:6px;cursor:inherit;display:inline-block;vertical-align:middle" });
  const pen = sample.getContext("2d");
  [pen.strokeStyle, pen.lineWidth] = [lineColor(index), 6];
  pen.setLineDash(lineDash(index).map(length => length * 1.2));
  pen.beginPath(); pen.moveTo(0, 6); pen.lineTo(36, 6); pen.stroke();
  return sample;
}
