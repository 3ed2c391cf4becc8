// Shapes: B windows, T tokens of the longest, S of its last columns in which anything is scored, V vocabulary.
using System.Globalization;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>How a text is divided into windows, <see cref="Stride"/> tokens apart, each scoring what earlier ones did not.</summary>
/// <remarks>Stride = window is fastest (ALiBi's nonoverlapping inference, Press et al. 2022, arXiv 2108.12409, §B), but predicts the first
/// tokens of each window from little. A smaller stride predicts every token behind the first window from at least window − stride + 1
/// tokens, at window/stride times the work. Perplexities compare only if both agree.</remarks>
public sealed record PerplexityOptions : IValidated
{
    /// <summary>The window, N tokens: what the model sees at once.</summary>
    public required int Window { get; init; }

    /// <summary>The stride: tokens between the starts of windows, 1 … N.</summary>
    public required int Stride { get; init; }

    /// <summary>Tokens at a window's start that are not predicted, by which windows overlap: a prefix, or 1, the first alone.</summary>
    public int Prefix { get; init; } = 1;

    /// <summary>The token before the text; null for none, and the first token is not scored.</summary>
    public BeginningOfSequence? Beginning { get; init; }

    /// <summary>Whether each document is scored by itself; otherwise windows cross from document to document.</summary>
    public bool Documents { get; init; }

    /// <summary>The most bins of the loss by position.</summary>
    public int Bins { get; init; } = 16;

    /// <summary>Windows that do not overlap.</summary>
    public static PerplexityOptions Disjoint(int window) => new() { Window = window, Stride = window };

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Window < 1) yield return new("window", $"window ({Window}) must be 1 or more");
        if (Stride < 1) yield return new("stride", $"stride ({Stride}) must be 1 or more");
        else if (Window >= 1 && Stride > Window)
            yield return new("stride", $"stride ({Stride}) must be at most window ({Window}), or tokens between windows would not be " +
                $"scored; use --stride {Window} for windows that do not overlap");
        if (Prefix < 1) yield return new("prefix", $"prefix ({Prefix}) must be 1 or more");
        else if (Window >= 1 && Prefix > Window)
            yield return new("window", $"window ({Window}) must be at least the {Prefix} tokens that the model reads together " +
                $"(attention pattern 'prefix'), or no token is predicted; use {Prefix} or more");
        else if (Stride <= Window && Stride > Window - Prefix + 1)
            yield return new("stride", $"stride ({Stride}) must be at most {Window - Prefix + 1}, or tokens would not be scored: of " +
                $"each window of {Window} the model reads the first {Prefix} together (attention pattern 'prefix') and cannot be " +
                "asked for them");
        if (Bins < 1) yield return new("bins", $"bins ({Bins}) must be 1 or more");
    }
}

/// <summary>Computes a decoder's perplexity on a text, each token scored once; the model is left in the mode it was in. Of several
/// processes with the same model and text each computes its share, and all get the whole.</summary>
public sealed class PerplexityEvaluator(LanguageModel model, Tokenizer tokenizer, IProcessGroup? processes = null)
{
    private readonly IProcessGroup group = processes ?? new SingleProcess();

    /// <summary>A CPU gains nothing from more, which would leave its caches.</summary>
    private int TokensAtOnce => OnCpu ? 1 << 12 : 1 << 14;

    /// <summary>A GPU's most bytes of a batch's logits; their logarithms take as much again. A CPU makes them few rows at a time.</summary>
    private const long LogitBytesAtOnce = 1L << 31;

    private bool OnCpu => model.Device.type == DeviceType.CPU;

