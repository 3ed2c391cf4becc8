// Shapes: B sequences, R rows (a token of each sequence, or some of a prompt), C model dimension, H query heads, G key-value heads, D head
// dimension, F hidden dimension, S positions that a position sees, V vocabulary.
using TorchSharp;
using Trainer.Inference.Paging;
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
/// <remarks>Takes decoders of the common kind (<see cref="Supports(LanguageModel)"/>) by their options and the names of their weights.
/// Matrices in float32 are packed (<see cref="PanelProduct"/>) unless they are large; with other ones, and with windows, the model itself
/// reads long prompts, piece by piece, and its cache is copied. Other weights are shared with the model, except float32 ones that are
/// multiplied in bfloat16. Results are the same bits for any number of threads, and for a sequence whatever others are decoded beside
/// it or had the same beginning.</remarks>
internal sealed unsafe partial class CpuDecoder : IDecoder
{
    /// <summary>More sequences are worth matrix products.</summary>
    public const int MaxSequences = 8;

    // Bytes of float32 matrices that are worth a packed copy: what larger ones gain does not pay for the memory.
    private const long MostPacked = 256 << 20;

    // Rows of norms and of keys, and numbers of activations, that are worth a second thread.
    private const int RowGrain = 16, ActivationGrain = 4096;

    // Bytes of keys and values that are worth a second thread.
    private const long Grain = 64 * 1024;

    private readonly ThreadTeam team = new();
    private readonly LanguageModel model;
    private readonly ModelOptions options;
    private readonly int sequences, capacity;
    private readonly bool parallel, packs, readsPieces;
    private readonly int mostRows;
    private readonly Dictionary<string, Tensor> weights;
    private readonly List<Tensor> owned = []; // what the pointers point into
    private readonly CpuLayer[] layers;
    private readonly List<CpuRotary> rotaries = []; // distinct ones of all layers
    private readonly VectorMatrix embedding, head, largest;
    private readonly double[] sinusoids;
    private readonly float* positions; // (positions, C); null where they are not learned
    private readonly CpuNorm? embeddingNorm, lastNorm;
    private readonly float* x, normed, fed, branch, rounded, packed, heads, hidden, gated, distances, logits; // R rows each
    private readonly float* keyPanels, valuePanels; // of a layer, for each key head; null where the model reads pieces
    private readonly long keyNumbers, valueNumbers; // of a key head
    private readonly PagedKeyValues memory;
    private readonly PrefixCache? prefixes;
    private readonly PagedRows rows;
    private readonly List<PagedSequence> present = []; // in order
    private PromptReading? reading;

