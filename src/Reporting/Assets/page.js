// What every page shares: elements made from text (never from HTML), numbers as people read them, light and dark.
const data = JSON.parse(document.getElementById("data").textContent);

/** Makes an element. Children that are no elements are shown as text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined));
  return made;
}

const scales = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

const format = {
  whole: value => value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US"),
  /** Three figures and a suffix of thousands. */
  compact(value) {
    if (value === null || value === undefined) return "–";
    const scale = scales.find(([size]) => Math.abs(value) >= size * 0.9995);
    return scale ? format.figures(value / scale[0], 3) + scale[1] : format.figures(value, 3);
  },
  /** So many significant figures, without an exponent where it can be read without. */
  figures(value, count) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e7) return value.toExponential(count - 1).replace("e+", "e");
    return value.toLocaleString("en-US", { maximumSignificantDigits: count });
  },
  loss: value => value === null || value === undefined ? "–" : value >= 1e5 ? value.toExponential(3) : value.toFixed(4),
  /** Seconds as a clock shows them, or with a unit where they are few. */
  time(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds < 1) return seconds === 0 ? "0 s" : `${format.figures(seconds * 1000, 3)} ms`;
    if (seconds < 60) return `${format.figures(seconds, 3)} s`;
    const whole = Math.round(seconds), two = n => String(n).padStart(2, "0");
    const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
    if (days > 0) return `${days} d ${two(hours)}:${two(minutes)}`;
    return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  },
};

// The choice is kept in the page only: it may be opened from a disk, where storage is shared by all files or refused.
const theme = {
  listeners: [],
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  apply(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    for (const listener of theme.listeners) listener();
  },
  color: name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(),
  isDark: () => document.documentElement.dataset.theme === "dark",
  button() {
    const button = element("button", { class: "theme", type: "button", onclick: () => { theme.dark = !theme.dark; theme.apply(theme.dark); name(); } });
    const name = () => { button.textContent = theme.dark ? "Light" : "Dark"; button.title = `Show the page ${theme.dark ? "light" : "dark"}`; };
    name();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", event => { theme.dark = event.matches; theme.apply(theme.dark); name(); });
    return button;
  },
};
theme.apply(theme.dark);
// Paper is white.
addEventListener("beforeprint", () => theme.apply(false));
addEventListener("afterprint", () => theme.apply(theme.dark));

// Eight colours that people with any kind of colour vision tell apart (after Okabe and Ito), darkened or lightened until each has
// a contrast of 3:1 with the page; beyond eight, dashes tell lines of one colour apart.
const palette = {
  light: ["#0072b2", "#d55e00", "#008a63", "#b0508a", "#2a8fd0", "#a97500", "#5d3a9b", "#4d4d4d"],
  dark: ["#4ba3e3", "#ff8a3d", "#2fc79a", "#e392c4", "#8fd3ff", "#f0b429", "#b197fc", "#c9ced6"],
};
const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 4]];
const lineColor = index => palette[theme.isDark() ? "dark" : "light"][index % 8];
const lineDash = index => dashes[Math.floor(index / 8) % dashes.length];

/** A piece of a line as it is drawn in the charts. */
function lineSample(index) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["class", "line"], ["width", 26], ["height", 10], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  const line = document.createElementNS(svg.namespaceURI, "line");
  const paint = () => { for (const [name, value] of [["x1", 0], ["x2", 26], ["y1", 5], ["y2", 5], ["stroke-width", 3], ["stroke", lineColor(index)], ["stroke-dasharray", lineDash(index).join(" ")]]) line.setAttribute(name, value); };
  paint();
  theme.listeners.push(paint);
  svg.append(line);
  return svg;
}
