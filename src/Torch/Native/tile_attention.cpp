// Attention over the pairs of queries and keys that tiles name, and no others: time and memory in proportion to the tiles.
//
// A tile is a list of queries and a list of keys, with a mask where not every query of it sees every key. A query may
// stand in several tiles, a pair only in one: the parts of a softmax are joined by the logarithms of their sums (the online
// softmax of Dao et al. 2022). Nothing of the size of the scores is kept for the backward pass: it computes them again.
//
// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, R = H/G heads that share a key-value head, D width
// of a head, c tiles of a group, m queries of a tile, n keys of a tile. The query heads that share a key head stand as further
// queries of it, (c·B, G, R·m, D), so that keys and values are never repeated.
#include "fused.h"
#include "shim.h"
#include "tile_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kBlind = -std::numeric_limits<double>::infinity();
constexpr int64_t kChunkBytes = int64_t{1} << 24;  // gathered at a time

// Tiles of one shape and one mask.
struct Group {
  Tensor queries;  // (c, m) rows of q
  Tensor keys;     // (c, n) rows of k
  Tensor mask;     // (m, n), 0 or -inf; undefined where all is visible
  bool joins;      // whether its queries may have been in tiles before
};

// What the scores depend on beside queries and keys.
struct Rules {
  double scale;
  double soft_cap;         // 0 for none
  Tensor query_documents;  // (B, T) int64, undefined for none
  Tensor key_documents;    // (B, S)
  Tensor bias;             // (H, L): added at distance query - key = column + lowest; undefined for none
  int64_t lowest;
  Tensor query_positions;  // (T)
  Tensor key_positions;    // (S)
  bool fused;              // libtorch's flash kernel for CPUs computes the tiles
};

// The group's tiles [begin, begin + count) as one batch.
struct Chunk {
  Tensor queries, keys;
  Tensor mask;      // as Group's, or with documents and bias (1|c·B, 1|G, R·m, n); undefined where all is visible
  Tensor distance;  // (c, m, n) columns of the bias; undefined without
};

Tensor fold(const Tensor& tiles, int64_t groups) {  // (c, B, H, m, D) -> (c·B, G, R·m, D)
  return tiles.view({tiles.size(0) * tiles.size(1), groups, tiles.size(2) / groups * tiles.size(3), tiles.size(4)});
}

Tensor unfold(const Tensor& x, const Tensor& index, int64_t batch, int64_t heads) {  // back again
  return x.contiguous().view({index.size(0), batch, heads, index.size(1), x.size(-1)});
}

Tensor documents_of(const Tensor& documents, const Tensor& index) {  // (B, T), (c, m) -> (c, B, m)
  return documents.index_select(1, index.flatten()).view({documents.size(0), index.size(0), index.size(1)}).transpose(0, 1);
}

// Mask and bias of a chunk, (1|c·B, 1|G, R·m, n), from (1|c, 1|B, 1|H, m, n).
Tensor folded_mask(const Tensor& mask, int64_t tiles, int64_t batch, int64_t heads, int64_t groups) {
  const auto rows = mask.size(3), keys = mask.size(4), sharing = heads / groups;
  const bool same = mask.size(0) == 1 && mask.size(1) == 1;
  const bool by_head = mask.size(2) > 1;
  const auto count = same ? 1 : tiles * batch;
  return mask.expand({same ? 1 : tiles, same ? 1 : batch, by_head ? heads : sharing, rows, keys})
      .reshape({count, by_head ? groups : 1, sharing * rows, keys});
}

