// A token's way through a model as a list of steps over vectors that stay where they are, run by one call: what libtorch spends on each
// operation (a dispatch, a tensor, a parallel region) is more than the arithmetic of a small model's token.
//
// A program is made once for a decoding state: it holds the weights, the caches and room for what lies between the steps. Each step is
// for a few sequences side by side, B; a vector is (B, width). Float32 on the CPU; matrices may be bfloat16, packed or not, or in blocks of 8 bits.
#include "blocks.h"
#include "exponent_packing.h"
#include "shim.h"
#include "token_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <memory>
#include <string>

namespace {

struct Vector {
  int64_t width;
  std::vector<float> numbers;  // (B, width)
};

// One run.
struct Moment {
  const int64_t* tokens;  // (B)
  int64_t position;
};

struct Program;

struct Step {
  virtual ~Step() = default;
  virtual void run(Program& program, const Moment& moment) = 0;
};

struct Program {
  int64_t batch;
  std::vector<std::unique_ptr<Vector>> vectors;
  std::vector<std::unique_ptr<Step>> steps;

  Vector& vector(int64_t id) {
    TORCH_CHECK(id >= 0 && id < static_cast<int64_t>(vectors.size()), "a program of ", vectors.size(), " vectors has none of number ", id);
    return *vectors[static_cast<size_t>(id)];
  }

  template <class S>
  void add(S&& step) {
    steps.push_back(std::make_unique<std::decay_t<S>>(std::forward<S>(step)));
  }
};

float* row(Vector& vector, int64_t b) { return vector.numbers.data() + b * vector.width; }

Tensor plain(const Tensor& tensor, int64_t dimensions, const char* what) {
  TORCH_CHECK(tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.dim() == dimensions && tensor.is_contiguous(), what,
              " of a token's program must be float32 on the CPU, with ", dimensions, " dimensions and without gaps, not ", tensor.sizes(), " ",
              tensor.scalar_type(), " on ", tensor.device());
  return tensor;
}

// Numbers of a matrix's row, in blocks, packed or plain; −1 where it is malformed.
int64_t row_width(const Tensor& matrix) {
  if (matrix.scalar_type() == at::kByte) return tn::is_packed_row(matrix.size(1)) ? tn::PackedMatrix{nullptr, matrix.size(0), matrix.size(1)}.inputs() : -1;
  constexpr auto bytes = static_cast<int64_t>(sizeof(tn::Block));
  if (matrix.scalar_type() != at::kChar) return matrix.size(1);
  return matrix.size(1) % bytes == 0 ? matrix.size(1) / bytes * tn::kBlockLength : -1;
}

struct Embed final : Step {
  Tensor table;
  float scale;
  Vector& to;

  Embed(Tensor t, double s, Vector& v) : table(std::move(t)), scale(static_cast<float>(s)), to(v) {}

  void run(Program& program, const Moment& moment) override {
    for (int64_t b = 0; b < program.batch; ++b) {
      const auto token = moment.tokens[b];
      TORCH_CHECK(token >= 0 && token < table.size(0), "token ", token, " is none of the ", table.size(0), " that have an embedding");
      tn::token_scale(numbers(token, row(to, b)), row(to, b), to.width, scale);
    }
  }

  // A token's row; where it has to be widened, in the room for it.
  const float* numbers(int64_t token, float* room) const {
    if (table.scalar_type() == at::kFloat) return table.const_data_ptr<float>() + token * to.width;
    const auto blocks = to.width / tn::kBlockLength;
    tn::unpack_blocks(static_cast<const tn::Block*>(table.const_data_ptr()) + token * blocks, room, blocks);
    return room;
  }
};

struct Place final : Step {
  Tensor table;
  Vector& to;

  Place(Tensor t, Vector& v) : table(std::move(t)), to(v) {}

  void run(Program& program, const Moment& moment) override {
    TORCH_CHECK(moment.position < table.size(0), "position ", moment.position, " is none of the ", table.size(0), " in the table");
    const auto* place = table.const_data_ptr<float>() + moment.position * to.width;
    for (int64_t b = 0; b < program.batch; ++b) tn::token_add(place, row(to, b), to.width, 1.0f);
  }
};

struct Norm final : Step {
  Vector &from, &to;
  int64_t start, count;  // heads of the norm's width, from an element on
  Tensor weight, bias;
  tn::TokenNorm norm;

  Norm(Vector& f, Vector& t, int64_t s, int64_t n, Tensor w, Tensor b, double epsilon, bool centred)
      : from(f), to(t), start(s), count(n), weight(std::move(w)), bias(std::move(b)),
        norm{weight.const_data_ptr<float>(), bias.defined() ? bias.const_data_ptr<float>() : nullptr, weight.size(0), static_cast<float>(epsilon), centred} {}

