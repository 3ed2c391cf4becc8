// Shapes: B sequences, R rows (a token of each sequence, or some of a prompt), C model dimension, H query heads, G key-value heads, D head
// dimension, F hidden dimension, S positions that a layer has room for, V vocabulary.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Decodes on a CPU with a model's weights, not its modules: a token costs little more than reading each weight once.</summary>
/// <remarks>Takes decoders of the common kind (<see cref="Supports(LanguageModel)"/>) by their options and the names of their weights. The
/// model itself reads long prompts, and its cache is copied. Weights are shared with the model, except float32 ones that are multiplied in
/// bfloat16. Results are the same bits for any number of threads, and for a sequence whatever others are decoded beside it.</remarks>
internal sealed unsafe class CpuDecoder : IDecoder
{
    /// <summary>More sequences are worth matrix products.</summary>
    public const int MaxSequences = 8;

    // Longer prompts are worth the model's matrix products.
    private const int ShortPrompt = 32;

    // Bytes of keys and values that are worth a second thread.
    private const long Grain = 64 * 1024;

    private readonly ThreadTeam team = new();
    private readonly LanguageModel model;
    private readonly ModelOptions options;
    private readonly int capacity;
    private readonly bool parallel;
    private readonly Dictionary<string, Tensor> weights;
    private readonly List<Tensor> owned = []; // what the pointers point into
    private readonly Layer[] layers;
    private readonly List<CpuRotary> rotaries = []; // distinct ones of all layers
    private readonly VectorMatrix embedding, head, largest;
    private readonly double[] sinusoids;
    private readonly float* positions; // (positions, C); null where they are not learned
    private readonly Norm? embeddingNorm, lastNorm;
    private readonly float* x, normed, fed, branch, rounded, packed, heads, hidden, gated, distances, logits; // R rows each
    private readonly (int Place, int Position)[] rows = new (int, int)[MaxSequences];
    private readonly int[] lengths; // positions of the sequence at each place
    private int[] places = []; // of each sequence, among the keys and values

    /// <summary>Reads a supported model, in evaluation mode, for B sequences of <paramref name="capacity"/> positions at most.</summary>
    public CpuDecoder(LanguageModel model, int sequences, int capacity)
    {
        if (sequences is < 1 or > MaxSequences || !Supports(model))
            throw new ArgumentException($"This model, or {sequences} sequences side by side, are not for this decoder.");
        (this.model, options, this.capacity, lengths) = (model, model.Options, capacity, new int[sequences]);
        weights = model.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        parallel = options.ParallelResidual && options.Norm.Placement == NormPlacement.Pre;
        embedding = Matrix("embedding.weight", multiplied: false);
        head = Matrix(options.TieEmbeddings ? "embedding.weight" : "head.weight") with { Bias = (nint)Vector("head.bias") };
        sinusoids = options.Position is SinusoidalOptions ? new FrequencyBasis(options.Dim, 10000).Frequencies() : [];
        positions = Vector("position.weight");
        embeddingNorm = NormOf("embeddingNorm", options.EmbeddingNorm);
        lastNorm = NormOf("norm", options.Norm.EndsStream);
        layers = [.. options.Stacks[0].Layers.Select((layer, index) => Read($"blocks.{index}", layer))];

        largest = layers.SelectMany(layer => (VectorMatrix[])[layer.QueryKeyValue, layer.Up]).Append(head).MaxBy(
            matrix => matrix.Outputs * matrix.Inputs);

        x = Rows(options.Dim);
        normed = Rows(options.Dim);
        fed = Rows(options.Dim);
        branch = Rows(options.Dim);
        packed = Rows(layers.Max(layer => layer.QueryKeyValue.Outputs));
        heads = Rows(layers.Max(layer => layer.Output.Inputs));
        hidden = Rows(layers.Max(layer => layer.Up.Outputs));
        gated = Rows(layers.Max(layer => layer.Down.Inputs));
        rounded = Rows(layers.Max(layer => Math.Max(layer.Output.Inputs, layer.Down.Inputs)) + options.Dim);
        distances = Rows(layers.Max(layer => layer.Slots));
        logits = Rows(model.VocabularySize);
    }