Chunk chunk_of(const Group& group, int64_t begin, int64_t count, const Rules& rules, int64_t batch, int64_t heads,
               int64_t groups) {
  Chunk chunk{group.queries.narrow(0, begin, count), group.keys.narrow(0, begin, count), Tensor(), Tensor()};
  Tensor mask;  // (1|c, 1|B, 1|H, m, n)
  if (group.mask.defined()) mask = group.mask.view({1, 1, 1, group.mask.size(0), group.mask.size(1)});
  if (rules.bias.defined()) {
    const auto from = rules.query_positions.index_select(0, chunk.queries.flatten()).view_as(chunk.queries);
    const auto to = rules.key_positions.index_select(0, chunk.keys.flatten()).view_as(chunk.keys);
    chunk.distance = (from.unsqueeze(2) - to.unsqueeze(1) - rules.lowest).clamp_(0, rules.bias.size(1) - 1);
    const auto bias = rules.bias.detach()
                          .index_select(1, chunk.distance.flatten())
                          .view({heads, count, from.size(1), to.size(1)})
                          .transpose(0, 1)
                          .unsqueeze(1);  // (c, 1, H, m, n)
    mask = mask.defined() ? bias + mask : bias;
  }
  if (rules.query_documents.defined()) {
    const auto hidden = documents_of(rules.query_documents, chunk.queries).unsqueeze(3) !=
                        documents_of(rules.key_documents, chunk.keys).unsqueeze(2);  // (c, B, m, n)
    const auto base = mask.defined() ? mask : at::zeros({}, group.queries.options().dtype(at::kFloat));
    mask = at::where(hidden.unsqueeze(2), at::full({}, kBlind, base.options()), base);
  }
  if (mask.defined()) chunk.mask = folded_mask(mask, count, batch, heads, groups);
  return chunk;
}

struct Part {
  Tensor out;  // (c·B, G, R·m, D)
  Tensor log;  // (c·B, G, R·m): the logarithm of the softmax's sum; -inf for a query that sees nothing
};

// Capped scores and, where it is wanted, the factor of their derivative.
Tensor scores_of(const Tensor& q, const Tensor& k, const Tensor& mask, const Rules& rules, Tensor* slope) {
  const auto type = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  auto scores = at::matmul(q * rules.scale, k.transpose(2, 3)).to(type);
  if (rules.soft_cap > 0) {
    const auto bent = (scores / rules.soft_cap).tanh();
    if (slope != nullptr) *slope = 1 - bent * bent;
    scores = bent * rules.soft_cap;
  }
  return mask.defined() ? scores + mask : scores;
}

Part attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, const Rules& rules) {
  if (!rules.fused) {
    const auto scores = scores_of(q, k, mask, rules, nullptr);
    const auto log = at::logsumexp(scores, {-1});
    const auto weights = (scores - log.masked_fill(log == kBlind, 0).unsqueeze(-1)).exp();
    return {at::matmul(weights.to(v.scalar_type()), v), log};
  }
  auto [out, log] = at::_scaled_dot_product_flash_attention_for_cpu(
      q, k, v, 0, false, mask.defined() ? std::optional<Tensor>(mask) : std::nullopt, rules.scale);
  // The kernel gives a query that sees nothing a logarithm that looks like any other.
  if (mask.defined()) log = log.masked_fill(mask.amax(-1) == kBlind, kBlind);
  return {out, log};
}

struct PartGradients {
  Tensor q, k, v, scores;  // scores only where the bias needs them
};

// out and log are those of the whole softmax, not of this part: so the weights come out as what they are in the whole.
PartGradients differentiate(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                            const Tensor& log, const Tensor& mask, const Rules& rules) {
  if (rules.fused) {
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        dout, q, k, v, out, log, 0, false, mask.defined() ? std::optional<Tensor>(mask) : std::nullopt, rules.scale);
    return {dq, dk, dv, Tensor()};
  }
  Tensor slope;
  const auto weights = (scores_of(q, k, mask, rules, &slope) - log.unsqueeze(-1)).exp();
  const auto delta = (dout * out).to(weights.scalar_type()).sum(-1, true);
  const auto dscores = weights * (at::matmul(dout, v.transpose(2, 3)).to(weights.scalar_type()) - delta);
  const auto dproducts = (slope.defined() ? dscores * slope : dscores).mul(rules.scale).to(q.scalar_type());
  return {at::matmul(dproducts, k), at::matmul(dproducts.transpose(2, 3), q),
          at::matmul(weights.to(v.scalar_type()).transpose(2, 3), dout), dscores};
}

// Tiles that are gathered at a time, so that what is gathered stays small whatever T is.
int64_t tiles_at_a_time(const Group& group, const Rules& rules, int64_t batch, int64_t heads, int64_t groups,
                        int64_t width) {
  const auto m = group.queries.size(1), n = group.keys.size(1);
  auto numbers = 3 * heads * m * width + 4 * groups * n * width;
  if (rules.bias.defined() || rules.query_documents.defined()) numbers += heads * m * n;
  if (!rules.fused) numbers += 4 * heads * m * n;
  return std::clamp<int64_t>(kChunkBytes / (4 * batch * numbers), 1, group.queries.size(0));
}

