// A view of attention maps: all heads small, one of them large, and its text.

/** @param source {model, stacks}
 *  @returns {root, counts, state, draw}; draw after root is in the page. */
function attentionView(source) {
  const stacks = source.stacks.map(unpack), unit = source.unit ?? "token", units = unit === "patch" ? "patches" : `${unit}s`;
  const state = { stack: stacks[0], head: stacks[0].heads[0][0], query: null, key: null, held: null };

  const overview = element("div", { class: "scroll overview" });
  const tip = element("div", { class: "readout", role: "status", hidden: true, style: "position:fixed" });
  const title = element("h2", {}), figuresLine = element("p", { class: "quiet small" });
  const canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": `Weights of the chosen head; the arrow keys move from ${unit} to ${unit}` });
  const picture = element("div", { class: "plot" }, canvas);
  const sentence = element("p", { "aria-live": "polite", class: "reading" }), text = element("div");
  // Two figures are what 8 bits keep.
  const percent = weight => weight === 0 ? "0 %" : weight < 0.0005 ? "< 0.1 %" : `${Number((weight * 100).toPrecision(2))} %`;

  /** Where a pointer is within an element, as a query and a key of a head. */
  function cellAt(head, target, event, inner = { left: 0, top: 0, width: target.clientWidth, height: target.clientHeight }) {
    const box = target.getBoundingClientRect();
    const key = Math.floor((event.clientX - box.left - inner.left) / inner.width * head.S), query = Math.floor((event.clientY - box.top - inner.top) / inner.height * head.T);
    return key >= 0 && query >= 0 && key < head.S && query < head.T ? { query, key } : null;
  }

  function showTip(event, head, cell) {
    tip.replaceChildren(element("strong", {}, head.name), element("div", {}, `${head.stack.queries[cell.query]} → ${head.stack.keys[cell.key]}: ${percent(head.weight(cell.query, cell.key))}`));
    tip.hidden = false;
    const right = event.clientX < innerWidth / 2, below = event.clientY < innerHeight / 2;
    Object.assign(tip.style, { left: right ? `${event.clientX + 14}px` : "auto", right: right ? "auto" : `${innerWidth - event.clientX + 14}px`, top: below ? `${event.clientY + 14}px` : "auto", bottom: below ? "auto" : `${innerHeight - event.clientY + 14}px` });
  }

  /** All heads of the stack: a row for each layer, a column for each head. */
  function drawOverview() {
    const { stack } = state, most = Math.max(...stack.layers.map(layer => layer.heads));
    const size = Math.max(36, Math.min(88, Math.floor(600 / (most + 1))));
    const cells = [element("span"), ...Array.from({ length: most }, (_, i) => element("span", { class: "name" }, i === 0 ? "head 0" : i))];
    for (const [row, heads] of stack.heads.entries()) {
      cells.push(element("span", { class: "name" }, `${row === 0 ? "layer " : ""}${stack.layers[row].index}`));
      for (const head of heads) {
        const small = element("canvas");
        head.paint(small);
        head.button = element("button", { type: "button", "aria-label": head.name, "aria-pressed": String(head === state.head), onclick: () => choose(head),
          onpointermove: event => { const cell = cellAt(head, small, event); if (cell) showTip(event, head, cell); }, onpointerleave: () => { tip.hidden = true; } }, small);
        cells.push(head.button);
      }
      for (let i = heads.length; i < most; i++) cells.push(element("span"));
    }
    overview.replaceChildren(element("div", { class: "maps", style: `grid-template-columns: auto repeat(${most}, ${size}px); --ratio: ${stack.keys.length} / ${stack.queries.length}` }, cells));
  }

  function choose(head) {
    state.head.button?.setAttribute("aria-pressed", "false");
    Object.assign(state, { head });
    head.button?.setAttribute("aria-pressed", "true");
    drawHead();
  }

  /** The large picture: where its cells are, and how large. */
  function layout() {
    const { head } = state, width = picture.clientWidth, pen = canvas.getContext("2d");
    pen.font = "10.5px ui-monospace, monospace";
    const widest = tokens => Math.min(110, Math.max(...tokens.map(token => pen.measureText(token).width)) + 10);
    const left = Math.ceil(widest(head.stack.queries)), top = Math.ceil(widest(head.stack.keys));
    const cell = Math.max(0.5, Math.min((width - left - 2) / head.S, Math.max(3, 640 / head.T), 34));
    return { left, top, cell, width: cell * head.S, height: cell * head.T };
  }

  function drawHead() {
    const { head } = state;
    title.textContent = `${stacks.length > 1 ? `${state.stack.name}, ` : ""}${head.name}`;
    const { bits, distance, first, own } = head.figures();
    figuresLine.textContent = `Means over the queries: entropy ${bits.toFixed(2)} of at most ${Math.log2(head.S).toFixed(2)} bits, ${percent(first)} to the first ${unit}`
      + (state.stack.self ? `, ${percent(own)} to itself, ${distance.toFixed(1)} ${units} away.` : ".");
    const place = state.place = layout(), ratio = Math.max(2, devicePixelRatio || 1), width = picture.clientWidth, height = Math.ceil(place.top + place.height + 4);
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    const pen = canvas.getContext("2d"), cells = document.createElement("canvas");
    head.paint(cells);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(cells, place.left, place.top, place.width, place.height);
    pen.strokeStyle = theme.color("line");
    pen.strokeRect(place.left, place.top, place.width, place.height);
    drawLabels(pen, place);
    drawCursor(pen, place);
    drawText();
  }

  /** The tokens beside the rows and above the columns: all where there is room, else as many as there is room for. */
  function drawLabels(pen, { left, top, cell }) {
    const { head } = state, every = Math.ceil(10 / cell);
    const fit = (token, room) => { let cut = [...token]; while (cut.length > 1 && pen.measureText(cut.join("")).width > room) cut = [...cut.slice(0, -2), "…"]; return cut.join(""); };
    pen.font = "10.5px ui-monospace, monospace";
    pen.textBaseline = "middle";
    const label = (token, i, chosen, draw) => {
      if (!chosen && (i % every !== 0)) return;
      pen.fillStyle = chosen ? theme.color("accent") : theme.color("quiet");
      pen.font = `${chosen ? "bold " : ""}10.5px ui-monospace, monospace`;
      draw(fit(token, 102));
    };
    const near = (i, chosen) => chosen !== null && i !== chosen && Math.abs(i - chosen) * cell < 11;
    pen.textAlign = "right";
    head.stack.queries.forEach((token, i) => near(i, state.query) || label(token, i, i === state.query, shown => pen.fillText(shown, left - 5, top + (i + 0.5) * cell)));
    pen.textAlign = "left";
    head.stack.keys.forEach((token, i) => near(i, state.key) || label(token, i, i === state.key, shown => {
      pen.save();
      pen.translate(left + (i + 0.5) * cell, top - 5);
      pen.rotate(-Math.PI / 2);
      pen.fillText(shown, 0, 0);
      pen.restore();
    }));
  }

  function drawCursor(pen, { left, top, cell, width, height }) {
    pen.strokeStyle = theme.color("accent");
    pen.lineWidth = 1.5;
    if (state.query !== null) pen.strokeRect(left, top + state.query * cell, width, cell);
    if (state.key !== null) pen.strokeRect(left + state.key * cell, top, cell, height);
    pen.lineWidth = 1;
  }

  /** The tokens as running text, made once for a stack. */
  function makeText() {
    const { stack } = state;
    const row = (list, attributes) => list.map((token, i) => element("button", { type: "button", title: `${unit} ${i}`, ...attributes(i) }, token));
    // Patches of a picture stand as they do in it; a class token before them has a line of its own.
    const place = source.picture ? { style: `grid-template-columns: repeat(${source.picture.columns}, max-content)` } : {};
    const box = (list, buttons) => element("div", { class: `tokens code${unit === "patch" ? " patches" : ""}`, ...place }, buttons.flatMap((button, i) => [button, list[i].endsWith("⏎") ? "\n" : ""]));
    state.queries = row(stack.queries, i => ({
      onclick: () => { state.held = state.held === i ? null : i; point(i, null); },
      onpointerenter: event => { if (event.pointerType === "mouse") point(state.held ?? i, state.held === null || !stack.self ? null : i); },
    }));
    if (source.picture?.classToken) state.queries[0].classList.add("whole");
    state.keys = stack.self ? state.queries : row(stack.keys, i => ({ onclick: () => { if (state.query !== null) point(state.query, i); } }));
    text.replaceChildren(...(stack.self ? [box(stack.queries, state.queries)]
      : [element("h3", {}, "These look"), box(stack.queries, state.queries), element("h3", {}, "These are looked at"), box(stack.keys, state.keys)]));
  }

  /** Frames the token that looks and colours those that it looks at. */
  function drawText() {
    const { head, query, key } = state, { stack } = head, colors = ramp();
    sentence.textContent = query === null ? `Point at the picture or at a ${unit}; a click holds a ${unit}.` : key === null
      ? `${stack.queries[query]} (${unit} ${query}) looks at the coloured ${units}.`
      : `${stack.queries[query]} (${unit} ${query}) → ${stack.keys[key]} (${unit} ${key}): ${percent(head.weight(query, key))}`;
    const brightest = query === null ? 1 : Math.max(1, ...Array.from({ length: head.S }, (_, i) => head.byte(query, i)));
    state.queries.forEach((button, i) => button.classList.toggle("query", i === query));
    state.keys.forEach((button, i) => {
      const [red, green, blue] = colors[query === null ? 0 : Math.round(head.byte(query, i) / brightest * 255)];
      button.style.background = query === null ? "" : `rgb(${red} ${green} ${blue})`;
      button.style.color = query === null ? "" : (red * 299 + green * 587 + blue * 114) / 1000 > 140 ? "#111" : "#fff";
    });
  }

  let waiting = false;
  function point(query, key) {
    if (state.query === query && state.key === key) return;
    Object.assign(state, { query, key });
    if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; drawHead(); }); }
  }

  canvas.addEventListener("pointermove", event => {
    const cell = cellAt(state.head, canvas, event, state.place);
    if (cell && (state.held === null || event.pointerType !== "mouse")) point(cell.query, cell.key);
    else if (cell) point(state.held, cell.key);
  });
  canvas.addEventListener("pointerdown", event => { const cell = cellAt(state.head, canvas, event, state.place); if (cell) { state.held = null; point(cell.query, cell.key); } });
  canvas.addEventListener("keydown", event => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }, move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    point(within((state.query ?? 0) + move[0], state.head.T), within((state.key ?? 0) + move[1], state.head.S));
  });

  function chooseStack(stack) {
    Object.assign(state, { stack, query: null, key: null, held: null });
    state.head = stack.heads[0][0];
    makeText();
    drawOverview();
    drawHead();
  }

  const stackButtons = stacks.map(stack => element("button", { type: "button", "aria-pressed": String(stack === state.stack), onclick: () => {
    stackButtons.forEach((button, i) => button.setAttribute("aria-pressed", String(stacks[i] === stack)));
    chooseStack(stack);
  } }, stack.name));

  const counts = stacks.map(stack => `${stacks.length > 1 ? `${stack.name}: ` : ""}${stack.layers.length} layers, ${stack.self ? `${stack.queries.length} ${units}` : `${stack.queries.length} ${units} looking at ${stack.keys.length}`}`);

  const root = element("div", {}, ...[
    stacks.length > 1 ? element("div", { class: "controls" }, stackButtons) : null,
    element("p", { class: "hint quiet small" }, `A row is the ${unit} that looks, a column the ${unit} that is looked at; the stronger the colour, the larger its share. Click a head to enlarge it.`),
    element("div", { class: "side" }, overview, element("section", { class: "detail" }, title, figuresLine, picture, sentence, text,
      element("p", { class: "quiet small" }, `Colours of the ${unit === "token" ? "text" : units} are relative to the largest share of the ${unit} that looks; a click holds that ${unit}.${unit === "token" ? " Signs: ␣ space, ⏎ end of line, ⇥ tab, \\x.. a byte that is a part of a character." : ""}`))),
    tip,
  ].filter(part => part !== null));
  let drawnWidth = 0;
  const draw = () => { drawnWidth = picture.clientWidth; chooseStack(state.stack); };
  theme.listeners.push(() => { if (root.isConnected) { drawOverview(); drawHead(); } });
  new ResizeObserver(() => { if (root.isConnected && picture.clientWidth !== drawnWidth) { drawnWidth = picture.clientWidth; drawHead(); } }).observe(picture);
  return { root, counts: counts.join("; "), state, draw };
}
