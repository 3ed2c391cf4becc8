// Where the time of a step goes: what train --profile measured, as a bar of all parts and as a table.

/** One profile: its bar, whose parts are named by the table below, and their times. */
function profileView({ label, content }) {
  const rest = { name: "not accounted for", seconds: content.unaccountedSeconds, share: content.unaccountedSeconds / content.secondsPerStep };
  const parts = [...content.parts, rest].filter(part => part.seconds > 0);
  const paints = [];
  const swatch = (index, style) => {
    const made = element("span", { style, "aria-hidden": "true" });
    const paint = () => { made.style.background = lineColor(index); made.style.opacity = index < 8 ? 1 : 0.5; };
    paint();
    paints.push(paint);
    return made;
  };
  const bar = element("div", { class: "stepbar", role: "img", "aria-label": `Parts of a step of ${label}` }, parts.map((part, index) => {
    const made = swatch(index, `width:${(part.share * 100).toFixed(3)}%`);
    made.title = `${part.name}: ${format.figures(part.seconds * 1000, 3)} ms`;
    return made;
  }));
  theme.listeners.push(() => paints.forEach(paint => paint()));
  const threads = content.threads > 1 ? `, the mean of ${content.threads} threads with rows of their own` : "";
  const head = ["part", "ms a step", "share"].map((text, i) => element("th", { class: i ? "" : "text", scope: "col" }, text));
  const rows = parts.map((part, index) => element("tr", {},
    element("td", { class: "text" }, swatch(index, "display:inline-block;width:.8em;height:.8em"), " ", part.name),
    element("td", {}, format.figures(part.seconds * 1000, 4)), element("td", {}, `${(part.share * 100).toFixed(1)} %`)));
  return element("div", {},
    element("p", {}, element("strong", {}, label), `: steps ${content.firstStep} to ${content.lastStep}, ${format.time(content.secondsPerStep)} each${threads}`),
    bar, element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows))));
}

function stepTimeSection(profiles) {
  const labels = profiles.map(({ run, name, content }) => ({ label: profiles.some(other => other.run === run && other.name !== name) ? `${run} · ${name}` : run, content }));
  return element("section", {}, element("h2", {}, "Where the time of a step goes"), labels.map(profileView));
}