    /// <summary>Reads a supported model, in evaluation mode.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sequences">The most sequences, B.</param>
    /// <param name="capacity">The most positions of a sequence.</param>
    /// <param name="sharesPrefixes">Whether prompts are remembered for others that begin in the same way.</param>
    /// <param name="positions">Positions to remember in all; by default what full sequences take.</param>
    public CpuDecoder(LanguageModel model, int sequences, int capacity, bool sharesPrefixes = false, int? positions = null)
    {
        if (sequences is < 1 or > MaxSequences || !Supports(model))
            throw new ArgumentException($"This model, or {sequences} sequences side by side, are not for this decoder.");
        (this.model, options, this.sequences, this.capacity) = (model, model.Options, sequences, capacity);
        weights = model.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        parallel = options.ParallelResidual && options.Norm.Placement == NormPlacement.Pre;
        packs = model.ComputeType == ScalarType.Float32 && weights.Values.All(weight => weight.dtype == ScalarType.Float32)
            && weights.Values.Sum(weight => weight.numel() * sizeof(float)) <= MostPacked;
        embedding = Matrix("embedding.weight", multiplied: false);
        head = Matrix(options.TieEmbeddings ? "embedding.weight" : "head.weight") with { Bias = (nint)Vector("head.bias") };
        sinusoids = options.Position is SinusoidalOptions ? new FrequencyBasis(options.Dim, 10000).Frequencies() : [];
        this.positions = Vector("position.weight");
        embeddingNorm = NormOf("embeddingNorm", options.EmbeddingNorm);
        lastNorm = NormOf("norm", options.Norm.EndsStream);
        memory = new([.. options.Stacks[0].Layers.Select(Shape)], sequences, capacity, MaxSequences, positions);
        readsPieces = packs && !memory.Forgets;
        mostRows = readsPieces ? PromptReading.Piece : MaxSequences;
        rows = new(memory, mostRows, capacity);
        if (sharesPrefixes) prefixes = new(memory, PromptReading.Piece);
        layers = [.. options.Stacks[0].Layers.Select((layer, index) => Read($"blocks.{index}", layer, memory.Layer(index)))];

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
        distances = Rows(capacity);
        logits = Rows(model.VocabularySize);
        if (!readsPieces) return;
        keyNumbers = layers.Max(layer => PieceAttention.KeyNumbers(capacity, layer.HeadDim));
        valueNumbers = layers.Max(layer => PieceAttention.ValueNumbers(capacity, layer.HeadDim));
        keyPanels = Numbers(layers.Max(layer => layer.Groups) * keyNumbers);
        valuePanels = Numbers(layers.Max(layer => layer.Groups) * valueNumbers);
    }

    public static bool Supports(LanguageModel model) =>
        Lanes.IsSupported && model.Device.type == DeviceType.CPU && model is { Adapter: null, Adapters.Count: 0 }
        && model.Options is DecoderOptions && model.Options.Stacks[0].Layers.All(Supports);

