// One head of attention: its weights, its figures, its picture.

// From the page's colour to its opposite in one hue, so that lightness alone tells the weight.
const ramps = { light: ["#ffffff", "#c7dcf0", "#6aa9d8", "#1f6db3", "#08285c"], dark: ["#14171b", "#1d3d63", "#2f7dbd", "#83c5ef", "#fdfbe8"] };

function rampTable(stops) {
  const parts = stops.map(stop => [1, 3, 5].map(i => parseInt(stop.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, value) => {
    const place = value / 255 * (parts.length - 1), from = Math.min(parts.length - 2, Math.floor(place)), share = place - from;
    return parts[from].map((part, i) => Math.round(part + (parts[from + 1][i] - part) * share));
  });
}
const tables = { light: rampTable(ramps.light), dark: rampTable(ramps.dark) };
const ramp = () => tables[theme.isDark() ? "dark" : "light"];

class Head {
  /** @param bytes 255·√weight for every query and key. */
  constructor(stack, layer, number, bytes) {
    Object.assign(this, { stack, layer, number, bytes, T: stack.queries.length, S: stack.keys.length });
    this.name = `layer ${layer.index}, head ${number}`;
  }

  byte(query, key) { return this.bytes[query * this.S + key]; }
  weight(query, key) { return (this.byte(query, key) / 255) ** 2; }

  /** What a head does, in figures: means over the queries, each query's weights taken as shares. */
  figures() {
    if (this.known) return this.known;
    let [bits, distance, first, own, counted] = [0, 0, 0, 0, 0];
    for (let query = 0; query < this.T; query++) {
      let sum = 0;
      for (let key = 0; key < this.S; key++) sum += this.weight(query, key);
      if (sum === 0) continue;
      counted++;
      for (let key = 0; key < this.S; key++) {
        const share = this.weight(query, key) / sum;
        if (share === 0) continue;
        bits -= share * Math.log2(share);
        distance += share * Math.abs(query - key);
        if (key === 0) first += share;
        if (key === query) own += share;
      }
    }
    const mean = value => counted ? value / counted : 0;
    return this.known = { bits: mean(bits), distance: mean(distance), first: mean(first), own: mean(own) };
  }

  /** Draws a pixel for every query (row) and key (column). */
  paint(canvas) {
    [canvas.width, canvas.height] = [this.S, this.T];
    const pen = canvas.getContext("2d"), image = pen.createImageData(this.S, this.T), colors = ramp();
    for (let i = 0; i < this.bytes.length; i++) {
      const [red, green, blue] = colors[this.bytes[i]];
      image.data.set([red, green, blue, 255], i * 4);
    }
    pen.putImageData(image, 0, 0);
  }
}

/** A stack with its heads, their weights taken out of base 64. */
function unpack(stack) {
  const heads = stack.layers.map(layer => {
    const bytes = Uint8Array.from(atob(layer.weights), character => character.charCodeAt(0)), size = stack.queries.length * stack.keys.length;
    return Array.from({ length: layer.heads }, (_, number) => new Head(stack, layer, number, bytes.subarray(number * size, (number + 1) * size)));
  });
  return { ...stack, heads, self: stack.queries.length === stack.keys.length && stack.queries.every((token, i) => token === stack.keys[i]) };
}