  void run(Program& program, const Moment&) override {
    for (int64_t b = 0; b < program.batch; ++b)
      for (int64_t i = 0; i < count; ++i) {
        const auto offset = start + i * norm.width;
        tn::token_norm(norm, row(from, b) + offset, row(to, b) + offset);
      }
  }
};

struct Linear final : Step {
  Vector &from, &to;
  Tensor weight, bias;
  tn::TokenLinear linear;
  std::vector<uint16_t> coarse;  // what comes in, rounded, for a matrix in bfloat16, packed or not

  Linear(Vector& f, Vector& t, Tensor w, Tensor b, bool adds, int64_t batch)
      : from(f), to(t), weight(std::move(w)), bias(std::move(b)),
        linear{weight.const_data_ptr(), bias.defined() ? bias.const_data_ptr<float>() : nullptr, nullptr, nullptr, batch, from.width, to.width,
               format_of(weight), adds, weight.size(1)},
        coarse(linear.format == tn::MatrixFormat::bfloat16 || linear.format == tn::MatrixFormat::packed ? from.numbers.size() : 0) {}

  void run(Program&, const Moment&) override {
    linear.x = from.numbers.data();
    linear.y = to.numbers.data();
    if (!coarse.empty()) {
      tn::token_round(from.numbers.data(), coarse.data(), static_cast<int64_t>(coarse.size()));
      linear.x = coarse.data();
    }
    tn::token_linear(linear);
  }

  static tn::MatrixFormat format_of(const Tensor& weight) {
    switch (weight.scalar_type()) {
      case at::kFloat: return tn::MatrixFormat::float32;
      case at::kBFloat16: return tn::MatrixFormat::bfloat16;
      case at::kChar: return tn::MatrixFormat::blocks;
      case at::kByte: return tn::MatrixFormat::packed;
      default: TORCH_CHECK(false, "a token's matrix is float32, bfloat16, blocks in int8 or packed in bytes, not ", weight.scalar_type());
    }
  }
};

struct Turn final : Step {
  Vector& heads;
  int64_t count, width, turned;
  Tensor table;
  bool neighbours;

  Turn(Vector& v, int64_t n, int64_t w, int64_t r, Tensor t, bool side_by_side)
      : heads(v), count(n), width(w), turned(r), table(std::move(t)), neighbours(side_by_side) {}

  void run(Program& program, const Moment& moment) override {
    TORCH_CHECK(moment.position < table.size(0), "position ", moment.position, " is none of the ", table.size(0), " in the table");
    const auto* angles = table.const_data_ptr<float>() + moment.position * table.size(1);
    const auto pairs = turned / 2;
    for (int64_t b = 0; b < program.batch; ++b)
      for (int64_t i = 0; i < count; ++i) {
        float* head = row(heads, b) + i * width;
        // [cos | cos | −sin | sin] of half a head each, or cos and sin of each pair in turn.
        neighbours ? tn::token_turn_neighbours(head, angles, pairs) : tn::token_turn_halves(head, angles, angles + turned + pairs, pairs);
      }
  }
};

struct Attend final : Step {
  Vector &from, &to;    // [H·D query | G·D key | G·D value], and H·D
  Tensor keys, values;  // (B, G, capacity, D)
  Tensor at;            // the row for the next token; undefined where it is its position
  float scale;
  int64_t window;             // how many rows are seen, the token's own included
  std::vector<float> scores;  // (B, H, capacity)

  Attend(Vector& f, Vector& t, Tensor k, Tensor v, Tensor a, double s, int64_t w)
      : from(f), to(t), keys(std::move(k)), values(std::move(v)), at(std::move(a)), scale(static_cast<float>(s)), window(w),
        scores(static_cast<size_t>(to.numbers.size() / static_cast<size_t>(keys.size(3)) * static_cast<size_t>(keys.size(2)))) {}

  void run(Program& program, const Moment& moment) override {
    const auto groups = keys.size(1), capacity = keys.size(2), width = keys.size(3), heads = to.width / width, sharing = heads / groups;
    const auto last = at.defined() ? *at.const_data_ptr<int64_t>() : moment.position;
    TORCH_CHECK(last >= 0 && last < capacity, "row ", last, " does not fit a cache of ", capacity);
    const auto length = std::min(last + 1, window), first = last + 1 - length;
    auto *key = keys.mutable_data_ptr<float>(), *value = values.mutable_data_ptr<float>();
    const auto bytes = 2 * length * width * 4;
    at::parallel_for(0, program.batch * groups, std::max<int64_t>(1, tn::kBytesPerThread / bytes), [&](int64_t begin, int64_t end) {
      for (auto task = begin; task < end; ++task) {
        const auto b = task / groups, group = task % groups;
        const float* made = row(from, b);
        float *past_keys = key + task * capacity * width, *past_values = value + task * capacity * width;
        const auto size = static_cast<size_t>(width) * sizeof(float);
        std::memcpy(past_keys + last * width, made + (heads + group) * width, size);
        std::memcpy(past_values + last * width, made + (heads + groups + group) * width, size);
        for (auto head = group * sharing; head < (group + 1) * sharing; ++head)
          tn::token_attention({made + head * width, past_keys + first * width, past_values + first * width, scores.data() + (b * heads + head) * capacity,
                               row(to, b) + head * width, length, width, scale});
      }
    });
  }
};

struct Activate final : Step {
  Vector &from, &to;
  tn::TokenActivation kind;

