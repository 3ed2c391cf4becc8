// The picture that a model of patches read, under the weights of every head: for its class token, or for a patch that is clicked.

/** @param source {model, stacks, picture: {height, width, pixels, rows, columns, classToken}}
 *  @returns the element, which needs no drawing later. */
function pictureView({ stacks, picture }) {
  const { height, width, rows, columns, classToken } = picture, stack = unpack(stacks[0]), first = classToken ? 1 : 0;
  const bytes = Uint8Array.from(atob(picture.pixels), character => character.charCodeAt(0));
  const state = { query: classToken ? 0 : Math.floor(rows / 2) * columns + Math.floor(columns / 2) };
  const name = query => query < first ? "the class token" : `the patch in row ${Math.floor((query - first) / columns)}, column ${(query - first) % columns}`;

  /** The picture in grey, darkened where a head does not look; without a head as it is. */
  function paint(canvas, head) {
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    const most = head ? Math.max(1, ...Array.from({ length: rows * columns }, (_, i) => head.byte(state.query, i + first))) : 1;
    for (let pixel = 0; pixel < width * height; pixel++) {
      const [red, green, blue] = bytes.subarray(pixel * 3, pixel * 3 + 3);
      const patch = Math.floor(Math.floor(pixel / width) * rows / height) * columns + Math.floor(pixel % width * columns / width);
      if (!head) { image.data.set([red, green, blue, 255], pixel * 4); continue; }
      const share = head.byte(state.query, patch + first) / most, grey = (red * 299 + green * 587 + blue * 114) / 1000;
      const [hotRed, hotGreen, hotBlue] = tables.dark[Math.round(share * 255)];
      image.data.set([0.35 * grey + 0.65 * hotRed, 0.35 * grey + 0.65 * hotGreen, 0.35 * grey + 0.65 * hotBlue, 255], pixel * 4);
    }
    pen.putImageData(image, 0, 0);
  }

  const large = element("canvas", { tabindex: 0, role: "img", "aria-label": "The picture; a click chooses the patch that looks", style: `width: 100%; max-width: 320px; aspect-ratio: ${width} / ${height}; image-rendering: pixelated; cursor: crosshair` });
  const line = element("p", { "aria-live": "polite", class: "reading" });
  const most = Math.max(...stack.layers.map(layer => layer.heads)), heads = stack.heads.flat();
  const small = heads.map(() => element("canvas", { style: `width: 100%; aspect-ratio: ${width} / ${height}; image-rendering: pixelated` }));
  const cells = stack.heads.flatMap((layer, row) => [element("span", { class: "name" }, `${row === 0 ? "layer " : ""}${stack.layers[row].index}`),
    ...layer.map(head => element("span", { title: head.name }, small[heads.indexOf(head)])), ...Array.from({ length: most - layer.length }, () => element("span"))]);

  function draw() {
    paint(large, null);
    if (state.query >= first) {
      const pen = large.getContext("2d"), patch = state.query - first;
      pen.strokeStyle = "#ff5a36";
      pen.strokeRect(patch % columns * width / columns + 0.5, Math.floor(patch / columns) * height / rows + 0.5, width / columns - 1, height / rows - 1);
    }
    heads.forEach((head, i) => paint(small[i], head));
    line.textContent = `Each small picture shows where a head looks for ${name(state.query)}: the lighter, the more, relative to the patch with the largest share.`;
  }

  function choose(query) {
    state.query = query;
    draw();
  }

  large.addEventListener("pointerdown", event => {
    const box = large.getBoundingClientRect(), within = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value * count)));
    choose(first + within((event.clientY - box.top) / box.height, rows) * columns + within((event.clientX - box.left) / box.width, columns));
  });
  large.addEventListener("keydown", event => {
    const move = { ArrowUp: -columns, ArrowDown: columns, ArrowLeft: -1, ArrowRight: 1 }[event.key], next = state.query + move;
    if (move === undefined || next < first || next >= first + rows * columns) return;
    event.preventDefault();
    choose(next);
  });
  draw();
  return element("section", {}, element("h2", {}, "Over the picture"), line, element("div", { class: "side" },
    element("div", { class: "maps", style: `grid-template-columns: auto repeat(${most}, ${Math.max(48, Math.min(120, Math.floor(640 / (most + 1))))}px); --ratio: ${width} / ${height}` }, cells),
    element("div", {}, large, classToken ? element("div", { class: "controls" }, element("button", { type: "button", onclick: () => choose(0) }, "class token")) : "")));
}