    /// <summary>Evaluates a text.</summary>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    /// <exception cref="UserException">The model is no decoder, nothing is to be scored, an id is outside the vocabulary, a window exceeds
    /// the model's positions, or logits are not finite.</exception>
    public PerplexityReport Evaluate(TokenText text, PerplexityOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems, "evaluation");
        Require(text, options);
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        return Report(text, options);
    }

    private PerplexityReport Report(TokenText text, PerplexityOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        int width = (int)Math.Min(options.Window, text.Length + 1); // a longer window sees no more
        Tensor sums = zeros([width], dtype: ScalarType.Float64, device: model.Device);
        Tensor correct = zeros([], dtype: ScalarType.Int64, device: model.Device);
        long[] counts = new long[width];
        TokenWidths widths = new(tokenizer);
        (long bytes, long windows) = (0, 0);
        foreach ((int index, WindowBatch batch) in WindowBatch.All(text, options, RowsAtOnce(width)).Index())
        {
            if (index % group.Size != group.Rank) continue;
            Add(batch, sums, correct);
            Count(batch, counts);
            bytes += widths.Of(batch.Rows);
            windows += batch.Rows.Rows;
        }
        group.Sum(sums);
        group.Sum(correct);
        counts = group.Sum(counts);
        double[] losses = sums.cpu().data<double>().ToArray();
        return new PerplexityReport
        {
            NegativeLogLikelihood = LogitsException.RequireFinite(losses.Sum()),
            Tokens = counts.Sum(),
            Correct = correct.ToInt64(),
            Bytes = group.Sum(bytes),
            Window = options.Window,
            Stride = options.Stride,
            Prefix = options.Prefix,
            Windows = group.Sum(windows),
            DocumentsApart = options.Documents,
            Documents = text.Documents,
            BeginningToken = options.Beginning?.Token,
            BeginningInEveryWindow = options.Beginning?.EveryWindow ?? false,
            Tokenizer = tokenizer.Type,
            VocabularySize = tokenizer.VocabularySize,
            ByPosition = PositionLoss.Binned(losses, counts, options.Bins),
        };
    }

    private void Add(WindowBatch batch, Tensor sums, Tensor correct)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.Rows.ToTensors(model.Device); // (B, T)
        (int rows, int scored) = (batch.Rows.Rows, batch.Rows.Columns - batch.From);
        targets = targets.narrow(1, batch.From, scored).reshape(-1); // (B, T) → (B·S)
        // The head need not compute what is only context.
        Tensor hidden = model.Hidden(input).narrow(1, batch.From, scored).reshape(-1, model.Options.Dim); // (B, T, C) → (B·S, C)
        Tensor losses = empty([rows * scored], device: model.Device);
        long part = OnCpu ? CrossEntropy.RowsOfLogits(rows * scored, model.VocabularySize) : rows * scored;
        for (long start = 0; start < rows * scored; start += part)
            Score(hidden, targets, losses, correct, start, Math.Min(part, rows * scored - start));
        sums.narrow(0, batch.From, scored).add_(losses.view(rows, scored).sum(0, type: ScalarType.Float64));
    }

    private void Score(Tensor hidden, Tensor targets, Tensor losses, Tensor correct, long start, long count)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.LogitsOf(hidden.narrow(0, start, count)); // (N, V)
        (Tensor found, Tensor hits) = CrossEntropy.TokenLosses(logits, targets.narrow(0, start, count)); // (N)
        losses.narrow(0, start, count).copy_(found);
        correct.add_(hits);
    }

    private static void Count(WindowBatch batch, long[] counts)
    {
        int columns = batch.Rows.Columns;
        for (int place = 0; place < batch.Rows.Targets.Length; place++)
            if (batch.Rows.Targets[place] != Batch.Ignored) counts[place % columns]++;
    }

    private int RowsAtOnce(int width)
    {
        long byMemory = OnCpu ? long.MaxValue : LogitBytesAtOnce / ((long)width * model.VocabularySize * sizeof(float));
        return (int)Math.Max(1, Math.Min(TokensAtOnce / width, byMemory));
    }

    private void Require(TokenText text, PerplexityOptions options)
    {
        if (model.Options is not DecoderOptions)
            throw new UserException("windows of a text are for decoders, which predict each token from those before it; this model " +
                "sees what it would have to predict, or reads another text beside it");
        if (options.Prefix < model.PrefixLength)
            throw new UserException($"the model reads {model.PrefixLength} tokens together (attention pattern 'prefix') and cannot be " +
                $"asked for them, but prefix is {options.Prefix}; set it to {model.PrefixLength}");
        text.RequireBelow(model.VocabularySize);
        if (options.Beginning is { } beginning && (uint)beginning.Token >= (uint)model.VocabularySize)
            throw new UserException($"the beginning token is {beginning.Token}, but the model's token ids are 0 to " +
                $"{model.VocabularySize - 1}");
        int before = options.Beginning is null ? 0 : 1;
        if (!text.Sequences(options.Documents).Any(sequence => sequence.Length + before > options.Prefix))
            throw new UserException(options.Prefix > 1
                ? $"there is nothing to score: the model reads {options.Prefix} tokens together before it predicts any (attention " +
                  $"pattern 'prefix'), and the text has {text.Length}; give a longer text"
                : options.Beginning is null
                ? $"there is nothing to score: the text has {text.Length} tokens, and the first of them is not predicted from " +
                  "anything; give a longer text or a token before it (--bos)"
                : "there is nothing to score: the text has no tokens");
    }
}