  Activate(Vector& f, Vector& t, int32_t k) : from(f), to(t), kind(static_cast<tn::TokenActivation>(k)) {}

  void run(Program& program, const Moment&) override {
    for (int64_t b = 0; b < program.batch; ++b) {
      const float* x = row(from, b);
      tn::token_activation(kind, x, from.width == to.width ? nullptr : x + to.width, row(to, b), to.width);
    }
  }
};

struct Sum final : Step {
  Vector &from, &to;

  Sum(Vector& f, Vector& t) : from(f), to(t) {}

  void run(Program&, const Moment&) override { tn::token_add(from.numbers.data(), to.numbers.data(), static_cast<int64_t>(to.numbers.size()), 1.0f); }
};

struct Bound final : Step {
  Vector& at;
  float scale, cap;  // cap 0 is none

  Bound(Vector& v, double s, double c) : at(v), scale(static_cast<float>(s)), cap(static_cast<float>(c)) {}

  void run(Program&, const Moment&) override {
    const auto count = static_cast<int64_t>(at.numbers.size());
    if (scale != 1) tn::token_scale(at.numbers.data(), at.numbers.data(), count, scale);
    if (cap != 0) tn::token_cap(at.numbers.data(), count, cap);
  }
};

Program& of(void* program) { return *static_cast<Program*>(program); }

void require_same(const Vector& a, const Vector& b) {
  TORCH_CHECK(a.width == b.width, "vectors of ", a.width, " and ", b.width, " numbers do not go together");
}

}  // namespace

TN_API int32_t tn_token_program(int64_t batch, void** result) {
  return tn::guarded([&] {
    TORCH_CHECK(batch > 0, "a token's program is for 1 sequence or more, not ", batch);
    *result = new Program{batch, {}, {}};
  });
}

TN_API void tn_token_program_free(void* program) { delete static_cast<Program*>(program); }

TN_API int32_t tn_token_vector(void* program, int64_t width, int64_t* result) {
  return tn::guarded([&] {
    auto& p = of(program);
    TORCH_CHECK(width > 0, "a vector has 1 number or more, not ", width);
    p.vectors.push_back(std::make_unique<Vector>(Vector{width, std::vector<float>(static_cast<size_t>(p.batch * width))}));
    *result = static_cast<int64_t>(p.vectors.size()) - 1;
  });
}

TN_API int32_t tn_token_embed(void* program, const Tensor* table, double scale, int64_t to) {
  return tn::guarded([&] {
    auto& v = of(program).vector(to);
    TORCH_CHECK(table->is_cpu() && table->dim() == 2 && row_width(*table) == v.width, "rows of ", table->sizes(), " on ", table->device(), " do not go into a vector of ", v.width);
    of(program).add(Embed(table->scalar_type() == at::kChar ? table->contiguous() : plain(*table, 2, "embeddings"), scale, v));
  });
}

TN_API int32_t tn_token_place(void* program, const Tensor* table, int64_t to) {
  return tn::guarded([&] {
    auto& v = of(program).vector(to);
    TORCH_CHECK(table->dim() == 2 && table->size(1) == v.width, "rows of ", table->sizes(), " do not go into a vector of ", v.width);
    of(program).add(Place(plain(*table, 2, "positions"), v));
  });
}

TN_API int32_t tn_token_norm(void* program, int64_t from, int64_t to, int64_t start, int64_t count, const Tensor* weight, const Tensor* bias, double epsilon,
                             int32_t centred) {
  return tn::guarded([&] {
    auto &x = of(program).vector(from), &y = of(program).vector(to);
    require_same(x, y);
    const auto scale = plain(*weight, 1, "norms");
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(start >= 0 && count > 0 && start + count * scale.size(0) <= x.width && (!shift || plain(*shift, 1, "norms").size(0) == scale.size(0)),
                count, " norms of ", scale.size(0), " from ", start, " on do not fit a vector of ", x.width);
    of(program).add(Norm(x, y, start, count, scale, shift.value_or(Tensor()), epsilon, centred != 0));
  });
}

