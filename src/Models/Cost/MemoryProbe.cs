// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Measures a model's parts one by one with few rows, and scales what they took to all rows.</summary>
/// <remarks>A line goes through two numbers of rows; a large part is measured with one row; a larger one with a short row and half of it,
/// to see whether memory grows with the square of the length. A large embedding table is extrapolated from two smaller ones.</remarks>
internal sealed class MemoryProbe : IDisposable
{
    // Enough rows for tensors to be counted one by one (256 KiB), and for kernels that work on some rows at a time.
    private const long EnoughBytes = 2 << 20, EnoughTokens = 2048;

    // Tokens times weights of one measurement: some seconds on two cores. Above the second figure a part runs once, not three times.
    private const double MostWork = 1.2e11, MuchWork = 1e10;

    // Tokens of short rows: a multiple of what kernels cut rows into.
    private const int Step = 64;

    // Memory that doubling the length adds beyond a doubling, from which on it is a square and not noise.
    private const double Curved = 0.02;

    // Numbers of the largest embedding table to measure, but no fewer tokens than these.
    private const long MostTable = 1 << 22, FewestTokens = 4096;

    private readonly ModelOptions model;
    private readonly int vocabularySize;
    private readonly TrainingShape shape;
    private readonly ModelInput input;
    private readonly Tensor targets;
    private readonly int rows, length;
    private readonly WorkerThreads? workers;
    private readonly long before = CpuMemory.Current().Allocated;
    private readonly Dictionary<(string Role, LayerOptions Layer), MeasuredPart> blocks = [];
    private double shared;
    private long furtherThread;
    private int? longest;

    /// <summary>Measures what one thread reads of a micro-batch and predicts, (B, T) int64, of a valid model.</summary>
    public MemoryProbe(ModelOptions model, int vocabularySize, TrainingShape shape, ModelInput input, Tensor targets)
    {
        (this.model, this.vocabularySize, this.shape, this.input, this.targets) = (model, vocabularySize, shape, input, targets);
        (rows, length) = ((int)targets.size(0), (int)Math.Max(targets.size(1), input.Source?.Tokens.size(1) ?? 0));
        workers = shape.Threads > 1 ? new(shape.Threads) : null;
    }

    public MeasuredModel Measure()
    {
        List<MeasuredPart> parts = [];
        IReadOnlyList<StackOptions> stacks = model.Stacks;
        foreach (StackOptions stack in stacks)
        {
            parts.Add(OfTable(PartKind.Embeddings, stack));
            foreach (LayerOptions layer in stack.Layers) parts.Add(Block(stack, layer));
            parts.Add(stack == stacks[^1]
                ? OfTable(PartKind.Head, stack)
                : Scaled(PartKind.EncoderNorm, stack with { Layers = [] }, vocabularySize));
        }
        GC.Collect(); // handles of what is freed
        GC.WaitForPendingFinalizers();
        long program = Math.Max(0, CpuMemory.Current().Allocated - before) + Math.Max(0, shape.Threads - 2) * Math.Max(0, furtherThread);
        return new(parts, shared, program, longest);
    }

    public void Dispose() => workers?.Dispose();

    private MeasuredPart Block(StackOptions stack, LayerOptions layer)
    {
        if (!blocks.TryGetValue((stack.Role, layer), out MeasuredPart block))
            blocks[(stack.Role, layer)] = block = Scaled(PartKind.Block, stack with { Layers = [layer] }, vocabularySize);
        return block;
    }

    private MeasuredPart OfTable(PartKind kind, StackOptions stack)
    {
        stack = stack with { Layers = [] };
        int most = (int)Math.Max(FewestTokens, MostTable / model.Dim);
        PartMemory memory = vocabularySize <= most
            ? Scaled(kind, stack, vocabularySize).Memory
            : PartMemory.Line((most / 2, Scaled(kind, stack, most / 2).Memory), (most, Scaled(kind, stack, most).Memory), vocabularySize);
        // The gradient of a table tied to the head exists by then.
        bool trained = shape.Adapter?.Trains(
            kind == PartKind.Head && !model.TieEmbeddings ? ParameterRole.Head : ParameterRole.Embedding) ?? true;
        return new(memory, trained && (kind == PartKind.Head || !model.TieEmbeddings) ? (long)vocabularySize * model.Dim : 0);
    }