    // Kernels and caches that a configuration names are the model's business.
    private static bool Supports(LayerOptions layer) =>
        layer is { Mixer: AttentionMixerOptions, Attention: HeadProjectionOptions { ValueEmbedding: false }, FeedForward: DenseOptions }
        && layer.Attention is { Kernel: AttentionKernel.Auto, Cache: AttentionCache.Auto }
        && layer.Attention.ResolvedPattern is CausalOptions or SlidingOptions { Causal: true }
        && layer.Position is NoPositionOptions or LearnedOptions or SinusoidalOptions or AlibiOptions
            or RotaryOptions { Scaling: null or LinearScaling or NtkScaling or NtkByPartsScaling or YarnScaling or Llama3Scaling };

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens)
    {
        int count = present.Count;
        if (tokens.Length != count)
            throw new ArgumentException($"There are {count} sequences, and tokens for {tokens.Length}.", nameof(tokens));
        for (int row = 0; row < count; row++) Embed(row, tokens[row], present[row].Length);
        for (int row = 0; row < count; row++)
        {
            Require(present[row], present[row].Length + 1, present[row].Length);
            rows.Locate(row, present[row], present[row].Length);
        }
        Share(count, () =>
        {
            Forward(count, Attend);
            Predict(x, count);
        });
        foreach (PagedSequence sequence in present) sequence.Length++;
        return Scaled(count);
    }

    // One thread is done with a small model before others could begin.
    private void Share(int count, Action work)
    {
        int last = rows.Last(count);
        bool attends = layers.Any(layer => count * layer.Groups * layer.HeadBytes(last) > Grain);
        team.Run(work, alone: !attends && !MatrixVectorProduct.IsWorthATeam(largest, count));
    }

    // Writes a token's embedding into a row of x, with its position where that is added here.
    private void Embed(int row, int token, int position)
    {
        if (token < 0 || token >= model.VocabularySize)
            throw new ArgumentOutOfRangeException(nameof(token), token, $"token ids are 0 to {model.VocabularySize - 1}");
        if (position >= capacity) throw new InvalidOperationException($"All {capacity} positions are taken.");
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

    // All layers: x (R, C), in place.
    private void Forward(int count, Action<CpuLayer, int> attend)
    {
        ForRows(count, row =>
        {
            foreach (CpuRotary rotary in rotaries) rotary.Compute(rows.Position(row), row);
        });
        if (embeddingNorm is not null) Normalize(embeddingNorm, x, x, count);

        foreach (CpuLayer layer in layers)
        {
            Multiply(layer.QueryKeyValue, Normalize(layer.AttentionNorm, x, normed, count), packed, count); // (R, C) → (R, (H + 2G)·D)
            ForRows(count, row => StoreKeyValue(layer, row));
            attend(layer, count); // → (R, H·D)
            float* read = parallel ? Normalize(layer.FeedForwardNorm, x, fed, count) : x;
            Join(layer.Output, heads, layer.AttentionOutputNorm, layer.AttentionStreamNorm, count);

            if (!parallel) read = Normalize(layer.FeedForwardNorm, x, fed, count);
            Multiply(layer.Up, read, hidden, count); // (R, C) → (R, F) or (R, 2F)
            if (layer.RoundsHidden) MatrixVectorProduct.Round(hidden, hidden, count * layer.Up.Outputs);
            team.For(count, Math.Max(1, ActivationGrain / layer.Down.Inputs), (begin, end) => layer.Activate(
                hidden + begin * layer.Up.Outputs, gated + begin * layer.Down.Inputs, (int)(end - begin), layer.Down.Inputs)); // → (R, F)
            Join(layer.Down, gated, layer.FeedForwardOutputNorm, layer.FeedForwardStreamNorm, count);
        }
    }

    private void ForRows(int count, Action<int> body) => team.For(count, RowGrain, (begin, end) =>
    {
        for (int row = (int)begin; row < end; row++) body(row);
    });

    // Norms and rotates query and key of a sequence's new position, scales the query as scores are scaled, and stores key and value.
    private void StoreKeyValue(CpuLayer layer, int row)
    {
        int position = rows.Position(row), visible = layer.Visible(position), slot = rows.Slot(layer.Memory.Kind, row);
        int width = layer.HeadDim;
        float* query = packed + row * layer.QueryKeyValue.Outputs, key = query + layer.Heads * width, value = key + layer.Groups * width;
        if (layer.QueryNorm is { } queryNorm) Apply(queryNorm, query, query, layer.Heads);
        if (layer.KeyNorm is { } keyNorm) Apply(keyNorm, key, key, layer.Groups);
        if (layer.Rotary is { } rotary)
            for (int part = 0; part < layer.Heads + layer.Groups; part++) rotary.Rotate(query + part * width, row);
        double scale = layer.Scale;
        if (layer.Temperature is { } temperature) scale *= 1 + temperature.Scale * Math.Log(1 + (position + 1) / temperature.Floor);
        for (int part = 0; part < layer.Heads; part++)
        {
            float factor = (float)(layer.ScalableSoftmax is null ? scale : scale * layer.ScalableSoftmax[part] * Math.Log(visible));
            for (int i = 0; i < width; i++) query[part * width + i] *= factor;
        }
        for (int group = 0; group < layer.Groups; group++) layer.Memory.Store(slot, group, key + group * width, value + group * width);
        if (layer.Slopes is not null)
            for (int i = 0; i < visible; i++) distances[(long)row * capacity + i] = position - layer.Seen(i, position);
    }

    // One thread computes a key head of a sequence, with the queries that share it.
    private void Attend(CpuLayer layer, int count)
    {
        int sharing = layer.Heads / layer.Groups, width = layer.HeadDim;
        int last = rows.Last(count);
        team.For((long)count * layer.Groups, Math.Max(1, Grain / layer.HeadBytes(last)), (begin, end) =>
        {
            for (long part = begin; part < end; part++)
            {
                int row = (int)(part / layer.Groups), group = (int)(part % layer.Groups);
                CachedAttention attention = new()
                {
                    Queries = packed + row * layer.QueryKeyValue.Outputs + group * sharing * width,
                    Keys = layer.Memory.Keys(group),
                    Values = layer.Memory.Values(group),
                    Runs = rows.Runs(layer.Memory.Kind, row, out int count),
                    RunCount = count,
                    Result = heads + (row * layer.Heads + group * sharing) * width,
                    Count = layer.Visible(rows.Position(row)),
                    Width = width,
                    SoftCap = layer.SoftCap,
                    Distances = layer.Slopes is null ? null : distances + row * capacity,
                    Slopes = layer.Slopes + group * sharing,
                };
                Lanes.Run(attention, 0, sharing);
            }
        });
    }

    // Rows are positions of one sequence that follow one another. One thread computes some of them for a query head.
    private void AttendPiece(CpuLayer layer, int count)
    {
        int last = rows.Position(count - 1), first = last + 1 - count, width = layer.HeadDim, sharing = layer.Heads / layer.Groups;
        team.For(layer.Groups, 1, (begin, end) =>
        {
            for (int group = (int)begin; group < end; group++)
            {
                SlotRun* runs = rows.Runs(layer.Memory.Kind, count - 1, out int runCount);
                PieceAttention.Pack(
                    layer.Memory.Keys(group), layer.Memory.Values(group), new(runs, runCount), last + 1, width,
                    keyPanels + group * keyNumbers, valuePanels + group * valueNumbers);
            }
        });
        int parts = (count + PieceAttention.RowsAtOnce - 1) / PieceAttention.RowsAtOnce;
        team.For((long)layer.Heads * parts, 1, (begin, end) =>
        {
            for (long unit = begin; unit < end; unit++)
            {
                int head = (int)(unit / parts), row = (int)(unit % parts) * PieceAttention.RowsAtOnce;
                PieceAttention attention = new()
                {
                    Queries = packed + head * width,
                    QueryStride = layer.QueryKeyValue.Outputs,
                    Keys = keyPanels + head / sharing * keyNumbers,
                    Values = valuePanels + head / sharing * valueNumbers,
                    Result = heads + head * width,
                    ResultStride = layer.Output.Inputs,
                    First = first,
                    Count = last + 1,
                    Width = width,
                    SoftCap = layer.SoftCap,
                    Distances = layer.Slopes is null ? null : distances,
                    DistanceStride = capacity,
                    Slope = layer.Slopes is null ? 0 : layer.Slopes[head],
                };
                Lanes.Run(attention, row, Math.Min(row + PieceAttention.RowsAtOnce, count));
            }
        });
    }

    // x += norm(W·input), then the norm of x where the layer has one.
    private void Join(VectorMatrix matrix, float* input, CpuNorm? branchNorm, CpuNorm? streamNorm, int count)
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
        if (matrix.Panels != 0)
        {
            PanelProduct.Multiply(new(matrix.Panels, matrix.Outputs, matrix.Inputs, matrix.Bias), input, to, count, adds, team);
            return;
        }
        if (matrix.Type == ScalarType.BFloat16)
        {
            MatrixVectorProduct.Round(input, rounded, count * matrix.Inputs);
            input = rounded;
        }
        MatrixVectorProduct.Multiply(matrix, input, to, count, adds, team);
    }

    // The normalized rows, or the rows themselves where there is no norm.
    private float* Normalize(CpuNorm? norm, float* rows, float* to, int count)
    {
        if (norm is null) return rows;
        team.For(count, RowGrain, (begin, end) => Apply(norm, rows + begin * norm.Width, to + begin * norm.Width, end - begin));
        return to;
    }

    private void Apply(CpuNorm norm, float* rows, float* to, long count) => Normalization.Apply(
        rows, to, count, norm.Width, (float*)norm.Weight, (float*)norm.Bias, options.Norm.Epsilon, options.Norm is LayerNormOptions);

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

    public void Dispose()
    {
        reading?.Dispose();
        rows.Dispose();
        memory.Dispose();
        foreach (Tensor tensor in owned) tensor.Dispose();
        owned.Clear();
    }
}