// weight (N, K) float32 or bfloat16, or in blocks or packed; bias (N) or null.
TN_API int32_t tn_token_linear(void* program, int64_t from, int64_t to, const Tensor* weight, const Tensor* bias, int32_t adds) {
  return tn::guarded([&] {
    auto &x = of(program).vector(from), &y = of(program).vector(to);
    const auto shift = tn::optional_tensor(bias);
    TORCH_CHECK(weight->is_cpu() && weight->dim() == 2 && weight->is_contiguous() && weight->size(0) == y.width && row_width(*weight) == x.width && from != to &&
                    (!shift || plain(*shift, 1, "biases").size(0) == y.width),
                "a matrix of ", weight->sizes(), " ", weight->scalar_type(), " on ", weight->device(), " does not take a vector of ", x.width, " to one of ", y.width);
    of(program).add(Linear(x, y, *weight, shift.value_or(Tensor()), adds != 0, of(program).batch));
  });
}

// The first heads of a vector; the first numbers of each head are turned.
TN_API int32_t tn_token_turn(void* program, int64_t vector, int64_t count, int64_t width, int64_t turned, const Tensor* table, int32_t neighbours) {
  return tn::guarded([&] {
    auto& v = of(program).vector(vector);
    const auto rows = plain(*table, 2, "angles");
    TORCH_CHECK(turned > 0 && turned % 2 == 0 && turned <= width && count * width <= v.width && rows.size(1) == (neighbours != 0 ? turned : 2 * turned), count,
                " heads of ", width, ", ", turned, " of them turned by rows of ", rows.sizes(), ", are not in a vector of ", v.width);
    of(program).add(Turn(v, count, width, turned, rows, neighbours != 0));
  });
}

// at (1), int64, may be null.
TN_API int32_t tn_token_attend(void* program, int64_t from, int64_t to, const Tensor* keys, const Tensor* values, const Tensor* at, double scale,
                               int64_t window) {
  return tn::guarded([&] {
    auto &x = of(program).vector(from), &y = of(program).vector(to);
    auto k = plain(*keys, 4, "keys"), v = plain(*values, 4, "values");
    const auto groups = k.size(1), width = k.size(3);
    TORCH_CHECK(k.sizes() == v.sizes() && k.size(0) == of(program).batch && y.width % width == 0 && (y.width / width) % groups == 0 &&
                    x.width == y.width + 2 * groups * width && scale > 0 && window > 0,
                "keys ", k.sizes(), " and values ", v.sizes(), " do not go with vectors of ", x.width, " and ", y.width, " and a window of ", window);
    const auto next = tn::optional_tensor(at);
    TORCH_CHECK(!next || (next->is_cpu() && next->scalar_type() == at::kLong && next->numel() == 1), "the row of a token is one int64 on the CPU");
    of(program).add(Attend(x, y, std::move(k), std::move(v), next.value_or(Tensor()), scale, window));
  });
}

// From (F) or, gated, from [gate | up] (2F).
TN_API int32_t tn_token_activate(void* program, int64_t from, int64_t to, int32_t kind) {
  return tn::guarded([&] {
    auto &x = of(program).vector(from), &y = of(program).vector(to);
    TORCH_CHECK(kind >= 0 && kind <= static_cast<int32_t>(tn::TokenActivation::sigmoid) && (x.width == y.width || x.width == 2 * y.width), "activation ", kind,
                " does not take a vector of ", x.width, " to one of ", y.width);
    of(program).add(Activate(x, y, kind));
  });
}

TN_API int32_t tn_token_add(void* program, int64_t from, int64_t to) {
  return tn::guarded([&] {
    auto &x = of(program).vector(from), &y = of(program).vector(to);
    require_same(x, y);
    of(program).add(Sum(x, y));
  });
}

TN_API int32_t tn_token_bound(void* program, int64_t vector, double scale, double cap) {
  return tn::guarded([&] { of(program).add(Bound(of(program).vector(vector), scale, cap)); });
}

// Runs the program for tokens (B, 1) at a position; the result is a copy of a vector, (B, width).
TN_API int32_t tn_token_run(void* program, const Tensor* tokens, int64_t position, int64_t vector, Tensor** result) {
  return tn::returning(result, [&] {
    auto& p = of(program);
    TORCH_CHECK(tokens->is_cpu() && at::isIntegralType(tokens->scalar_type(), false) && tokens->numel() == p.batch && position >= 0,
                "a token's program of ", p.batch, " sequences takes as many tokens, integers on the CPU, not ", tokens->sizes(), " ", tokens->scalar_type());
    const auto ids = tokens->to(at::kLong).contiguous();
    const auto& last = p.vector(vector);
    const Moment moment{ids.const_data_ptr<int64_t>(), position};
    for (const auto& step : p.steps) step->run(p, moment);
    auto copy = at::empty({p.batch, last.width}, at::kFloat);
    std::memcpy(copy.mutable_data_ptr<float>(), last.numbers.data(), last.numbers.size() * sizeof(float));
    return copy;
  });
}
