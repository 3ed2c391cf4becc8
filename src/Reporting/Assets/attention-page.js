// The page of one attention map.
const attention = attentionView(data);
document.getElementById("main").replaceChildren(
  element("header", { class: "head" }, element("div", {}, element("h1", {}, `Attention of ${data.model}`), element("p", { class: "quiet" }, attention.counts)), theme.button()),
  ...data.picture ? [pictureView(data), element("h2", {}, "Every head")] : [], attention.root);
attention.draw();