/// <summary>The perplexity of a text, and everything it depends on.</summary>
public sealed record PerplexityReport
{
    /// <summary>Σ −log p over all scored tokens, each scored once, in nats.</summary>
    public required double NegativeLogLikelihood { get; init; }

    /// <summary>How many tokens were scored.</summary>
    public required long Tokens { get; init; }

    /// <summary>Bytes of UTF-8 that the scored tokens stand for.</summary>
    public required long Bytes { get; init; }

    /// <summary>Tokens that were the most likely one.</summary>
    public required long Correct { get; init; }

    /// <summary>The share of tokens that were the most likely one.</summary>
    public double Accuracy => (double)Correct / Tokens;

    /// <summary>Nats per token.</summary>
    public double MeanLoss => NegativeLogLikelihood / Tokens;

    /// <summary>exp of <see cref="MeanLoss"/>: over all tokens, never a mean over windows.</summary>
    public double Perplexity => Math.Exp(MeanLoss);

    /// <summary>Bits per token.</summary>
    public double BitsPerToken => MeanLoss / Math.Log(2);

    /// <summary>Bits per byte of text, which compares across tokenizers; null if the tokens stand for no text.</summary>
    public double? BitsPerByte => Bytes > 0 ? NegativeLogLikelihood / Math.Log(2) / Bytes : null;

    /// <summary>The window, in tokens.</summary>
    public required int Window { get; init; }

    /// <summary>The stride, in tokens.</summary>
    public required int Stride { get; init; }

    /// <summary>Tokens at the start of a window that were read together and not predicted; 1 for the first alone.</summary>
    public required int Prefix { get; init; }

    /// <summary>How many windows were computed.</summary>
    public required long Windows { get; init; }

    /// <summary>Whether documents were scored one by one.</summary>
    public required bool DocumentsApart { get; init; }

    /// <summary>How many documents the text has.</summary>
    public required long Documents { get; init; }

    /// <summary>The id of the token before the text; null for none: the first token of what is scored is context only.</summary>
    public required int? BeginningToken { get; init; }

    /// <summary>Whether every window begins with it.</summary>
    public required bool BeginningInEveryWindow { get; init; }

    /// <summary>The kind of tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Its number of different tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The loss by how many tokens a token was predicted from.</summary>
    public required IReadOnlyList<PositionLoss> ByPosition { get; init; }
}

