// The picture that a model of patches read, under the weights of every head: for its class token, or for a patch that is clicked.

/** @param source {model, stacks, picture: {height, width, pixels, rows, columns, classToken}}
 *  @returns the element, which needs no drawing later. */
function pictureView({ stacks, picture }) {
  const { height, width, rows, columns, classToken } = picture, stack = unpack(stacks[0]), first = classToken ? 1 : 0;
  const bytes = Uint8Array.from(atob(picture.pixels), character => character.charCodeAt(0));
  // What the class is told from: the class token, or in a decoder the last patch; of means a patch in the middle.
  const state = { query: classToken ? 0 : stacks[0].name === "decoder" ? rows * columns - 1 : Math.floor(rows / 2) * columns + Math.floor(columns / 2) };
  const name = query => query < first ? "the class token" : `the patch in row ${Math.floor((query - first) / columns)}, column ${(query - first) % columns}`;

  /** The picture in grey, the more orange the more a head looks there; without a head as it is. */
  function paint(canvas, head) {
    [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    const most = head ? Math.max(1, ...Array.from({ length: rows * columns }, (_, i) => head.byte(state.query, i + first))) : 1;
    for (let pixel = 0; pixel < width * height; pixel++) {
      const [red, green, blue] = bytes.subarray(pixel * 3, pixel * 3 + 3);
      const patch = Math.floor(Math.floor(pixel / width) * rows / height) * columns + Math.floor(pixel % width * columns / width);
      if (!head) { image.data.set([red, green, blue, 255], pixel * 4); continue; }
      const share = head.byte(state.query, patch + first) / most, grey = (red * 299 + green * 587 + blue * 114) / 1000;
      // Half of the range is left to the picture, so that it is seen under the colour, dark or light.
      const shade = 40 + grey * 0.5, over = 0.85 * share ** 2;   // bytes are square roots
      image.data.set([255, 120, 20].map(hot => (1 - over) * shade + over * hot * (0.6 + 0.4 * grey / 255)).concat(255), pixel * 4);
    }
    pen.putImageData(image, 0, 0);
  }

  const large = element("canvas", { tabindex: 0, role: "img", "aria-label": "The picture; a click chooses the patch that looks", style: `width: 100%; max-width: 320px; aspect-ratio: ${width} / ${height}; image-rendering: pixelated; cursor: crosshair` });
  const line = element("p", { "aria-live": "polite", class: "reading" });
  const most = Math.max(...stack.layers.map(layer => layer.heads)), heads = stack.heads.flat();
  const small = heads.map(() => element("canvas", { style: `width: 100%; aspect-ratio: ${width} / ${height}; image-rendering: pixelated` }));
  const names = [element("span"), ...Array.from({ length: most }, (_, i) => element("span", { class: "name" }, i === 0 ? "head 0" : i))];
  const cells = stack.heads.flatMap((layer, row) => [element("span", { class: "name" }, `${row === 0 ? "layer " : ""}${stack.layers[row].index}`),
    ...layer.map(head => element("span", { title: head.name }, small[heads.indexOf(head)])), ...Array.from({ length: most - layer.length }, () => element("span"))]);

  const whole = document.createElement("canvas"), scale = Math.max(1, Math.ceil(640 / width));
  paint(whole, null);

  function draw() {
    [large.width, large.height] = [width * scale, height * scale];
    const pen = large.getContext("2d"), patch = state.query - first;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(whole, 0, 0, large.width, large.height);
    if (patch >= 0) {
      const [across, down] = [large.width / columns, large.height / rows];
      [pen.strokeStyle, pen.lineWidth] = ["#ff5a36", large.width / 120];
      pen.strokeRect(patch % columns * across, Math.floor(patch / columns) * down, across, down);
    }
    heads.forEach((head, i) => paint(small[i], head));
    line.textContent = `Each small picture shows where a head looks for ${name(state.query)}: the more orange, the larger the share, relative to the patch with the largest. Click in the large picture to choose a patch.`;
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
    element("div", { class: "maps", style: `grid-template-columns: auto repeat(${most}, ${Math.max(48, Math.min(120, Math.floor(640 / (most + 1))))}px); --ratio: ${width} / ${height}` }, names, cells),
    element("div", {}, large, classToken ? element("div", { class: "controls" }, element("button", { type: "button", onclick: () => choose(0) }, "class token")) : "")));
}
