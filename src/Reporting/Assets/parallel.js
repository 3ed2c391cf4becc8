// Parallel coordinates (Inselberg 1985): an axis for each setting and one for the loss, a line across them for each configuration,
// coloured by its loss.

const lossColors = { light: ["#08519c", "#5b7f9e", "#d08a1d", "#b3420f"], dark: ["#7cc4ff", "#8fa6b8", "#e0b04a", "#ff8a5c"] };

/** The colour at a share, 0 for the lowest loss to 1 for the highest. */
function lossColor(share) {
  const stops = lossColors[theme.isDark() ? "dark" : "light"], at = Math.min(1, Math.max(0, share)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at));
  const part = (color, from) => parseInt(color.slice(from, from + 2), 16);
  return `rgb(${[1, 3, 5].map(from => Math.round(part(stops[i], from) + (part(stops[i + 1], from) - part(stops[i], from)) * (at - i))).join(",")})`;
}

/** Where values stand on an axis, 0 to 1: numbers in order, in their logarithm where they are positive and a factor of 10 apart; names
 *  in the order in which they come. */
function axisScale(numbers, texts) {
  if (!numbers) {
    const names = [...new Set(texts)];
    return { place: i => names.length === 1 ? 0.5 : names.indexOf(texts[i]) / (names.length - 1), ticks: names.map((name, i) => ({ text: name, share: names.length === 1 ? 0.5 : i / (names.length - 1) })) };
  }
  const shown = numbers.filter(value => value !== null && value !== undefined), low = Math.min(...shown), high = Math.max(...shown);
  if (shown.length === 0 || low === high) return { place: () => 0.5, ticks: shown.length ? [{ text: format.figures(low, 4), share: 0.5 }] : [] };
  const log = low > 0 && high / low >= 10, share = value => log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const few = [...new Set(shown)], values = few.length <= 6 ? few : [low, high, ...(log ? logTicks(low, high, 5) : linearTicks(low, high, 5))];
  const ticks = [];
  for (const value of [...new Set(values)].filter(value => value >= low && value <= high))
    if (ticks.every(tick => Math.abs(tick.share - share(value)) > 0.06)) ticks.push({ text: String(Number(value.toPrecision(4))), share: share(value) });
  return { log, place: i => share(numbers[i]), ticks };
}

class ParallelCoordinates {
  /** @param axes [{name, numbers, texts}], the last of which is the loss; @param lines [{name, best, quiet}], one for each place of the axes. */
  constructor(axes, lines) {
    Object.assign(this, { axes, lines, chosen: null });
    this.scales = axes.map(axis => axisScale(axis.numbers, axis.texts));
    this.reading = element("p", { class: "quiet small reading", role: "status" });
    this.place = element("div", { class: "parallel" });
    this.root = element("figure", { class: "wide" }, this.place, this.reading);
    new ResizeObserver(() => { if (this.place.clientWidth !== this.drawn) this.draw(); }).observe(this.place);
    theme.listeners.push(() => this.draw());
    this.choose(null);
  }

  choose(index) {
    this.chosen = index;
    this.reading.textContent = index === null ? "Point at a line to read it; the thick one is the best configuration." : `${this.lines[index].name}: ${this.axes.map(axis => `${axis.name} ${axis.texts[index]}`).join(", ")}`;
    for (const [i, path] of (this.paths ?? []).entries()) path?.setAttribute("opacity", index === null ? (this.lines[i].quiet ? 0.35 : 0.85) : i === index ? 1 : 0.12);
  }

  svg(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  draw() {
    const width = this.drawn = this.place.clientWidth, height = 320;
    if (width === 0) return;
    const [left, right, top, bottom] = [Math.min(90, width * 0.12), Math.min(90, width * 0.16), 34, height - 14];
    const x = axis => this.axes.length === 1 ? width / 2 : left + axis * (width - left - right) / (this.axes.length - 1), y = share => bottom - share * (bottom - top);
    const svg = this.svg("svg", { width, height, role: "img", "aria-label": "Parallel coordinates of the configurations" }), loss = this.scales[this.axes.length - 1];
    this.paths = this.lines.map((line, i) => {
      if (this.axes.some(axis => axis.numbers && (axis.numbers[i] === null || axis.numbers[i] === undefined))) return null;
      const points = this.axes.map((_, axis) => `${x(axis).toFixed(1)},${y(this.scales[axis].place(i)).toFixed(1)}`).join(" ");
      const path = this.svg("polyline", { points, fill: "none", "stroke-linejoin": "round", stroke: lossColor(loss.place(i)), "stroke-width": line.best ? 4 : 2, "stroke-dasharray": line.quiet ? "5 4" : "none" });
      const reach = this.svg("polyline", { points, fill: "none", stroke: "transparent", "stroke-width": 12, "pointer-events": "stroke" });
      reach.addEventListener("pointerenter", () => this.choose(i));
      reach.addEventListener("pointerleave", () => this.choose(null));
      svg.append(path);
      this.reaches = [...(i === 0 ? [] : this.reaches ?? []), reach];
      return path;
    });
    for (const [axis, { name }] of this.axes.entries()) {
      const anchor = axis === 0 && this.axes.length > 1 ? "start" : axis === this.axes.length - 1 ? "end" : "middle";
      svg.append(this.svg("line", { x1: x(axis), x2: x(axis), y1: top, y2: bottom, stroke: theme.color("quiet"), "stroke-width": 1 }),
        this.svg("text", { x: anchor === "start" ? 4 : anchor === "end" ? width - 4 : x(axis), y: 14, "text-anchor": anchor, class: "axis" }, name + (this.scales[axis].log ? " (log)" : "")));
      for (const { text, share } of this.scales[axis].ticks)
        svg.append(this.svg("text", { x: x(axis) + 6, y: y(share) + 4, class: "tick" }, text.length > 22 ? text.slice(0, 21) + "…" : text));
    }
    svg.append(...(this.reaches ?? []));
    this.place.replaceChildren(svg);
    this.choose(this.chosen);
  }
}