    private MeasuredPart Scaled(PartKind kind, StackOptions stack, int tokens)
    {
        using ProbedPart part = new(kind, model, stack, tokens, shape);
        double work = (double)length * part.Weights;
        int most = Math.Min(rows, (int)Math.Max(2, Math.Min(EnoughRows, MostWork / 1.5 / Math.Max(1, work))));
        if (most == 1 || 1.5 * most * work > MostWork)
        {
            PartMemory row = work <= MostWork ? At(part, 1, length, tokens) : LongRow(part, tokens);
            shared += Math.Max(0, row.Shared);
            return new(rows * row, part.TrainedWeights);
        }
        (double, PartMemory) few = (most / 2, At(part, most / 2, length, tokens)), more = (most, At(part, most, length, tokens));
        shared += Math.Max(0, PartMemory.Line(few, more, rows * shape.Threads).Shared);
        return new(PartMemory.Line(few, more, rows), part.TrainedWeights);
    }

    private double EnoughRows => Math.Max(EnoughBytes / (sizeof(float) * (double)model.Dim * length), (double)EnoughTokens / length);

    // From a shorter row and half of it.
    private PartMemory LongRow(ProbedPart part, int tokens)
    {
        int half = Step * (int)Math.Max(1, MostWork / 1.5 / part.Weights / (2 * Step));
        if (2 * half >= length) return At(part, 1, length, tokens);
        longest = Math.Min(longest ?? int.MaxValue, 2 * half);
        PartMemory shorter = At(part, 1, half, tokens), longer = At(part, 1, 2 * half, tokens);
        double times = length / (2.0 * half);
        if (longer.Kept - 2 * shorter.Kept < Curved * longer.Kept) return times * longer;
        PartMemory squares = 2 * longer + -4 * shorter, line = 4 * shorter + -1 * longer; // b·T + c·T²: of the longer row
        return times * line + times * times * squares;
    }

    private PartMemory At(ProbedPart part, int count, int positions, int tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput Input, Tensor Targets) all = Cut(count, positions, tokens);
        bool large = (double)count * positions * part.Weights > MuchWork;
        // What lasts, such as masks, is made in a first run.
        (ModelInput Input, Tensor Targets) first = large ? Cut(1, Math.Min(Step, positions), tokens) : all;
        PartMemory Once() => part.Measure(all.Input, all.Targets);
        PartMemory Measured()
        {
            part.Measure(first.Input, first.Targets);
            return large ? Once() : PartMemory.Median(Once(), Once(), Once());
        }

        if (workers is null) return Measured();
        PartMemory measured = default;
        workers.Run(worker =>
        {
            if (worker == 0) measured = Measured();
        });
        long one = CpuMemory.Current().Allocated;
        workers.Run(worker =>
        {
            if (worker == 1) part.Measure(first.Input, first.Targets);
        });
        furtherThread += CpuMemory.Current().Allocated - one;
        return measured;
    }

    private (ModelInput Input, Tensor Targets) Cut(int count, int positions, int tokens) =>
        (Cut(input, count, positions, tokens), Cut(targets, count, positions).clamp(max: tokens - 1));

    private ModelInput Cut(ModelInput whole, int count, int positions, int tokens) => whole with
    {
        Tokens = Cut(whole.Tokens, count, positions).clamp(max: tokens - 1),
        Positions = whole.Positions is { } places ? Cut(places, count, positions) : null,
        Documents = whole.Documents is { } documents ? Cut(documents, count, positions) : null,
        Lengths = whole.Lengths is { } lengths
            ? [.. lengths.Take(count).Select(own => Math.Min(own, Columns(whole.Tokens, positions)))]
            : null,
        Source = whole.Source is { } source ? Cut(source, count, positions, tokens) : null,
    };

    // (B, T): the longer of source and target has so many positions, the other in proportion.
    private Tensor Cut(Tensor ids, int count, int positions) =>
        ids.narrow(0, 0, count).narrow(1, 0, Columns(ids, positions)).contiguous();

    private int Columns(Tensor ids, int positions) => (int)Math.Max(1, ids.size(1) * positions / length);
}
