// Shapes: B windows, T tokens of the longest, S of its last columns in which anything is scored, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Perplexity;

/// <summary>Measures how well a decoder predicts a text, with each token scored exactly once.</summary>
/// <remarks>Windows are computed several at a time, and their losses stay on the device until the end.</remarks>
/// <param name="model">The model, a decoder; measured in evaluation mode and left in the mode it was in.</param>
/// <param name="tokenizer">The tokenizer of the text: for bits per byte.</param>
public sealed class PerplexityMeter(LanguageModel model, Tokenizer tokenizer)
{
    /// <summary>The most tokens of a batch: on a CPU more would only take more memory, and leave its caches.</summary>
    private int TokensAtOnce => OnCpu ? 1 << 12 : 1 << 14;

    /// <summary>On a GPU the most bytes of a batch's logits; their logarithms take as much again. On a CPU they are made few rows at a time.</summary>
    private const long LogitBytesAtOnce = 1L << 31;

    private bool OnCpu => model.Device.type == DeviceType.CPU;

    /// <summary>Measures.</summary>
    /// <param name="text">The tokens.</param>
    /// <param name="options">Window, stride and what stands before the text.</param>
    /// <returns>The figures, with all that they depend on.</returns>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    /// <exception cref="UserException">The model is no decoder, there is nothing to score, an id is outside the vocabulary, the window is longer than the model's
    /// positions, or the model's logits are not numbers.</exception>
    public PerplexityReport Measure(TokenText text, PerplexityOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems, "evaluation");
        Require(text, options);
        bool training = model.training;
        model.eval();
        try
        {
            using IDisposable inference = inference_mode();
            return Report(text, options);
        }
        finally
        {
            model.train(training);
        }
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
        foreach (WindowBatch batch in WindowBatch.All(text, options, RowsAtOnce(width)))
        {
            Add(batch, sums, correct);
            Count(batch, counts);
            bytes += widths.Of(batch.Rows);
            windows += batch.Rows.Rows;
        }
        double[] losses = sums.cpu().data<double>().ToArray();
        return new PerplexityReport
        {
            NegativeLogLikelihood = LogitsCheck.Finite(losses.Sum()),
            Tokens = counts.Sum(),
            Correct = correct.ToInt64(),
            Bytes = bytes,
            Window = options.Window,
            Stride = options.Stride,
            Prefix = options.Prefix,
            Windows = windows,
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
        // The head is spared what only is context.
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
            throw new UserException("windows of a text are for decoders, which predict each token from those before it; this model sees what it would have to predict, or reads another text beside it");
        if (options.Prefix < model.PrefixLength)
            throw new UserException($"the model reads {model.PrefixLength} tokens together (attention pattern 'prefix') and cannot be asked for them, but prefix is {options.Prefix}; set it to {model.PrefixLength}");
        text.RequireBelow(model.VocabularySize);
        if (options.Beginning is { } beginning && (uint)beginning.Token >= (uint)model.VocabularySize)
            throw new UserException($"the beginning token is {beginning.Token}, but the model's token ids are 0 to {model.VocabularySize - 1}");
        int before = options.Beginning is null ? 0 : 1;
        if (!text.Sequences(options.Documents).Any(sequence => sequence.Length + before > options.Prefix))
            throw new UserException(options.Prefix > 1
                ? $"there is nothing to score: the model reads {options.Prefix} tokens together before it predicts any (attention pattern 'prefix'), and the text has {text.Length}; give a longer text"
                : options.Beginning is null
                ? $"there is nothing to score: the text has {text.Length} tokens, and the first of them is not predicted from anything; give a longer text or a token before it (--bos)"
                : "there is nothing to score: the text has no tokens");
    }
}
