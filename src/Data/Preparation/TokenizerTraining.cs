using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Preparation;

/// <summary>Trains a tokenizer on the training texts of a recipe.</summary>
public static class TokenizerTraining
{
    /// <summary>Trains the tokenizer that <see cref="DataPreparation"/> would, on the training texts with their held-out part.</summary>
    public static Tokenizer Train(DataOptions data, TokenizerOptions tokenizer, string directory, IProgress<string>? progress = null) =>
        Learn([.. data.Train.Select((source, index) => Corpus.Open(source, $"data.train.{index}", directory, progress, data.IsPaired))],
            ConversationPlan.Tokenizer(data, tokenizer), progress).Tokenizer;

    internal static (Tokenizer Tokenizer, TextSize Size) Learn(IReadOnlyList<Corpus> corpora, TokenizerOptions tokenizer,
        IProgress<string>? progress)
    {
        var trainer = tokenizer.CreateTrainer();
        var size = default(TextSize);
        var throughput = new ThroughputProgress(progress, "reading data.train");
        foreach (var piece in corpora.SelectMany(corpus => corpus.Read()))
        {
            trainer.Observe(piece.Text.Span);
            size = new TextSize(size.Characters + CodePoints.Count(piece.Text.Span),
                size.Bytes + Encoding.UTF8.GetByteCount(piece.Text.Span));
            throughput.Report(size.Bytes);
        }
        if (size.Characters == 0)
            throw new UserException($"data.train has no text: {string.Join(", ", corpora.SelectMany(corpus => corpus.Files))}; "
                + "name a file with text");
        return (trainer.Build(), size);
    }

    internal readonly record struct TextSize(long Characters, long Bytes);
}