    public static bool Supports(LanguageModel model) =>
        Lanes.IsSupported && model.Device.type == DeviceType.CPU
        && model.Options is DecoderOptions && model.Options.Stacks[0].Layers.All(Supports);

    // Kernels and caches that a configuration names are the model's business.
    private static bool Supports(LayerOptions layer) =>
        layer is { Mixer: AttentionMixerOptions, Attention: HeadProjectionOptions, FeedForward: DenseOptions }
        && layer.Attention is { Kernel: AttentionKernel.Auto, Cache: AttentionCache.Auto }
        && layer.Attention.ResolvedPattern is CausalOptions or SlidingOptions { Causal: true }
        && layer.Position is NoPositionOptions or LearnedOptions or SinusoidalOptions or AlibiOptions
            or RotaryOptions { Scaling: null or LinearScaling or NtkScaling or NtkByPartsScaling or YarnScaling or Llama3Scaling };

    public ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt)
    {
        places = [];
        return Add(prompt);
    }

    /// <summary>Adds a sequence beside the present ones; returns its logits (V), valid until the next call.</summary>
    public ReadOnlySpan<float> Add(IReadOnlyList<int> prompt)
    {
        if (prompt.Count == 0 || prompt.Count > capacity)
            throw new ArgumentException($"A prompt has 1 to {capacity} tokens, not {prompt.Count}.", nameof(prompt));
        int place = Free().First();
        if (prompt.Count > Math.Min(ShortPrompt, layers.Min(layer => layer.Slots))) TakeOver(prompt, place);
        else Read(prompt, place);
        lengths[place] = prompt.Count;
        places = [.. places, place];
        return new(logits, model.VocabularySize);
    }

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens)
    {
        int count = places.Length;
        if (tokens.Length != count)
            throw new ArgumentException($"There are {count} sequences, and tokens for {tokens.Length}.", nameof(tokens));
        for (int row = 0; row < count; row++) Embed(row, tokens[row], places[row], lengths[places[row]]);
        Share(count, () =>
        {
            Forward(count);
            Predict(x, count);
        });
        foreach (int place in places) lengths[place]++;
        return Scaled(count);
    }

    // A few tokens at a time are rows of one pass: each sees those before it, whose keys and values are stored by then.
    private void Read(IReadOnlyList<int> prompt, int place)
    {
        for (int begin = 0; begin < prompt.Count; begin += MaxSequences)
        {
            int first = begin, count = Math.Min(MaxSequences, prompt.Count - begin);
            for (int row = 0; row < count; row++) Embed(row, prompt[first + row], place, first + row);
            Share(count, () =>
            {
                Forward(count);
                if (first + count == prompt.Count) Predict(x + (count - 1) * options.Dim, 1);
            });
        }
        Scaled(1);
    }

    // One thread is done with a small model before others could begin.
    private void Share(int count, Action work)
    {
        int last = rows.Take(count).Max(row => row.Position);
        bool attends = layers.Any(layer => count * layer.Groups * layer.HeadBytes(last) > Grain);
        team.Run(work, alone: !attends && !MatrixVectorProduct.IsWorthATeam(largest, count));
    }

    // All layers: x (R, C), in place.
    private void Forward(int count)
    {
        foreach (CpuRotary rotary in rotaries)
            for (int row = 0; row < count; row++) rotary.Compute(rows[row].Position, row);
        if (embeddingNorm is not null) Normalize(embeddingNorm, x, x, count);

        foreach (Layer layer in layers)
        {
            Multiply(layer.QueryKeyValue, Normalize(layer.AttentionNorm, x, normed, count), packed, count); // (R, C) → (R, (H + 2G)·D)
            for (int row = 0; row < count; row++) StoreKeyValue(layer, row);
            Attend(layer, count); // → (R, H·D)
            float* read = parallel ? Normalize(layer.FeedForwardNorm, x, fed, count) : x;
            Join(layer.Output, heads, layer.AttentionOutputNorm, layer.AttentionStreamNorm, count);

            if (!parallel) read = Normalize(layer.FeedForwardNorm, x, fed, count);
            Multiply(layer.Up, read, hidden, count); // (R, C) → (R, F) or (R, 2F)
            if (layer.RoundsHidden) MatrixVectorProduct.Round(hidden, hidden, count * layer.Up.Outputs);
            Activate(layer.Activation, hidden, gated, count, layer.Down.Inputs); // → (R, F)
            Join(layer.Down, gated, layer.FeedForwardOutputNorm, layer.FeedForwardStreamNorm, count);
        }
    }

    private void Predict(float* stream, int count) =>
        Multiply(head, Normalize(lastNorm, stream, normed, count), logits, count); // (R, C) → (R, V)

    private ReadOnlySpan<float> Scaled(int count)
    {
        int numbers = checked(count * model.VocabularySize);
        if (options.LogitScale != 1)
            for (int i = 0; i < numbers; i++) logits[i] *= (float)options.LogitScale;
        if (options.LogitSoftCap is { } cap) CachedAttention.Bound(logits, numbers, (float)cap);
        return new(logits, numbers);
    }

    public void Reorder(IReadOnlyList<int> sequences)
    {
        int[] wanted = [.. sequences.Select(sequence => places[sequence])];
        places = [.. wanted.Distinct()];
        Queue<int> free = new(Free());
        HashSet<int> taken = [];
        // The first sequence that continues another takes over its cache, the others get copies.
        places = [.. wanted.Select(place => taken.Add(place) ? place : Copy(place, free.Dequeue()))];
    }

    public void Dispose()
    {
        foreach (Tensor tensor in owned) tensor.Dispose();
        owned.Clear();
    }

    // Writes a token's embedding into a row of x, with its position where that is added here.
    private void Embed(int row, int token, int place, int position)
    {
        if (token < 0 || token >= model.VocabularySize)
            throw new ArgumentOutOfRangeException(nameof(token), token, $"token ids are 0 to {model.VocabularySize - 1}");
        if (position >= capacity) throw new InvalidOperationException($"All {capacity} positions are taken.");
        rows[row] = (place, position);
        int dim = options.Dim;
        float* to = x + row * dim;
        byte* from = (byte*)embedding.Weight + token * embedding.RowBytes;
        if (embedding.Type == ScalarType.Int8) BlockQuantization.Unpack(from, to, dim / BlockQuantization.BlockLength);
        else new ReadOnlySpan<float>(from, dim).CopyTo(new(to, dim));
        if (options.ScaleEmbeddings)
            for (int i = 0; i < dim; i++) to[i] *= (float)Math.Sqrt(dim);
        if (options.Position is LearnedOptions)
            for (int i = 0; i < dim; i++) to[i] += positions[(long)position * dim + i];
        for (int i = 0; i < sinusoids.Length; i++)
        {
            (double sin, double cos) = Math.SinCos(position * sinusoids[i]);
            to[2 * i] += (float)sin;
            to[2 * i + 1] += (float)cos;
        }
    }

    // Norms and rotates query and key of a sequence's new position, scales the query as scores are scaled, and stores key and value.
    private void StoreKeyValue(Layer layer, int row)
    {
        (int place, int position) = rows[row];
        int width = layer.HeadDim, visible = layer.Visible(position);
        float* query = packed + row * layer.QueryKeyValue.Outputs, key = query + layer.Heads * width, value = key + layer.Groups * width;
        Normalize(layer.QueryNorm, query, query, layer.Heads);
        Normalize(layer.KeyNorm, key, key, layer.Groups);
        if (layer.Rotary is { } rotary)
            for (int part = 0; part < layer.Heads + layer.Groups; part++) rotary.Rotate(query + part * width, row);
        double scale = layer.Scale;
        if (layer.Temperature is { } temperature) scale *= 1 + temperature.Scale * Math.Log(1 + (position + 1) / temperature.Floor);
        for (int part = 0; part < layer.Heads; part++)
        {
            float factor = (float)(layer.ScalableSoftmax is null ? scale : scale * layer.ScalableSoftmax[part] * Math.Log(visible));
            for (int i = 0; i < width; i++) query[part * width + i] *= factor;
        }
        for (int group = 0; group < layer.Groups; group++) layer.Store(place, group, position, key + group * width, value + group * width);
        if (layer.Slopes is not null)
            for (int slot = 0; slot < visible; slot++) distances[row * layer.Slots + slot] = position - layer.PositionIn(slot, position);
    }

    // One thread computes a key head of a sequence, with the queries that share it.
    private void Attend(Layer layer, int count)
    {
        int sharing = layer.Heads / layer.Groups, width = layer.HeadDim;
        int last = rows.Take(count).Max(row => row.Position);
        team.For((long)count * layer.Groups, Math.Max(1, Grain / layer.HeadBytes(last)), (begin, end) =>
        {
            for (long part = begin; part < end; part++)
            {
                int row = (int)(part / layer.Groups), group = (int)(part % layer.Groups);
                (int place, int position) = rows[row];
                CachedAttention attention = new()
                {
                    Queries = packed + row * layer.QueryKeyValue.Outputs + group * sharing * width,
                    Keys = layer.Keys + layer.Offset(place, group),
                    Values = layer.Values + layer.Offset(place, group),
                    Result = heads + (row * layer.Heads + group * sharing) * width,
                    Count = layer.Visible(position),
                    Width = width,
                    SoftCap = layer.SoftCap,
                    Distances = layer.Slopes is null ? null : distances + row * layer.Slots,
                    Slopes = layer.Slopes + group * sharing,
                };
                Lanes.Run(attention, 0, sharing);
            }
        });
    }

    // x += norm(W·input), then the norm of x where the layer has one.
    private void Join(VectorMatrix matrix, float* input, Norm? branchNorm, Norm? streamNorm, int count)
    {
        Multiply(matrix, input, branchNorm is null ? x : branch, count, adds: branchNorm is null);
        if (branchNorm is not null)
        {
            Normalize(branchNorm, branch, branch, count);
            for (long i = 0; i < (long)count * options.Dim; i++) x[i] += branch[i];
        }
        if (streamNorm is not null) Normalize(streamNorm, x, x, count);
    }

    private void Multiply(VectorMatrix matrix, float* input, float* to, int count, bool adds = false)
    {
        if (matrix.Type == ScalarType.BFloat16)
        {
            MatrixVectorProduct.Round(input, rounded, count * matrix.Inputs);
            input = rounded;
        }
        MatrixVectorProduct.Multiply(matrix, input, to, count, adds, team);
    }

    // The normalized rows, or the rows themselves where there is no norm.
    private float* Normalize(Norm? norm, float* rows, float* to, int count)
    {
        if (norm is null) return rows;
        bool centred = options.Norm is LayerNormOptions;
        Normalization.Apply(rows, to, count, norm.Width, (float*)norm.Weight, (float*)norm.Bias, options.Norm.Epsilon, centred);
        return to;
    }

    private static void Activate(ActivationKind kind, float* from, float* to, int count, long width)
    {
        switch (kind)
        {
            case ActivationKind.Relu: Activations.Apply<ReluFunction>(from, to, count * width); break;
            case ActivationKind.Gelu: Activations.Apply<GeluFunction>(from, to, count * width); break;
            case ActivationKind.GeluTanh: Activations.Apply<GeluTanhFunction>(from, to, count * width); break;
            case ActivationKind.Silu: Activations.Apply<SiluFunction>(from, to, count * width); break;
            case ActivationKind.SquaredRelu: Activations.Apply<SquaredReluFunction>(from, to, count * width); break;
            case ActivationKind.Glu: Activations.ApplyGated<SigmoidFunction>(from, to, count, width); break;
            case ActivationKind.ReGlu: Activations.ApplyGated<ReluFunction>(from, to, count, width); break;
            case ActivationKind.GeGlu: Activations.ApplyGated<GeluFunction>(from, to, count, width); break;
            case ActivationKind.GeGluTanh: Activations.ApplyGated<GeluTanhFunction>(from, to, count, width); break;
            case ActivationKind.SwiGlu: Activations.ApplyGated<SiluFunction>(from, to, count, width); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown activation");
        }
    }

    // The model reads a prompt, and its keys and values are copied.
    private void TakeOver(IReadOnlyList<int> prompt, int place)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        using DecodingState state = model.NewDecodingState(1, prompt.Count);
        Tensor next = model.NextLogits(tensor([.. prompt.Select(id => (long)id)], [1, prompt.Count]), state).contiguous(); // (1, V)
        for (int layer = 0; layer < layers.Length; layer++) TakeOver(layers[layer], place, (KeyValueCache)state.Layer(layer).Mixer);
        next.Span<float>().CopyTo(new(logits, model.VocabularySize));
    }

    // In the order of positions: in a window, later ones take the slots of those out of sight.
    private static void TakeOver(Layer layer, int place, KeyValueCache cache)
    {
        (Tensor keys, Tensor values, PositionSpan span) = cache.Contents; // (1, G, S, D), whose rows follow one another
        for (int group = 0; group < layer.Groups; group++)
        {
            float* key = (float*)keys.DataPointer + group * keys.stride(1), value = (float*)values.DataPointer + group * values.stride(1);
            for (int i = 0; i < span.Count; i++, key += layer.HeadDim, value += layer.HeadDim)
                layer.Store(place, group, i < span.Sinks ? i : span.Start + i - span.Sinks, key, value);
        }
    }

    private int Copy(int from, int to)
    {
        foreach (Layer layer in layers)
        {
            int numbers = Math.Min(lengths[from], layer.Slots) * layer.HeadDim;
            for (int group = 0; group < layer.Groups; group++)
            {
                long source = layer.Offset(from, group), target = layer.Offset(to, group);
                new Span<float>(layer.Keys + source, numbers).CopyTo(new(layer.Keys + target, numbers));
                new Span<float>(layer.Values + source, numbers).CopyTo(new(layer.Values + target, numbers));
            }
        }
        lengths[to] = lengths[from];
        return to;
    }

    private IEnumerable<int> Free() => Enumerable.Range(0, lengths.Length).Except(places);

    private Layer Read(string block, LayerOptions layer)
    {
        var attention = (HeadProjectionOptions)layer.Attention;
        ActivationKind activation = ((DenseOptions)layer.FeedForward).Kind;
        NormPlacement placement = options.Norm.Placement;
        KeyWindow? horizon = attention.ResolvedPattern.KeyWindow;
        int width = attention.HeadWidth(options.Dim);
        int slots = (int)Math.Min(capacity, horizon is { } seen ? (long)seen.Window + seen.Sinks : capacity);
        return new()
        {
            AttentionNorm = NormOf($"{block}.mixerNorm", placement != NormPlacement.Post),
            AttentionOutputNorm = NormOf($"{block}.mixerOutputNorm", placement == NormPlacement.Sandwich),
            AttentionStreamNorm = NormOf($"{block}.mixerNorm", placement == NormPlacement.Post),
            FeedForwardNorm = NormOf($"{block}.feedForwardNorm", placement != NormPlacement.Post),
            FeedForwardOutputNorm = NormOf($"{block}.feedForwardOutputNorm", placement == NormPlacement.Sandwich),
            FeedForwardStreamNorm = NormOf($"{block}.feedForwardNorm", placement == NormPlacement.Post),
            QueryNorm = NormOf($"{block}.mixer.projection.queryNorm", attention.QueryKeyNorm),
            KeyNorm = NormOf($"{block}.mixer.projection.keyNorm", attention.QueryKeyNorm),
            QueryKeyValue = Linear($"{block}.mixer.projection.qkv"),
            Output = Linear($"{block}.mixer.output"),
            Up = Linear($"{block}.feedForward.{(Activation.Of(activation).Gated ? "gateUp" : "up")}"),
            Down = Linear($"{block}.feedForward.down"),
            Activation = activation,
            RoundsHidden = model.ComputeType == ScalarType.BFloat16 && Activation.Of(activation).Fused is not null,
            Heads = attention.Heads,
            Groups = attention.Groups,
            HeadDim = width,
            Scale = attention.ScoreScale(options.Dim) * layer.Position.ScoreFactor(options),
            SoftCap = (float)(attention.SoftCap ?? 0),
            ScalableSoftmax = Vector($"{block}.mixer.scalableSoftmax.scale"),
            Temperature = attention.Temperature,
            Slopes = layer.Position is AlibiOptions
                ? Pointer(() => tensor(AlibiPositions.Slopes(attention.Heads)).to(ScalarType.Float32))
                : null,
            Rotary = layer.Position is RotaryOptions rotary ? RotaryOf(rotary, width) : null,
            Slots = slots,
            Sinks = horizon?.Sinks ?? 0,
            Keys = Remembered((long)attention.Groups * slots * width),
            Values = Remembered((long)attention.Groups * slots * width),
        };
    }

    private CpuRotary RotaryOf(RotaryOptions rotary, int width)
    {
        if (rotaries.Find(known => known.Options == rotary && known.Width == width) is { } shared) return shared;
        int turned = rotary.RotaryDims(width), length = options.ContextLength;
        CpuRotary made = new(rotary, width, RotaryFrequencies.Of(turned, rotary.Theta, rotary.Scaling, length, length), Rows(turned));
        rotaries.Add(made);
        return made;
    }

    private VectorMatrix Linear(string name) => Matrix($"{name}.weight") with { Bias = (nint)Vector($"{name}.bias") };

    private VectorMatrix Matrix(string name, bool multiplied = true)
    {
        Tensor weight = weights[name];
        bool rounds = multiplied && model.ComputeType == ScalarType.BFloat16 && weight.dtype == ScalarType.Float32;
        ScalarType type = rounds ? ScalarType.BFloat16 : weight.dtype;
        long width = weight.size(1);
        long inputs = type == ScalarType.Int8 ? width / BlockQuantization.BlockBytes * BlockQuantization.BlockLength : width;
        float* numbers = Pointer(() => rounds ? ComputeWeight.Round(weight, type) : weight.detach().contiguous());
        return new((nint)numbers, type, weight.size(0), inputs, Bias: 0);
    }

    private Norm? NormOf(string name, bool exists) =>
        exists ? new((nint)Vector($"{name}.weight"), (nint)Vector($"{name}.bias"), weights[$"{name}.weight"].size(0)) : null;

    // Null where the model has no such weight.
    private float* Vector(string name) =>
        weights.TryGetValue(name, out Tensor? weight) ? Pointer(() => weight.detach().contiguous()) : null;

    // Uninitialized rows: pages are allocated only when written.
    private float* Rows(long numbers) => Pointer(() => empty(MaxSequences * numbers, dtype: ScalarType.Float32));

    private float* Remembered(long numbers) => Pointer(() => empty(lengths.Length * numbers, dtype: ScalarType.Float32));

    private float* Pointer(Func<Tensor> make)
    {
        Tensor tensor = Constants.Own(make);
        owned.Add(tensor);
        return (float*)tensor.DataPointer;
    }

    private sealed record Norm(nint Weight, nint Bias, long Width);

    private sealed class Layer
    {
        public required Norm? AttentionNorm, AttentionOutputNorm, AttentionStreamNorm, QueryNorm, KeyNorm;
        public required Norm? FeedForwardNorm, FeedForwardOutputNorm, FeedForwardStreamNorm;
        public required VectorMatrix QueryKeyValue, Output, Up, Down;
        public required ActivationKind Activation;
        public required bool RoundsHidden; // what the activation reads, as the model's kernel does
        public required int Heads, Groups, HeadDim, Slots, Sinks;
        public required double Scale;
        public required float SoftCap;
        public required float* ScalableSoftmax, Slopes; // (H), or null
        public required TemperatureOptions? Temperature;
        public required CpuRotary? Rotary;
        public required float* Keys, Values; // (B, G, S, D)

        // All filled slots: the first positions keep theirs, later ones take turns.
        public int Visible(int position) => Math.Min(position + 1, Slots);

        // Bytes of keys and values that a query sees.
        public long HeadBytes(int position) => 2L * sizeof(float) * HeadDim * Visible(position);

        // The position in a slot, given the last one.
        public int PositionIn(int slot, int last) => slot < Sinks || last < Slots ? slot : last - (last - slot) % (Slots - Sinks);

        // Where the keys, and the values, of a head begin.
        public long Offset(int place, int group) => ((long)place * Groups + group) * Slots * HeadDim;

        public void Store(int place, int group, int position, float* key, float* value)
        {
            int slot = position < Slots ? position : Sinks + (position - Sinks) % (Slots - Sinks);
            long to = Offset(place, group) + (long)slot * HeadDim;
            new ReadOnlySpan<float>(key, HeadDim).CopyTo(new(Keys + to, HeadDim));
            new ReadOnlySpan<float>(value, HeadDim).CopyTo(new(Values + to, HeadDim));
        }
    }
}