// Adds a part to what its queries have seen before: both are averages under a softmax, and the logarithms are their weights.
void join(Part& part, const Tensor& out, const Tensor& log) {
  const auto whole = at::logaddexp(part.log, log);
  const auto safe = whole.masked_fill(whole == kBlind, 0);
  part.out = part.out * (part.log - safe).exp().unsqueeze(-1).to(part.out.scalar_type()) +
             out * (log - safe).exp().unsqueeze(-1).to(out.scalar_type());
  part.log = whole;
}

struct Sizes {
  int64_t batch, heads, groups, queries, keys, width;
};

template <class F>
void for_each_chunk(const std::vector<Group>& tiles, const Rules& rules, const Sizes& s, F&& body) {
  for (const auto& group : tiles) {
    const auto step = tiles_at_a_time(group, rules, s.batch, s.heads, s.groups, s.width);
    for (int64_t begin = 0; begin < group.queries.size(0); begin += step) {
      const auto count = std::min(step, group.queries.size(0) - begin);
      body(group, chunk_of(group, begin, count, rules, s.batch, s.heads, s.groups));
    }
  }
}

Sizes sizes_of(const Tensor& q, const Tensor& k) {
  return {q.size(0), q.size(1), k.size(1), q.size(2), k.size(2), q.size(3)};
}

class TileAttention : public torch::autograd::Function<TileAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        const std::optional<Tensor>& bias, const std::vector<Group>& tiles, const Rules& rules) {
    const auto s = sizes_of(q, k);
    // Laid out as the residual stream wants it: heads of a token side by side.
    auto out = at::zeros({s.batch, s.queries, s.heads, v.size(3)}, q.options()).transpose(1, 2);
    auto log = at::full({s.batch, s.heads, s.queries, 1}, kBlind,
                        q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat));
    for_each_chunk(tiles, rules, s, [&](const Group& group, const Chunk& chunk) {
      const auto rows = [&](const Tensor& x) { return fold(tn::gather_rows(x, chunk.queries), s.groups); };
      auto part = attend(rows(q), fold(tn::gather_rows(k, chunk.keys), s.groups),
                         fold(tn::gather_rows(v, chunk.keys), s.groups), chunk.mask, rules);
      if (group.joins) join(part, rows(out), rows(log).squeeze(-1));
      tn::put_rows(out, chunk.queries, unfold(part.out, chunk.queries, s.batch, s.heads));
      tn::put_rows(log, chunk.queries, unfold(part.log.unsqueeze(-1), chunk.queries, s.batch, s.heads));
    });
    // A query that sees nothing has the result 0 and no gradient; a finite logarithm makes its weights exp(-inf) = 0.
    log.masked_fill_(log == kBlind, 0);
    keep(context, q, k, v, out, log, bias, tiles, rules);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    tn::require_first_derivative();
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &log = saved[4];
    const auto rules = rules_of(context, saved);
    const auto s = sizes_of(q, k);
    auto dq = at::zeros(q.sizes(), q.options()), dk = at::zeros(k.sizes(), k.options()),
         dv = at::zeros(v.sizes(), v.options());
    const bool wants_bias = rules.bias.defined() && context->saved_data["bias gradient"].toBool();
    auto dbias = wants_bias ? at::zeros_like(rules.bias, at::MemoryFormat::Contiguous) : Tensor();
    for_each_chunk(tiles_of(saved), rules, s, [&](const Group&, const Chunk& chunk) {
      const auto rows = [&](const Tensor& x) { return fold(tn::gather_rows(x, chunk.queries), s.groups); };
      const auto g = differentiate(rows(gradients[0]), rows(q), fold(tn::gather_rows(k, chunk.keys), s.groups),
                                   fold(tn::gather_rows(v, chunk.keys), s.groups), rows(out), rows(log).squeeze(-1),
                                   chunk.mask, rules);
      tn::add_rows(dq, chunk.queries, unfold(g.q, chunk.queries, s.batch, s.heads));
      tn::add_rows(dk, chunk.keys, unfold(g.k, chunk.keys, s.batch, s.groups));
      tn::add_rows(dv, chunk.keys, unfold(g.v, chunk.keys, s.batch, s.groups));
      if (wants_bias) add_bias(dbias, g.scores, chunk, s);
    });
    return {dq, dk, dv, dbias, Tensor(), Tensor()};
  }

 private:
  static constexpr size_t kFixed = 10;

  static void add_bias(Tensor& dbias, const Tensor& dscores, const Chunk& chunk, const Sizes& s) {
    const auto by_head = dscores
                             .reshape({chunk.queries.size(0), s.batch, s.heads, chunk.queries.size(1), chunk.keys.size(1)})
                             .sum(1)
                             .transpose(0, 1)
                             .reshape({s.heads, -1});  // (H, c·m·n)
    dbias.scatter_add_(1, chunk.distance.flatten().unsqueeze(0).expand_as(by_head), by_head.to(dbias.scalar_type()));
  }

  static void keep(AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                   const Tensor& log, const std::optional<Tensor>& bias, const std::vector<Group>& tiles,
                   const Rules& rules) {
    variable_list saved{q, k, v, out, log, rules.query_documents, rules.key_documents, bias.value_or(Tensor()),
                        rules.query_positions, rules.key_positions};
    for (const auto& group : tiles) saved.insert(saved.end(), {group.queries, group.keys, group.mask});
    context->save_for_backward(std::move(saved));
    context->saved_data["scale"] = rules.scale;
    context->saved_data["soft cap"] = rules.soft_cap;
    context->saved_data["lowest"] = rules.lowest;
    context->saved_data["fused"] = rules.fused;
    context->saved_data["bias gradient"] = bias.has_value() && bias->requires_grad();
  }

  static Rules rules_of(AutogradContext* context, const variable_list& saved) {
    return {context->saved_data["scale"].toDouble(), context->saved_data["soft cap"].toDouble(), saved[5], saved[6],
            saved[7], context->saved_data["lowest"].toInt(), saved[8], saved[9], context->saved_data["fused"].toBool()};
  }

  static std::vector<Group> tiles_of(const variable_list& saved) {
    std::vector<Group> tiles;
    for (size_t i = kFixed; i < saved.size(); i += 3) tiles.push_back({saved[i], saved[i + 1], saved[i + 2], false});
    return tiles;
  }
};