/// <summary>The loss, in nats per token, of tokens predicted from <c>From</c> to <c>To</c> tokens.</summary>
public sealed record PositionLoss(int From, int To, long Tokens, double Loss)
{
    /// <summary>Bins sums by position into parts of equal width; positions where nothing was scored are left out.</summary>
    internal static IReadOnlyList<PositionLoss> Binned(ReadOnlySpan<double> sums, ReadOnlySpan<long> counts, int bins)
    {
        int width = (sums.Length + bins - 1) / bins;
        List<PositionLoss> parts = [];
        for (int from = 0; from < sums.Length; from += width)
        {
            int to = Math.Min(from + width, sums.Length);
            (double sum, long tokens) = (0, 0);
            for (int place = from; place < to; place++) (sum, tokens) = (sum + sums[place], tokens + counts[place]);
            if (tokens > 0) parts.Add(new(from + 1, to, tokens, sum / tokens)); // the place 0 predicts from one token
        }
        return parts;
    }
}

/// <summary>A token before the text, or with <c>EveryWindow</c> each window as in llama.cpp, so that the first is predicted.</summary>
public sealed record BeginningOfSequence(int Token, bool EveryWindow = false)
{
    /// <summary>The id of a token given by name or by id in digits; null if the tokenizer has no such token.</summary>
    public static int? Find(Tokenizer tokenizer, string token) => tokenizer.TokenId(token)
        ?? (int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && id < tokenizer.VocabularySize ? id : null);
}

/// <summary>A window, whose last <c>Scored</c> predictions count; <c>Begins</c> if its first token is the one before the text.</summary>
internal readonly record struct ScoringWindow(long First, int Length, int Scored, bool Begins)
{
    /// <summary>Divides a sequence into windows that together score every token behind the prefix once.</summary>
    public static IEnumerable<ScoringWindow> Of(long start, long length, PerplexityOptions options)
    {
        bool beginning = options.Beginning is not null;
        // With the beginning token, if any: the model reads all but the last, and predicts all but the first.
        if (beginning) (start, length) = (start - 1, length + 1);
        long predictions = length - 1;
        for (long from = 0, scored = options.Prefix - 1; scored < predictions; from += options.Stride)
        {
            int given = (int)Math.Min(options.Window, predictions - from);
            yield return new(start + from, given, (int)(from + given - scored), beginning && (from == 0 || options.Beginning!.EveryWindow));
            scored = from + given;
        }
    }
}

// Shapes: B windows, T tokens of the longest.

internal sealed record WindowBatch(Batch Rows, int From)
{
    /// <summary>Batches within which windows are sorted by length, so that rows need little padding.</summary>
    private const int SortedTogether = 64;

    public static IEnumerable<WindowBatch> All(TokenText text, PerplexityOptions options, int rows) =>
        text.Sequences(options.Documents)
            .SelectMany(sequence => ScoringWindow.Of(sequence.Start, sequence.Length, options))
            .Chunk(rows * SortedTogether)
            .SelectMany(some => some.OrderByDescending(window => window.Length).Chunk(rows))
            .Select(windows => Read(text, windows, options.Beginning));

    // Padding follows the text, where no causal model sees it, and is no target.
    private static WindowBatch Read(TokenText text, ScoringWindow[] windows, BeginningOfSequence? beginning)
    {
        int columns = windows.Max(window => window.Length);
        long[] inputs = new long[windows.Length * columns]; // (B, T)
        long[] targets = new long[windows.Length * columns]; // (B, T)
        Array.Fill(targets, Batch.Ignored);
        long[] tokens = new long[columns + 1];
        for (int row = 0; row < windows.Length; row++)
        {
            ScoringWindow window = windows[row];
            int own = window.Begins ? 1 : 0; // the beginning token is not in the text
            text.Read(window.First + own, tokens.AsSpan(own, window.Length + 1 - own));
            if (window.Begins) tokens[0] = beginning!.Token;
            tokens.AsSpan(0, window.Length).CopyTo(inputs.AsSpan(row * columns));
            int seen = window.Length - window.Scored;
            tokens.AsSpan(seen + 1, window.Scored).CopyTo(targets.AsSpan(row * columns + seen));
        }
        return new(new Batch(inputs, targets, windows.Length, columns), windows.Min(window => window.Length - window.Scored));
    }
}