void require_shapes(const Tensor& q, const Tensor& k, const Tensor& v) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4 && v.dim() == 4 && q.size(0) == k.size(0) && q.size(3) == k.size(3) &&
                  k.sizes().slice(0, 3) == v.sizes().slice(0, 3) && q.size(1) % k.size(1) == 0,
              "query ", q.sizes(), ", key ", k.sizes(), " and value ", v.sizes(),
              " should be (B, H, T, D), (B, G, S, D) and (B, G, S, E) with G dividing H");
}

}  // namespace

// queries, keys and masks hold a tensor for each group of tiles; a mask is null where all is visible. joins says of each group
// whether its queries may have been in a group before. Documents, bias and the positions that a bias needs may be null.
TN_API int32_t tn_tile_attention(const Tensor* q, const Tensor* k, const Tensor* v, Tensor* const* queries,
                                 Tensor* const* keys, Tensor* const* masks, const int32_t* joins, int32_t groups,
                                 double scale, double soft_cap, const Tensor* query_documents,
                                 const Tensor* key_documents, const Tensor* bias, int64_t lowest,
                                 const Tensor* query_positions, const Tensor* key_positions, Tensor** result) {
  return tn::returning(result, [&] {
    require_shapes(*q, *k, *v);
    const auto table = tn::optional_tensor(bias);
    const auto given = [](const Tensor* tensor) { return tn::optional_tensor(tensor).value_or(Tensor()); };
    const bool fused = q->is_cpu() && q->scalar_type() == at::kFloat && soft_cap <= 0 && q->size(3) == v->size(3) &&
                       !(table && table->requires_grad());
    std::vector<Group> tiles;
    for (int32_t i = 0; i < groups; ++i) tiles.push_back({*queries[i], *keys[i], given(masks[i]), joins[i] != 0});
    const Rules rules{scale, soft_cap, given(query_documents), given(key_documents), table.value_or(Tensor()), lowest,
                      given(query_positions), given(key_positions), fused};
    return TileAttention::apply(*q, *k, *v, table, tiles, rules);
  });
}
